// The checksum kernel: CRC-32C of bytes anywhere, a piece at a time through the kernel's memory.

import { instantiateKernel, reserveHeap, type KernelExports } from "./wasm.ts";

/** What is copied at a time: it stays in the second-level cache, so that the copy costs a twentieth of the whole. */
const PIECE_BYTES = 1 << 16;

/** What TFRecord adds after rotating, so that the checksum of data that holds checksums stays strong. */
const MASK_DELTA = 0xa282ead8;

interface ChecksumExports extends KernelExports {
  prepare(): void;
  update(crc: number, start: number, end: number): number;
}

interface ChecksumKernel {
  readonly update: ChecksumExports["update"];
  readonly base: number;
  readonly memory: Uint8Array;
}

let kernel: ChecksumKernel | undefined;

/** Computes the CRC-32C (RFC 3720, appendix B.4) of bytes, as an unsigned 32-bit number. */
export function checksumOf(bytes: Uint8Array): number {
  const { update, base, memory } = (kernel ??= makeKernel());
  let crc = -1;
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    const piece = bytes.length <= PIECE_BYTES ? bytes : bytes.subarray(start, start + PIECE_BYTES);
    memory.set(piece, base);
    crc = update(crc, base, base + piece.length);
  }
  return ~crc >>> 0;
}

/** Masks a CRC-32C as TFRecord stores it: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details. */
export function maskChecksum(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

function makeKernel(): ChecksumKernel {
  const exports = instantiateKernel("checksum") as ChecksumExports;
  const base = reserveHeap(exports, PIECE_BYTES);
  exports.prepare();
  return { update: (crc, start, end) => exports.update(crc, start, end), base, memory: new Uint8Array(exports.memory.buffer) };
}
