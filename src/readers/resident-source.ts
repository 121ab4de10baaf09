// Files that are kept in memory when many of their records are read one by one: a system call for each small record costs several
// times what everything else about it does. All readers of a thread share one limit.

import { MemorySource } from "./source-memory.ts";
import type { SeekableSource } from "./source.ts";

/** Reads of this size cost about what the same bytes in memory do. */
export const DIRECT_BYTES = 1 << 12;
/** What all readers keep in memory, a thread. Beyond it records are read one by one. */
const RESIDENT_BYTES = 1 << 27;
/** A file is loaded when one record in so many has been read alone: then it would have been worth it. */
const LOAD_SHARE = 32;

let residentBytes = 0;

/**
 * Loads bytes that are kept in memory, where there is room. `undefined` where there is none, or `fill` says that they are not all there.
 *
 * @throws what `fill` throws; the room is free again then.
 */
export function loadResident(byteLength: number, fill: (target: Uint8Array) => boolean): Uint8Array | undefined {
  if (residentBytes + byteLength > RESIDENT_BYTES) return undefined;
  const loaded = new Uint8Array(byteLength);
  if (!fill(loaded)) return undefined;
  residentBytes += byteLength;
  return loaded;
}

/** Gives back the room of what {@link loadResident} gave. */
export function releaseResident(byteLength: number): void {
  residentBytes -= byteLength;
}

/** Says whether so many small records out of all were read alone that loading them is worth it. */
export function isWorthLoading(alone: number, records: number): boolean {
  return alone >= records / LOAD_SHARE;
}

/** A source whose bytes are loaded once it has proved worth it. Closing it gives the memory back and leaves the source open. */
export class ResidentSource implements SeekableSource {
  readonly kind = "seekable";
  readonly name: string;
  readonly size: number;
  readonly #source: SeekableSource;
  #bytes: Uint8Array | undefined;
  #alone = 0;
  #isLoadable: boolean;

  /** Loads nothing yet. */
  constructor(source: SeekableSource) {
    this.name = source.name;
    this.size = source.size;
    this.#source = source;
    this.#isLoadable = !(source instanceof MemorySource);
    if (source instanceof MemorySource) this.#bytes = source.bytes;
  }

  /** All bytes, where they are in memory. */
  get bytes(): Uint8Array | undefined {
    return this.#bytes;
  }

  /**
   * Takes note of small records that were read alone, out of so many that there are, and loads the bytes when it is time.
   *
   * @throws {KdataError} `input` when the system refuses the read.
   */
  tellAlone(reads: number, records: number): void {
    this.#alone += reads;
    if (!this.#isLoadable || !isWorthLoading(this.#alone, records)) return;
    this.#isLoadable = false;
    // A file that has become shorter is an error of the records that are missing only.
    this.#bytes = loadResident(this.size, (target) => this.#source.read(target, 0) === this.size);
  }

  read(target: Uint8Array, position: number): number {
    if (!this.#bytes) return this.#source.read(target, position);
    const part = this.#bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  close(): void {
    if (this.#bytes && !(this.#source instanceof MemorySource)) releaseResident(this.size);
    this.#bytes = undefined;
    this.#isLoadable = false;
  }
}
