// Memory that is handed out piece by piece and taken back all at once: fresh memory is ten times as slow to touch.

/** What a record of numbers takes at first; it grows to the largest one. */
const FIRST_BYTES = 1 << 12;

/** Memory for the elements of one record. What was taken is valid until `reset`. */
export class Arena {
  #used = 0;
  /** All the memory, as bytes. Another array after a `take` that made it grow. */
  bytes = new Uint8Array(FIRST_BYTES);
  /** The same memory as 32-bit words. */
  words = new Int32Array(this.bytes.buffer);

  /** Gives back all pieces. */
  reset(): void {
    this.#used = 0;
  }

  /** Takes `length` bytes and says where they begin: at a multiple of eight. Their content is arbitrary. */
  take(length: number): number {
    if (this.#used + length > this.bytes.length) {
      // Pieces taken earlier keep the old memory alive for as long as they are used.
      this.bytes = new Uint8Array(Math.ceil(Math.max(length, 2 * this.bytes.length) / 8) * 8);
      this.words = new Int32Array(this.bytes.buffer);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = Math.ceil((start + length) / 8) * 8;
    return start;
  }
}
