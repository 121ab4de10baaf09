// The part of a source that is in memory while records are framed: a reused buffer that slides over the bytes. Framers look
// through one and do not know whether a file, memory or a stream is behind it.

import { KdataError } from "../core/errors.ts";
import type { SeekableSource, StreamSource } from "./source.ts";

/** Bytes of one sequential read: between 256 KB and 1 MB reads of a warm file are fastest. */
const READ_BYTES = 1 << 19;
/** Bytes of a read that follows a jump: some headers. More would read payload that is jumped over next. */
const HOP_BYTES = 1 << 12;

/** A view of a source, as framers use it. */
export interface Window {
  /** The buffer, and the same memory as a view. Others after a `locate` that made it grow. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The size of the source; `Infinity` as long as it is not known. */
  readonly end: number;
  /**
   * Makes `length` bytes from `position` of the source on visible and says at which index of `bytes` they begin; -1 when they
   * have yet to arrive. They must end at `end` at most, and not begin before what was released. Moves other bytes.
   */
  locate(position: number, length: number): number;
  /** Says that bytes before `position` are not needed any more. */
  release(position: number): void;
}

/**
 * How a {@link SourceWindow} reads. `forward`: ahead in large pieces. `hop`: like it where headers lie close together, but
 * payloads of some size are jumped over, and nothing is kept. `exact`: only what is located.
 */
export type ReadAhead = "forward" | "hop" | "exact";

/** A window over a source that can seek: `locate` reads what is missing at once. */
export class SourceWindow implements Window {
  readonly end: number;
  bytes: Uint8Array;
  view: DataView;
  readonly #source: SeekableSource;
  readonly #readAhead: ReadAhead;
  /** The position of `bytes[0]`. */
  #offset = 0;
  #filled = 0;
  #released = 0;

  constructor(source: SeekableSource, readAhead: ReadAhead) {
    this.end = source.size;
    this.#source = source;
    this.#readAhead = readAhead;
    this.bytes = new Uint8Array(Math.min(source.size, readAhead === "exact" ? HOP_BYTES : READ_BYTES));
    this.view = new DataView(this.bytes.buffer);
  }

  /**
   * Makes bytes visible, as {@link Window.locate} says; never -1.
   *
   * @throws {KdataError} `truncated` when the source has become shorter, `input` when the system refuses the read.
   */
  locate(position: number, length: number): number {
    const index = position - this.#offset;
    if (index >= 0 && index + length <= this.#filled) return index;
    const start = this.#readAhead === "hop" ? position : Math.min(this.#released, position);
    const needed = position + length - start;
    const isJump = start - (this.#offset + this.#filled) > HOP_BYTES;
    this.#keepFrom(start, needed);
    this.#fill(needed, Math.min(this.#wantedBytes(needed, isJump), this.bytes.length, this.end - start));
    return position - start;
  }

  release(position: number): void {
    this.#released = position;
  }

  /** How many bytes the buffer should hold. */
  #wantedBytes(needed: number, isJump: boolean): number {
    if (this.#readAhead === "exact") return needed;
    return this.#readAhead === "hop" && isJump ? Math.max(needed, HOP_BYTES) : this.bytes.length;
  }

  /** Moves what is there from `start` on to the front of a buffer of at least `needed` bytes. */
  #keepFrom(start: number, needed: number): void {
    const index = start - this.#offset;
    const kept = index >= 0 ? this.bytes.subarray(index, Math.max(index, this.#filled)) : new Uint8Array(0);
    if (needed > this.bytes.length) {
      this.bytes = new Uint8Array(Math.min(Math.max(needed, 2 * this.bytes.length), this.end - start));
      this.view = new DataView(this.bytes.buffer);
    }
    this.bytes.set(kept);
    this.#offset = start;
    this.#filled = kept.length;
  }

  #fill(needed: number, wanted: number): void {
    if (wanted > this.#filled) {
      this.#filled += this.#source.read(this.bytes.subarray(this.#filled, wanted), this.#offset + this.#filled);
    }
    if (this.#filled < needed) {
      const at = { source: this.#source.name, byte: this.#offset + this.#filled };
      throw new KdataError("truncated", "Cannot read input: it became shorter while it was read", { at });
    }
  }
}

/** A window over a stream: `locate` says -1 for what has yet to arrive, and `load` waits for it. */
export class StreamWindow implements Window {
  end = Infinity;
  bytes = new Uint8Array(READ_BYTES);
  view = new DataView(this.bytes.buffer);
  readonly #chunks: AsyncIterator<Uint8Array>;
  #offset = 0;
  #filled = 0;
  #released = 0;
  /** The end of what was located in vain. */
  #wanted = 0;

  constructor(source: StreamSource) {
    this.#chunks = source.chunks[Symbol.asyncIterator]();
  }

  locate(position: number, length: number): number {
    const index = position - this.#offset;
    if (index + length <= this.#filled) return index;
    this.#wanted = position + length;
    return -1;
  }

  release(position: number): void {
    this.#released = position;
  }

  /** Waits until what was located last has arrived or the stream has ended. */
  async load(): Promise<void> {
    this.#dropReleased();
    while (this.#offset + this.#filled < this.#wanted && this.end === Infinity) {
      const next = await this.#chunks.next();
      if (next.done === true) this.end = this.#offset + this.#filled;
      else this.#append(next.value);
    }
  }

  /** Lets go of the stream. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  #dropReleased(): void {
    const drop = Math.min(this.#released - this.#offset, this.#filled);
    this.bytes.copyWithin(0, drop, this.#filled);
    this.#offset += drop;
    this.#filled -= drop;
  }

  /** Adds a chunk, without the part of it that was released before it arrived. Grows with what arrives, not with what is declared. */
  #append(chunk: Uint8Array): void {
    const skipped = this.#filled === 0 ? Math.max(0, Math.min(this.#released - this.#offset, chunk.length)) : 0;
    this.#offset += skipped;
    const needed = this.#filled + chunk.length - skipped;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, this.#filled));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    this.bytes.set(chunk.subarray(skipped), this.#filled);
    this.#filled = needed;
  }
}
