// The lengths of the samples of a window of the epoch, taken by all workers together, each length once but for a few.
//
// Nobody waits for anybody and nothing is locked: a cell holds a length together with the number of the window that it is of, in one atomic
// word, and is taken again by whoever finds another number there. Who measures what is agreed on by claims, which are hints only. So
// a worker that dies leaves nothing behind, and one that comes too late costs time, never a wrong length.

/** Shared memory for the lengths of a few windows. Can cross a thread. */
export interface LengthTable {
  /** Positions of a window. */
  readonly size: number;
  /** For each window that is kept, a cell for each position: the window's number in the upper half, the length plus 1 in the lower one. */
  readonly cells: BigUint64Array<SharedArrayBuffer>;
  /** For each block of cells, the number of the window for which somebody has begun it. */
  readonly claims: Int32Array<SharedArrayBuffer>;
  /** How many measurers there were. */
  readonly tickets: Int32Array<SharedArrayBuffer>;
}

/** Finds the length of the sample at a position of an epoch. `undefined` where the sample is bad or filtered out. */
type MeasureLength = (position: number, epoch: number) => number | undefined;

// Batches of two windows are under way where one ends and the next one begins; two more for an epoch that was left.
const WINDOWS_KEPT = 4;
// So many cells are claimed at once; at most so many for each worker are measured twice.
const BLOCK = 16;
const LOW_BITS = 32n;
const LOW_MASK = (1n << LOW_BITS) - 1n;
// Multiples of it, modulo 1, are spread evenly however many there are.
const GOLDEN_RATIO = 0.618033988749895;

/** Makes a table for windows of so many positions. */
export function createLengthTable(size: number): LengthTable {
  const cells = WINDOWS_KEPT * size;
  const blocks = WINDOWS_KEPT * Math.ceil(size / BLOCK);
  return {
    size,
    cells: new BigUint64Array(new SharedArrayBuffer(cells * BigUint64Array.BYTES_PER_ELEMENT)),
    claims: new Int32Array(new SharedArrayBuffer(blocks * Int32Array.BYTES_PER_ELEMENT)),
    tickets: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  };
}

/** Takes lengths through a table that others use as well. */
export class LengthTaker {
  readonly #table: LengthTable;
  readonly #measure: MeasureLength;
  /** Where it begins in a window, from 0 to 1: at another place than the others. */
  readonly #start: number;

  constructor(table: LengthTable, measure: MeasureLength) {
    this.#table = table;
    this.#measure = measure;
    this.#start = (Atomics.add(table.tickets, 0, 1) * GOLDEN_RATIO) % 1;
  }

  /**
   * Gives the lengths of the positions `[from, from + count)` of an epoch, one window; -1 for those that have none. `number` tells the
   * window from all others.
   *
   * @throws {KdataError} what `measure` throws.
   */
  lengthsOf(
    window: { readonly number: number; readonly from: number; readonly count: number },
    epoch: number,
  ): Float64Array {
    const { size, claims } = this.#table;
    const { number, from, count } = window;
    const kept = number % WINDOWS_KEPT;
    const tag = (number % (2 ** 31 - 1)) + 1; // never 0, which is what a new table holds
    const lengths = new Float64Array(count).fill(NaN);
    const blocks = Math.ceil(count / BLOCK);
    const firstClaim = kept * Math.ceil(size / BLOCK);
    const firstBlock = Math.floor(this.#start * blocks);
    for (const mayTakeClaimed of [false, true]) {
      for (let i = 0; i < blocks; i++) {
        const block = (firstBlock + i) % blocks;
        const isClaimed = Atomics.exchange(claims, firstClaim + block, tag) === tag;
        for (let at = block * BLOCK; at < Math.min(count, (block + 1) * BLOCK); at++) {
          if (!Number.isNaN(lengths[at])) continue;
          const known = this.#lookUp(kept * size + at, tag);
          if (known !== undefined) lengths[at] = known;
          else if (!isClaimed || mayTakeClaimed) lengths[at] = this.#take(kept * size + at, tag, from + at, epoch);
        }
      }
    }
    return lengths;
  }

  #lookUp(cell: number, tag: number): number | undefined {
    const word = Atomics.load(this.#table.cells, cell);
    return Number(word >> LOW_BITS) === tag ? Number(word & LOW_MASK) - 1 : undefined;
  }

  #take(cell: number, tag: number, position: number, epoch: number): number {
    const length = this.#measure(position, epoch) ?? -1;
    Atomics.store(this.#table.cells, cell, (BigInt(tag) << LOW_BITS) | BigInt(length + 1));
    return length;
  }
}
