// Counter-based random numbers: a pure function of a key and a counter, so that what a sample draws does not depend on
// who drew before it. Philox 4x32-10 from Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3"
// (SC 2011), https://www.thesalmons.org/john/random123/; the tests hold it to the authors' published vectors.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Four 32-bit words: the counter of one draw, or its result. */
export type Words = [number, number, number, number];

/** The 64-bit key of a stream of random numbers, as two 32-bit words. */
export type RandomKey = readonly [number, number];

/**
 * Maps a counter of four 32-bit words and a key of two to four random 32-bit words (unsigned), by Philox 4x32-10.
 */
export function philox(counter: Readonly<Words>, key: RandomKey): Words {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * Derives a key from whole numbers of up to 53 bits (a seed, an epoch, a position, ...): other numbers, or the same in
 * another order, give an unrelated key.
 *
 * @throws {RangeError} when a number is not a whole number from 0 to 2^53 - 1.
 */
export function deriveKey(...numbers: readonly number[]): RandomKey {
  let key: RandomKey = [numbers.length, 0];
  for (const number of numbers) {
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new RangeError(`Cannot derive key: ${number} is not a whole number from 0 to 2^53 - 1`);
    }
    const mixed = philox([number >>> 0, Math.floor(number / 2 ** 32), 0, 0], key);
    key = [mixed[0], mixed[1]];
  }
  return key;
}

/** Derives a key from a name, for example the path of a parameter. */
export function deriveKeyFromName(seed: number, name: string): RandomKey {
  return deriveKey(seed, ...new TextEncoder().encode(name));
}

/**
 * A stream of random numbers from one key. Two streams of the same key give the same numbers.
 *
 * @example
 * const a = new RandomStream(deriveKey(42, 0, 7));
 * const b = new RandomStream(deriveKey(42, 0, 7));
 * assert.equal(a.uniform(), b.uniform());
 */
export class RandomStream {
  readonly #key: RandomKey;
  #words: Words = [0, 0, 0, 0];
  #block = 0;
  #left = 0;

  constructor(key: RandomKey) {
    this.#key = key;
  }

  /** Draws a whole number from 0 to 2^32 - 1. */
  uint32(): number {
    if (this.#left === 0) {
      this.#words = philox([this.#block >>> 0, Math.floor(this.#block / 2 ** 32), 0, 0], this.#key);
      this.#block++;
      this.#left = 4;
    }
    return this.#words[4 - this.#left--] as number;
  }

  /** Draws a number in [0, 1) with 53 random bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Draws from the standard normal distribution (Box and Muller, 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /**
   * Draws a whole number in [0, bound), without bias.
   *
   * @throws {RangeError} when `bound` is not a whole number from 1 to 2^32.
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(`Cannot draw a number below ${bound}: the bound must be a whole number from 1 to 2^32`);
    }
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const word = this.uint32();
      if (word < limit) return word % bound;
    }
  }

  /** Puts items in random order, in place: Fisher and Yates. */
  shuffle(items: unknown[]): void {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      [items[last], items[other]] = [items[other], items[last]];
    }
  }
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0;
}
