// CRC-32C (Castagnoli), RFC 3720 appendix B.4, and the masked form that TFRecord stores
// (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details). Sixteen bytes a step through
// sixteen tables: Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC Generators". Longer
// runs go through the WebAssembly kernel.

import { checksumOf, maskChecksum } from "../kernels/checksum.ts";

/** The Castagnoli polynomial with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;
/** From here on the kernel is faster, with the copy into its memory. */
const KERNEL_BYTES = 512;

/** `t3[b]`: what byte `b` does to the checksum when three more bytes follow it in the same step. */
const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = makeTables();

/**
 * Computes the CRC-32C of the bytes from `start` up to `end`, as an unsigned 32-bit number.
 *
 * It takes a DataView because reading whole words is what makes it fast, and making a view for each call is not.
 */
export function crc32c(view: DataView, start = 0, end = view.byteLength): number {
  if (end - start >= KERNEL_BYTES) {
    return checksumOf(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
  }
  // The table look-ups are written out: behind a function the engine inlines them in some runs and not in others.
  let crc = -1;
  let i = start;
  for (; i + 16 <= end; i += 16) {
    const a = crc ^ view.getInt32(i, true);
    const b = view.getInt32(i + 4, true);
    const c = view.getInt32(i + 8, true);
    const d = view.getInt32(i + 12, true);
    crc =
      (t15[a & 0xff] as number) ^
      (t14[(a >>> 8) & 0xff] as number) ^
      (t13[(a >>> 16) & 0xff] as number) ^
      (t12[a >>> 24] as number) ^
      (t11[b & 0xff] as number) ^
      (t10[(b >>> 8) & 0xff] as number) ^
      (t9[(b >>> 16) & 0xff] as number) ^
      (t8[b >>> 24] as number) ^
      (t7[c & 0xff] as number) ^
      (t6[(c >>> 8) & 0xff] as number) ^
      (t5[(c >>> 16) & 0xff] as number) ^
      (t4[c >>> 24] as number) ^
      (t3[d & 0xff] as number) ^
      (t2[(d >>> 8) & 0xff] as number) ^
      (t1[(d >>> 16) & 0xff] as number) ^
      (t0[d >>> 24] as number);
  }
  for (; i + 4 <= end; i += 4) {
    const a = crc ^ view.getInt32(i, true);
    crc =
      (t3[a & 0xff] as number) ^
      (t2[(a >>> 8) & 0xff] as number) ^
      (t1[(a >>> 16) & 0xff] as number) ^
      (t0[a >>> 24] as number);
  }
  for (; i < end; i++) crc = (t0[(crc ^ view.getUint8(i)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Computes the masked CRC-32C of the bytes from `start` up to `end`, as TFRecord stores it. */
export function maskedCrc32c(view: DataView, start = 0, end = view.byteLength): number {
  return maskChecksum(crc32c(view, start, end));
}

type Four = [Int32Array, Int32Array, Int32Array, Int32Array];
type Sixteen = [...Four, ...Four, ...Four, ...Four];

function makeTables(): Sixteen {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[byte] = crc;
  }
  const tables = [first];
  for (let previous = first; tables.length < 16; tables.push(previous)) {
    previous = previous.map((crc) => (first[crc & 0xff] as number) ^ (crc >>> 8));
  }
  return tables as Sixteen;
}
