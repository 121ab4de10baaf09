// Definition and repetition levels, dictionary indices and booleans: runs of equal numbers mixed with packed bits.
// https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE

/** Bytes that are being decoded, and how far. */
export interface ByteCursor {
  readonly bytes: Uint8Array;
  position: number;
}

/**
 * Decodes `target.length` numbers of `width` bits (up to 32) each, from the cursor on and before `end`.
 *
 * Says what is wrong, `undefined` when nothing is.
 */
export function decodeHybrid(
  cursor: ByteCursor,
  end: number,
  width: number,
  target: Uint8Array | Uint32Array,
): string | undefined {
  const { bytes } = cursor;
  const wide = (width + 7) >>> 3;
  let filled = 0;
  while (filled < target.length) {
    const head = decodeVarint(cursor, end);
    if (head === undefined) return "its runs end early";
    const count = Math.floor(head / 2);
    if (head % 2 === 0) {
      if (cursor.position + wide > end) return "a run is cut off";
      let value = 0;
      for (let i = wide - 1; i >= 0; i--) value = value * 256 + (bytes[cursor.position + i] as number);
      cursor.position += wide;
      if (count === 0) return "a run is empty";
      const stop = Math.min(target.length, filled + count);
      target.fill(value, filled, stop);
      filled = stop;
    } else {
      const left = end - cursor.position;
      // Writers may leave out the bytes of a last group that stand for nothing.
      const wanted = Math.min(count * 8, target.length - filled);
      if (count === 0) return "a run is empty";
      if (Math.ceil((wanted * width) / 8) > left) return "packed numbers are cut off";
      unpackBits(bytes, cursor.position, width, target, filled, wanted);
      filled += wanted;
      cursor.position += Math.min(count * width, left);
    }
  }
  return undefined;
}

/** Reads an unsigned number of up to 32 bits in groups of seven; `undefined` when it is cut off or longer. */
export function decodeVarint(cursor: ByteCursor, end: number): number | undefined {
  let value = 0;
  for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
    if (cursor.position >= end) return undefined;
    const byte = cursor.bytes[cursor.position++] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
  }
  return undefined;
}

/** Unpacks numbers of `width` bits, the lowest bit first. */
function unpackBits(
  bytes: Uint8Array,
  position: number,
  width: number,
  target: Uint8Array | Uint32Array,
  start: number,
  count: number,
): void {
  if (width === 0) {
    target.fill(0, start, start + count);
    return;
  }
  const modulus = 2 ** width;
  let from = position;
  // A float holds the up to 39 bits that are taken at once.
  let held = 0;
  let bits = 0;
  for (let i = start; i < start + count; i++) {
    while (bits < width) {
      held += (bytes[from++] as number) * 2 ** bits;
      bits += 8;
    }
    const rest = Math.floor(held / modulus);
    target[i] = held - rest * modulus;
    held = rest;
    bits -= width;
  }
}
