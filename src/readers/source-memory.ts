// Bytes in memory as a seekable source.

import type { SeekableSource } from "./source.ts";

/** Bytes that are in memory already. They are viewed, not copied. */
export class MemorySource implements SeekableSource {
  readonly kind = "seekable";
  readonly name: string;
  readonly size: number;
  readonly bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.size = bytes.length;
    this.bytes = bytes;
  }

  /** Copies bytes from `position` on into `target` and returns how many: fewer than `target.length` only at the end. */
  read(target: Uint8Array, position: number): number {
    const part = this.bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  /** Does nothing: memory needs no closing. */
  close(): void {
    return;
  }
}
