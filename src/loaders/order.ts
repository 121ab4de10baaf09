// Which record stands at a position of an epoch: a keyed permutation that needs no memory, however many records there are.
// A Feistel network permutes the next larger power of four; results outside [0, records) are permuted again until one falls
// inside ("cycle walking"). Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002).

import { deriveKey, philox } from "../core/random.ts";

/** Maps a position in an epoch to the number of a record; a bijection of [0, records). */
export type Order = (position: number) => number;

/** What the order of an epoch depends on, and nothing else. */
export interface OrderSettings {
  readonly records: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly epoch: number;
}

// Four rounds of an ideal round function are indistinguishable from a random permutation (Luby and Rackoff, 1988); two more
// make up for a fast one.
const ROUNDS = 6;
// A domain of at least 64, so that the order of three records is still mixed by several bits.
const MIN_HALF_BITS = 3;
// Halves are computed with 32-bit operations, and a whole must stay exact as a double.
const MAX_HALF_BITS = 26;

/**
 * Makes the order of one epoch.
 *
 * @throws {RangeError} when there are more than 2^52 records.
 */
export function epochOrder({ records, shuffle, seed, epoch }: OrderSettings): Order {
  if (!shuffle) return (position) => position;
  const halfBits = Math.max(MIN_HALF_BITS, halfBitsFor(records));
  const roundKeys = deriveRoundKeys(seed, epoch);
  const halfSize = 2 ** halfBits;
  const mask = halfSize - 1;
  return (position) => {
    let value = position;
    do {
      let left = Math.floor(value / halfSize);
      let right = value % halfSize;
      for (let round = 0; round < ROUNDS; round++) {
        const mixed = (left ^ mix(right ^ (roundKeys[round] as number))) & mask;
        left = right;
        right = mixed;
      }
      value = left * halfSize + right;
    } while (value >= records);
    return value;
  };
}

function halfBitsFor(records: number): number {
  let halfBits = 0;
  while (4 ** halfBits < records) halfBits++;
  if (halfBits > MAX_HALF_BITS) throw new RangeError(`Cannot order ${records} records: at most 2^52 can be ordered`);
  return halfBits;
}

function deriveRoundKeys(seed: number, epoch: number): readonly number[] {
  const key = deriveKey(seed, epoch);
  return [...philox([0, 0, 0, 1], key), ...philox([1, 0, 0, 1], key)].slice(0, ROUNDS);
}

/** Spreads every bit over all 32: the finalizer of MurmurHash3, https://github.com/aappleby/smhasher. */
function mix(word: number): number {
  let hash = word ^ (word >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
