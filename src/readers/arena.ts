// Memory that is handed out piece by piece and taken back all at once: fresh memory is ten times as slow to touch.

/** What a record of numbers takes at first; it grows to the largest one. */
const FIRST_BYTES = 1 << 12;

/** Memory for the elements of one record. What was taken is valid until `reset`. */
export class Arena {
  #used = 0;
  /** All the memory, as 32-bit words. Another array after a `take` that made it grow. */
  words = new Int32Array(FIRST_BYTES / 4);

  /** Gives back all pieces. */
  reset(): void {
    this.#used = 0;
  }

  /** Takes `length` bytes and says where they begin: at a multiple of eight. Their content is arbitrary. */
  take(length: number): number {
    if (this.#used + length > this.words.byteLength) {
      // Pieces taken earlier keep the old memory alive for as long as they are used.
      this.words = new Int32Array(2 * Math.ceil(Math.max(length, 2 * this.words.byteLength) / 8));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = Math.ceil((start + length) / 8) * 8;
    return start;
  }
}
