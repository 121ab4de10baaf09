// How much memory the rows of a group may take, whatever they declare.

import type { KdataError } from "../core/errors.ts";

/**
 * What a row group may decode to for each byte that it takes in the file, before `limits.rowGroupBytes` is touched. Text deflates to a
 * tenth or less; a run of equal values takes next to nothing, which is what the limit is for.
 */
const FREE_RATIO = 32;

/** Memory that is asked for before it is allocated. */
export class MemoryBudget {
  readonly #most: number;
  readonly #fail: (reason: string) => KdataError;
  #taken = 0;

  /** `stored` counts the bytes that the rows take in the file. */
  constructor(stored: number, rowGroupBytes: number, fail: (reason: string) => KdataError) {
    this.#most = stored * FREE_RATIO + rowGroupBytes;
    this.#fail = fail;
  }

  /**
   * Says that so many bytes are about to be allocated.
   *
   * @throws {KdataError} `limit` when they are too many.
   */
  take(bytes: number): void {
    if (bytes > this.#most - this.#taken) {
      throw this.#fail(`it would decode to more than the limit of ${this.#most} bytes`);
    }
    this.#taken += bytes;
  }

  /** Says that memory is not held any longer. */
  give(bytes: number): void {
    this.#taken -= bytes;
  }
}
