// Numbers as differences in packed blocks: https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC

import { decodeVarint, type ByteCursor } from "./parquet-levels.ts";

/** The specification wants multiples of 128; writers use 128 to some thousand. */
const MAX_BLOCK_VALUES = 1 << 20;
/** Bytes of a varint of 64 bits. */
const MAX_VARINT_BYTES = 10;

/**
 * Decodes exactly `target.length` numbers from the cursor on. Sums wrap around, as the specification says.
 *
 * Says what is wrong, `undefined` when nothing is.
 */
export function decodeDelta(cursor: ByteCursor, target: BigInt64Array | Int32Array): string | undefined {
  const end = cursor.bytes.length;
  const blockValues = decodeVarint(cursor, end);
  const miniblocks = decodeVarint(cursor, end);
  const count = decodeVarint(cursor, end);
  if (blockValues === undefined || miniblocks === undefined || count === undefined) return "its head is cut off";
  if (count !== target.length) return `it has ${count} numbers, not ${target.length}`;
  const perMiniblock = blockValues / miniblocks;
  if (miniblocks === 0 || blockValues > MAX_BLOCK_VALUES || perMiniblock === 0 || perMiniblock % 8 !== 0) {
    return `its blocks of ${blockValues} numbers have ${miniblocks} parts`;
  }
  let value = zigzag64(cursor, end);
  if (value === undefined) return "its first number is cut off";
  if (count === 0) return undefined;
  store(target, 0, value);
  for (let filled = 1; filled < count;) {
    const least = zigzag64(cursor, end);
    const widths = cursor.position;
    if (least === undefined || widths + miniblocks > end) return "a block is cut off";
    cursor.position += miniblocks;
    for (let part = 0; part < miniblocks && filled < count; part++) {
      const width = cursor.bytes[widths + part] as number;
      const bytes = (perMiniblock / 8) * width;
      if (width > 64) return `a difference has ${width} bits`;
      if (bytes > end - cursor.position) return "a block is cut off";
      const wanted = Math.min(perMiniblock, count - filled);
      value = sumBlock(cursor, width, least, value, target, filled, wanted);
      filled += wanted;
      cursor.position += bytes;
    }
  }
  return undefined;
}

function sumBlock(
  { bytes, position }: ByteCursor,
  width: number,
  least: bigint,
  before: bigint,
  target: BigInt64Array | Int32Array,
  start: number,
  count: number,
): bigint {
  if (width <= 32 && target instanceof Int32Array) {
    return BigInt(
      sumBlock32(bytes, position, width, Number(BigInt.asIntN(32, least)), Number(before), target, start, count),
    );
  }
  let value = before;
  let bit = position * 8;
  for (let i = start; i < start + count; i++) {
    let difference = 0n;
    for (let taken = 0; taken < width;) {
      const inByte = bit & 7;
      const bits = Math.min(8 - inByte, width - taken);
      const piece = ((bytes[bit >>> 3] as number) >>> inByte) & ((1 << bits) - 1);
      difference |= BigInt(piece) << BigInt(taken);
      taken += bits;
      bit += bits;
    }
    value = BigInt.asIntN(64, value + least + difference);
    store(target, i, value);
  }
  return target instanceof Int32Array ? BigInt.asIntN(32, value) : value;
}

/** The same where 32 bits hold all. */
function sumBlock32(
  bytes: Uint8Array,
  position: number,
  width: number,
  least: number,
  before: number,
  target: Int32Array,
  start: number,
  count: number,
): number {
  let value = before;
  let bit = position * 8;
  for (let i = start; i < start + count; i++) {
    let difference = 0;
    for (let taken = 0; taken < width;) {
      const inByte = bit & 7;
      const bits = Math.min(8 - inByte, width - taken);
      difference |= (((bytes[bit >>> 3] as number) >>> inByte) & ((1 << bits) - 1)) << taken;
      taken += bits;
      bit += bits;
    }
    value = (value + least + difference) | 0;
    target[i] = value;
  }
  return value;
}

function store(target: BigInt64Array | Int32Array, index: number, value: bigint): void {
  if (target instanceof Int32Array) target[index] = Number(BigInt.asIntN(32, value));
  else target[index] = value;
}

function zigzag64(cursor: ByteCursor, end: number): bigint | undefined {
  let value = 0n;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    if (cursor.position >= end) return undefined;
    const byte = cursor.bytes[cursor.position++] as number;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
  }
  return undefined;
}
