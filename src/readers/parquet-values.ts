// The values of pages in their encodings: https://parquet.apache.org/docs/file-format/data-pages/encodings/

import type { KdataError } from "../core/errors.ts";
import type { MemoryBudget } from "./parquet-budget.ts";
import { decodeDelta } from "./parquet-delta.ts";
import { decodeHybrid, type ByteCursor } from "./parquet-levels.ts";

/** Bytes of the length before a value of its own length, and before some runs. */
const LENGTH_BYTES = 4;

/** Values of `width` bytes each, one after another as the file has them: numbers little-endian. */
export interface FixedValues {
  readonly kind: "fixed";
  readonly width: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Values of any length: value `i` is `heap[starts[i]]` up to `ends[i]`. */
export interface BinaryValues {
  readonly kind: "binary";
  readonly count: number;
  readonly heap: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Values of one page, of a dictionary, or of a chunk. */
export type Values = FixedValues | BinaryValues;

/** How the values of a column are laid out. */
export interface ValueLayout {
  /** Bytes of a value; 0 where each has its own length. */
  readonly width: number;
  /** Packed as bits: booleans. */
  readonly isBoolean: boolean;
  /** Numbers of 4 or 8 bytes, which may be stored as differences. */
  readonly isInteger: boolean;
}

/** What decoding needs beside the bytes. */
export interface ValueContext {
  readonly layout: ValueLayout;
  readonly budget: MemoryBudget;
  readonly dictionary: Values | undefined;
  readonly fail: (reason: string) => KdataError;
}

/**
 * Decodes `count` values, which take all bytes from the cursor on. They may view these bytes.
 *
 * @throws {KdataError} `format` when they do not, or the encoding is none for the type; `limit` when they take too much memory.
 */
export function decodeValues(encoding: string, cursor: ByteCursor, count: number, context: ValueContext): Values {
  // Of a page of nulls, some writers store nothing at all.
  if (count === 0) return noValues(context.layout);
  switch (encoding) {
    case "PLAIN":
      return decodePlain(cursor, count, context);
    case "PLAIN_DICTIONARY":
    case "RLE_DICTIONARY":
      return fromDictionary(cursor, count, context);
    case "RLE":
      return decodeRuns(cursor, count, context);
    case "DELTA_BINARY_PACKED":
      return decodeIntegers(cursor, count, context);
    case "DELTA_LENGTH_BYTE_ARRAY":
      return decodeLengths(cursor, count, context);
    case "DELTA_BYTE_ARRAY":
      return decodePrefixes(cursor, count, context);
    case "BYTE_STREAM_SPLIT":
      return decodeSplit(cursor, count, context);
    default:
      throw context.fail(`values cannot have the encoding ${encoding}`);
  }
}

/** No values of a column. */
export function noValues({ width }: ValueLayout): Values {
  if (width > 0) return { kind: "fixed", width, count: 0, bytes: new Uint8Array(0) };
  return { kind: "binary", count: 0, heap: new Uint8Array(0), starts: new Uint32Array(0), ends: new Uint32Array(0) };
}

/** Decodes values as they are; of a dictionary too. */
export function decodePlain(cursor: ByteCursor, count: number, context: ValueContext): Values {
  const { layout, budget, fail } = context;
  const left = cursor.bytes.length - cursor.position;
  if (layout.isBoolean) {
    if (left !== Math.ceil(count / 8)) throw fail(`${left} bytes do not hold ${count} booleans`);
    budget.take(count);
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = ((cursor.bytes[cursor.position + (i >>> 3)] as number) >>> (i & 7)) & 1;
    return { kind: "fixed", width: 1, count, bytes };
  }
  if (layout.width > 0) {
    if (left !== count * layout.width) throw fail(`${left} bytes do not hold ${count} values of ${layout.width}`);
    return { kind: "fixed", width: layout.width, count, bytes: cursor.bytes.subarray(cursor.position) };
  }
  if (count * LENGTH_BYTES > left) throw fail(`${left} bytes do not hold ${count} values`);
  const { starts, ends } = emptyExtents(count, budget);
  const { bytes } = cursor;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = cursor.position;
  for (let i = 0; i < count; i++) {
    if (position + LENGTH_BYTES > bytes.length) throw fail("the length of a value is cut off");
    const length = view.getUint32(position, true);
    position += LENGTH_BYTES;
    if (length > bytes.length - position) throw fail(`a value of ${length} bytes is longer than what is left`);
    starts[i] = position;
    position += length;
    ends[i] = position;
  }
  if (position !== bytes.length) throw fail("bytes follow after the last value");
  return { kind: "binary", count, heap: bytes, starts, ends };
}

/** Numbers of dictionary entries: a byte with their width, then runs. */
function fromDictionary(cursor: ByteCursor, count: number, { dictionary, budget, fail }: ValueContext): Values {
  if (!dictionary) throw fail("a page refers to a dictionary that is not there");
  const width = cursor.bytes[cursor.position++];
  if (width === undefined || width > 32) throw fail(`dictionary indices have ${width} bits`);
  budget.take(4 * count);
  const indices = new Uint32Array(count);
  // Of a dictionary with one entry, some writers leave the runs out.
  if (width > 0) check(decodeHybrid(cursor, cursor.bytes.length, width, indices), "dictionary indices", fail);
  for (let i = 0; i < count; i++) {
    if ((indices[i] as number) >= dictionary.count) {
      throw fail(`index ${indices[i]} is beyond the dictionary of ${dictionary.count} values`);
    }
  }
  const gathered = gather(dictionary, indices, budget);
  budget.give(4 * count);
  return gathered;
}

function gather(dictionary: Values, indices: Uint32Array, budget: MemoryBudget): Values {
  const count = indices.length;
  if (dictionary.kind === "binary") {
    const { starts, ends } = emptyExtents(count, budget);
    for (let i = 0; i < count; i++) {
      const index = indices[i] as number;
      starts[i] = dictionary.starts[index] as number;
      ends[i] = dictionary.ends[index] as number;
    }
    return { kind: "binary", count, heap: dictionary.heap, starts, ends };
  }
  const { width } = dictionary;
  budget.take(count * width);
  const bytes = new Uint8Array(count * width);
  // Whole words, not floats: a float that is no number would lose bits on its way.
  if (width % 4 === 0) gatherWords(words(dictionary.bytes), indices, new Int32Array(bytes.buffer), width / 4);
  else gatherWords(dictionary.bytes, indices, bytes, width);
  return { kind: "fixed", width, count, bytes };
}

function gatherWords<A extends Int32Array | Uint8Array>(from: A, indices: Uint32Array, to: A, each: number): void {
  if (each === 1) {
    for (let i = 0; i < indices.length; i++) to[i] = from[indices[i] as number] as number;
    return;
  }
  for (let i = 0; i < indices.length; i++) {
    const start = (indices[i] as number) * each;
    for (let word = 0; word < each; word++) to[i * each + word] = from[start + word] as number;
  }
}

/** Booleans as runs, behind their length. */
function decodeRuns(cursor: ByteCursor, count: number, { layout, budget, fail }: ValueContext): Values {
  if (!layout.isBoolean) throw fail("values other than booleans cannot have the encoding RLE");
  budget.take(count);
  const bytes = new Uint8Array(count);
  const { bytes: input, position } = cursor;
  if (position + LENGTH_BYTES > input.length) throw fail("the length of runs is cut off");
  const length = new DataView(input.buffer, input.byteOffset).getUint32(position, true);
  cursor.position += LENGTH_BYTES;
  if (length > input.length - cursor.position) throw fail("runs are cut off");
  check(decodeHybrid(cursor, cursor.position + length, 1, bytes), "booleans", fail);
  return { kind: "fixed", width: 1, count, bytes };
}

function decodeIntegers(cursor: ByteCursor, count: number, { layout, budget, fail }: ValueContext): Values {
  if (!layout.isInteger) throw fail("values other than whole numbers cannot be differences");
  budget.take(count * layout.width);
  const numbers = layout.width === 4 ? new Int32Array(count) : new BigInt64Array(count);
  check(decodeDelta(cursor, numbers), "differences", fail);
  return { kind: "fixed", width: layout.width, count, bytes: new Uint8Array(numbers.buffer) };
}

/** All lengths, then all bytes. */
function decodeLengths(cursor: ByteCursor, count: number, context: ValueContext): Values {
  const { layout, budget, fail } = context;
  if (layout.width > 0) throw fail("values of one length cannot have lengths");
  const lengths = decodeCounts(cursor, count, context);
  const { starts, ends } = emptyExtents(count, budget);
  let position = cursor.position;
  for (let i = 0; i < count; i++) {
    const length = lengths[i] as number;
    if (length < 0 || length > cursor.bytes.length - position) throw fail(`a value has ${length} bytes`);
    starts[i] = position;
    position += length;
    ends[i] = position;
  }
  budget.give(4 * count);
  return { kind: "binary", count, heap: cursor.bytes, starts, ends };
}

/** Each value as the length that it shares with the one before, and the rest. */
function decodePrefixes(cursor: ByteCursor, count: number, context: ValueContext): Values {
  const { layout, budget, fail } = context;
  if (layout.isInteger || layout.isBoolean) throw fail("numbers cannot have the encoding DELTA_BYTE_ARRAY");
  const prefixes = decodeCounts(cursor, count, context);
  const rests = decodeLengths(cursor, count, { ...context, layout: { ...layout, width: 0 } }) as BinaryValues;
  const { starts, ends } = emptyExtents(count, budget);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const prefix = prefixes[i] as number;
    const before = i === 0 ? 0 : (ends[i - 1] as number) - (starts[i - 1] as number);
    if (prefix < 0 || prefix > before) throw fail(`a value shares ${prefix} bytes with one of ${before}`);
    const length = prefix + (rests.ends[i] as number) - (rests.starts[i] as number);
    if (layout.width > 0 && length !== layout.width) throw fail(`a value has ${length} bytes, not ${layout.width}`);
    budget.take(length);
    starts[i] = total;
    total += length;
    if (total > 0xffffffff) throw fail("the values of a page take more than 4 GiB");
    ends[i] = total;
  }
  const heap = new Uint8Array(total);
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number;
    const prefix = prefixes[i] as number;
    if (prefix > 0) heap.copyWithin(start, starts[i - 1] as number, (starts[i - 1] as number) + prefix);
    heap.set(rests.heap.subarray(rests.starts[i], rests.ends[i]), start + prefix);
  }
  budget.give(4 * count);
  if (layout.width > 0) return { kind: "fixed", width: layout.width, count, bytes: heap };
  return { kind: "binary", count, heap, starts, ends };
}

