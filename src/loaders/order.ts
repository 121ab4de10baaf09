// Which record stands at a position of an epoch: a keyed permutation that needs no memory, however many records there are.
// A Feistel network permutes the next larger power of four; results outside [0, records) are permuted again until one falls
// inside ("cycle walking"). Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002).

import { checkOptionNames, checkWhole } from "../core/options.ts";
import { deriveKey, philox, type RandomKey } from "../core/random.ts";

/** Maps a position in an epoch to the number of a record; a bijection of [0, records). */
export type Order = (position: number) => number;

/**
 * Another order in each epoch for storage that is slow at single reads: the records of a block of `blockSize` lie one after
 * another and are read in that order.
 *
 * The blocks are put in random order and taken `window` at a time (default 64). Rounds deal out their records: each takes one
 * record of every block of the window, in random order. A block is read from a random record to its end, then from its start.
 *
 * What is lost against `true`: records that are neighbours as stored come less than 2 × `window` positions apart, so `window`
 * consecutive samples hold few of them, but a batch of k × `window` samples holds about k neighbours of each of its blocks. A
 * data set of a few blocks keeps much of its order as stored: choose `blockSize` so small that there are many windows.
 */
export interface BlockShuffle {
  readonly blockSize: number;
  readonly window?: number;
}

/** Whether, and how, records are put in another order in each epoch. */
export type Shuffle = boolean | BlockShuffle;

/** What the order of an epoch depends on, and nothing else. */
export interface OrderSettings {
  readonly records: number;
  readonly shuffle: Shuffle;
  readonly seed: number;
  readonly epoch: number;
  /** The number of a source of a mixture: each has orders of its own. */
  readonly source?: number;
}

// Four rounds of an ideal round function are indistinguishable from a random permutation (Luby and Rackoff, 1988); two more
// make up for a fast one.
const ROUNDS = 6;
// A domain of at least 64, so that the order of three records is still mixed by several bits.
const MIN_HALF_BITS = 3;
// Halves are computed with 32-bit operations, and a whole must stay exact as a double.
const MAX_HALF_BITS = 26;
// A batch of the usual size then has a few records of each block.
const WINDOW_BLOCKS = 64;
// What tells the draws of a block order apart: the fourth word of the counter.
const DRAW_WINDOW = 2;
const DRAW_START = 3;

/**
 * Makes the order of one epoch.
 *
 * @throws {RangeError} when there are more than 2^52 records.
 */
export function epochOrder({ records, shuffle, seed, epoch, source }: OrderSettings): Order {
  if (shuffle === false || records === 0) return (position) => position;
  const key = source === undefined ? deriveKey(seed, epoch) : deriveKey(seed, epoch, source);
  if (shuffle === true) return permutation(records, key);
  return blockOrder(records, Math.min(shuffle.blockSize, records), windowOf(shuffle), key);
}

/**
 * Holds a shuffle to its forms.
 *
 * @throws {KdataError} `usage` for an option of a block shuffle that is not known.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when it is none of the forms.
 */
export function checkShuffle(action: string, shuffle: unknown): void {
  if (typeof shuffle === "boolean") return;
  if (typeof shuffle !== "object" || shuffle === null) {
    throw new TypeError(`${action}: shuffle must be true, false or { blockSize }, not ${JSON.stringify(shuffle)}`);
  }
  checkOptionNames(`${action} with shuffle`, shuffle, ["blockSize", "window"]);
  const { blockSize, window } = shuffle as BlockShuffle;
  checkWhole(action, "shuffle.blockSize", blockSize, 1);
  if (window !== undefined) checkWhole(action, "shuffle.window", window, 1);
}

/** Says a shuffle in a few words; two that give the same orders in the same ones. */
export function describeShuffle(shuffle: Shuffle): string {
  if (typeof shuffle === "boolean") return String(shuffle);
  return `blocks of ${shuffle.blockSize}, ${windowOf(shuffle)} at a time`;
}

function windowOf({ window }: BlockShuffle): number {
  return window ?? WINDOW_BLOCKS;
}

function permutation(size: number, key: RandomKey): Order {
  if (size === 1) return () => 0;
  const halfBits = Math.max(MIN_HALF_BITS, halfBitsFor(size));
  const roundKeys = deriveRoundKeys(key);
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
    } while (value >= size);
    return value;
  };
}

/**
 * Blocks in random order, in windows, dealt out in rounds. The records that fill no whole block are one more, shorter block of
 * one window, whichever the key draws.
 */
function blockOrder(records: number, blockSize: number, window: number, key: RandomKey): Order {
  const blocks = Math.floor(records / blockSize);
  const rest = records - blocks * blockSize;
  const windows = Math.ceil(blocks / window);
  // All windows are about as wide: a last one of a single block would not be shuffled at all.
  const width = Math.floor(blocks / windows);
  const wider = blocks % windows; // so many windows have one more
  const shortWindow = Math.floor((philox([0, 0, 0, DRAW_WINDOW], key)[0] / 2 ** 32) * windows);
  const blockAt = permutation(blocks, deriveKey(...key));
  const laneAt = dealer(key);
  function blocksBefore(number: number): number {
    return number * width + Math.min(number, wider);
  }
  const shortStart = blocksBefore(shortWindow) * blockSize;
  const shortEnd = blocksBefore(shortWindow + 1) * blockSize + rest;
  function windowAt(position: number): number {
    if (position >= shortStart && position < shortEnd) return shortWindow;
    const slot = Math.floor((position < shortStart ? position : position - rest) / blockSize);
    const inWider = wider * (width + 1);
    return slot < inWider ? Math.floor(slot / (width + 1)) : wider + Math.floor((slot - inWider) / width);
  }
  return (position) => {
    const number = windowAt(position);
    const before = blocksBefore(number);
    const whole = blocksBefore(number + 1) - before;
    let place = position - before * blockSize - (number > shortWindow ? rest : 0);
    let [round, lanes] = [0, whole];
    if (number === shortWindow && rest > 0) {
      // As long as the short block lasts, a round is longer by one.
      if (place < rest * (whole + 1)) lanes = whole + 1;
      else [place, round] = [place - rest * (whole + 1), rest];
    }
    round += Math.floor(place / lanes);
    const lane = laneAt(number, round, lanes, place % lanes);
    const block = lane === whole ? blocks : blockAt(before + lane);
    const length = lane === whole ? rest : blockSize;
    return block * blockSize + ((startIn(block, length, key) + round) % length);
  };
}

/** Deals the places of a round to the blocks of a window. The round that was asked for last is kept. */
function dealer(key: RandomKey): (window: number, round: number, lanes: number, place: number) => number {
  let last = { window: -1, round: -1, laneAt: permutation(1, key) };
  return (window, round, lanes, place) => {
    if (last.window !== window || last.round !== round) {
      last = { window, round, laneAt: permutation(lanes, deriveKey(...key, window, round)) };
    }
    return last.laneAt(place);
  };
}

/** Draws the record of a block that is read first. */
function startIn(block: number, length: number, key: RandomKey): number {
  const [draw] = philox([block >>> 0, Math.floor(block / 2 ** 32), 0, DRAW_START], key);
  return Math.floor((draw / 2 ** 32) * length);
}

function halfBitsFor(records: number): number {
  let halfBits = 0;
  while (4 ** halfBits < records) halfBits++;
  if (halfBits > MAX_HALF_BITS) throw new RangeError(`Cannot order ${records} records: at most 2^52 can be ordered`);
  return halfBits;
}

function deriveRoundKeys(key: RandomKey): readonly number[] {
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
