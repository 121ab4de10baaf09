// A file whose bytes an index beside it vouches for, block by block.

import { KdataError } from "../core/errors.ts";
import { crc32c } from "./crc32c.ts";
import type { ChecksummedIndex } from "./format.ts";
import type { SeekableSource } from "./source.ts";

/** Large enough that a checksum of 4 bytes costs nothing to keep, small enough that a row alone is read soon. */
const SEAL_BYTES = 1 << 16;

/** Splits a file into the blocks of an index, as if each one were a record: their checksums are over all of its bytes. */
export function* sealBlocks(source: SeekableSource): Generator<number, ChecksummedIndex> {
  const count = Math.ceil(source.size / SEAL_BYTES);
  const offsets = new Float64Array(new SharedArrayBuffer(8 * count));
  const lengths = new Float64Array(new SharedArrayBuffer(8 * count));
  const checksums = new Uint32Array(new SharedArrayBuffer(4 * count));
  const block = new Uint8Array(SEAL_BYTES);
  for (let index = 0; index < count; index++) {
    const start = index * SEAL_BYTES;
    const length = source.read(block.subarray(0, Math.min(SEAL_BYTES, source.size - start)), start);
    offsets[index] = start;
    lengths[index] = length;
    checksums[index] = crc32c(new DataView(block.buffer), 0, length);
    yield start + length;
  }
  return { offsets, lengths, checksums };
}

/** Holds each block of a file to its checksum in the index beside it, the first time that a byte of it is read. */
export class SealedSource implements SeekableSource {
  readonly kind = "seekable";
  readonly name: string;
  readonly size: number;
  readonly #source: SeekableSource;
  readonly #findIndex: () => ChecksummedIndex | undefined;
  #index: ChecksummedIndex | undefined;
  #isSought = false;
  /** 1 for each block that was verified. */
  #verified = new Uint8Array(0);
  #block = new Uint8Array(0);

  /** Takes ownership. `findIndex` is called when the first byte is read. */
  constructor(source: SeekableSource, findIndex: () => ChecksummedIndex | undefined) {
    this.name = source.name;
    this.size = source.size;
    this.#source = source;
    this.#findIndex = findIndex;
  }

  /**
   * Reads as {@link SeekableSource.read} says.
   *
   * @throws {KdataError} `checksum` when a block does not match the index, `state` when the index is not one of blocks.
   */
  read(target: Uint8Array, position: number): number {
    const index = this.#soughtIndex();
    if (index !== undefined && target.length > 0) {
      const last = Math.min(index.offsets.length - 1, Math.floor((position + target.length - 1) / SEAL_BYTES));
      for (let block = Math.floor(position / SEAL_BYTES); block <= last; block++) {
        if (this.#verified[block] === 0) this.#verify(index, block);
      }
    }
    return this.#source.read(target, position);
  }

  close(): void {
    this.#source.close();
  }

  #soughtIndex(): ChecksummedIndex | undefined {
    if (this.#isSought) return this.#index;
    this.#isSought = true;
    this.#index = this.#findIndex();
    if (this.#index === undefined) return undefined;
    const { offsets, lengths } = this.#index;
    const isOfBlocks =
      offsets.length === Math.ceil(this.size / SEAL_BYTES) &&
      offsets.every((offset, block) => offset === block * SEAL_BYTES) &&
      lengths.every((length, block) => length === Math.min(SEAL_BYTES, this.size - block * SEAL_BYTES));
    if (!isOfBlocks) {
      throw new KdataError("state", "Cannot read input: the index beside it is not one of its blocks", {
        at: { source: this.name },
        hint: "Make it anew with `kdata index`, or remove it.",
      });
    }
    this.#verified = new Uint8Array(offsets.length);
    this.#block = new Uint8Array(Math.min(SEAL_BYTES, this.size));
    return this.#index;
  }

  #verify({ checksums }: ChecksummedIndex, block: number): void {
    const start = block * SEAL_BYTES;
    const part = this.#block.subarray(0, Math.min(SEAL_BYTES, this.size - start));
    const read = this.#source.read(part, start);
    const view = new DataView(part.buffer, part.byteOffset, part.length);
    if (read < part.length || crc32c(view, 0, part.length) !== checksums[block]) {
      throw new KdataError("checksum", "Cannot read input: its bytes do not match their checksum in the index", {
        at: { source: this.name, byte: start },
        hint: "If the file was changed on purpose, make the index anew: kdata index",
      });
    }
    this.#verified[block] = 1;
  }
}