/** The first bytes of all values, then the second ones. */
function decodeSplit(cursor: ByteCursor, count: number, { layout, budget, fail }: ValueContext): Values {
  const { width } = layout;
  if (width === 0 || layout.isBoolean) throw fail("these values cannot have the encoding BYTE_STREAM_SPLIT");
  const left = cursor.bytes.length - cursor.position;
  if (left !== count * width) throw fail(`${left} bytes do not hold ${count} values of ${width}`);
  budget.take(count * width);
  const bytes = new Uint8Array(count * width);
  let position = cursor.position;
  for (let part = 0; part < width; part++) {
    for (let i = 0; i < count; i++) bytes[i * width + part] = cursor.bytes[position++] as number;
  }
  return { kind: "fixed", width, count, bytes };
}

function decodeCounts(cursor: ByteCursor, count: number, { budget, fail }: ValueContext): Int32Array {
  budget.take(4 * count);
  const counts = new Int32Array(count);
  check(decodeDelta(cursor, counts), "lengths", fail);
  return counts;
}

/** Views bytes as words, where they lie or, when they are not aligned, in a copy. */
function words(bytes: Uint8Array): Int32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Int32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >>> 2);
}

function emptyExtents(count: number, budget: MemoryBudget): { starts: Uint32Array; ends: Uint32Array } {
  budget.take(8 * count);
  return { starts: new Uint32Array(count), ends: new Uint32Array(count) };
}

function check(reason: string | undefined, what: string, fail: (reason: string) => KdataError): void {
  if (reason !== undefined) throw fail(`${what} are damaged: ${reason}`);
}
