// One column of one row group, decoded: its values one after another, and where in them each row begins.

import { viewElements, type TensorData } from "../core/tensor.ts";
import type { MemoryBudget } from "./parquet-budget.ts";
import type { ColumnChunk } from "./parquet-footer.ts";
import { decodePages, type ChunkFail, type DecodedPage } from "./parquet-pages.ts";
import type { Leaf } from "./parquet-schema.ts";
import { noValues, type BinaryValues, type FixedValues, type ValueLayout, type Values } from "./parquet-values.ts";

/** Days from the Julian epoch to 1970-01-01, and nanoseconds of a day: what INT96 counts in. */
const JULIAN_DAYS = 2_440_588n;
const DAY_NANOSECONDS = 86_400_000_000_000n;

/** A column of a row group. An entry is a value, a null, or a list that is empty or null; without levels every entry is a value. */
export interface DecodedColumn {
  readonly leaf: Leaf;
  /** The values as the file has them. */
  readonly values: Values;
  /** The values of a column of numbers. */
  readonly numbers: TensorData | undefined;
  readonly definition: Uint8Array | undefined;
  readonly repetition: Uint8Array | undefined;
  /** The first entry of each row, and the number of entries; `undefined` where every row is one entry. */
  readonly rowEntries: Uint32Array | undefined;
  /** The same of values; `undefined` where every row is one value. */
  readonly rowValues: Uint32Array | undefined;
}

/**
 * Decodes the bytes of a column chunk, which must make so many rows.
 *
 * @throws {KdataError} what is wrong in a page, `format` when there are other rows or a number is out of the range of its dtype, `limit`.
 */
export function decodeChunk(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  leaf: Leaf,
  rows: number,
  budget: MemoryBudget,
  fail: ChunkFail,
): DecodedColumn {
  function refuse(reason: string) {
    return fail("format", reason, chunk.start);
  }
  if (chunk.type !== leaf.element.type) throw refuse(`it has values of type ${chunk.type}, not ${leaf.element.type}`);
  const layout = layoutOf(leaf, chunk);
  const pages = [...decodePages(bytes, { chunk, leaf, layout, budget, fail })];
  const values = joinValues(pages, layout, budget, refuse);
  const definition = joinLevels(pages, "definition", leaf.maxDefinition, chunk.entries, budget);
  const repetition = joinLevels(pages, "repetition", 0, chunk.entries, budget);
  const starts = rowStarts(leaf, chunk.entries, definition, repetition, rows, budget);
  if (starts === undefined) throw refuse(`its values do not make the ${rows} rows of the group`);
  return { leaf, values, numbers: numbersOf(leaf, values, budget, refuse), definition, repetition, ...starts };
}

function layoutOf({ type }: Leaf, chunk: ColumnChunk): ValueLayout {
  return {
    width: type.width,
    isBoolean: chunk.type === "BOOLEAN",
    isInteger: chunk.type === "INT32" || chunk.type === "INT64",
  };
}

function joinValues(
  pages: readonly DecodedPage[],
  layout: ValueLayout,
  budget: MemoryBudget,
  refuse: (reason: string) => Error,
): Values {
  const [first] = pages;
  if (!first) return noValues(layout);
  if (pages.length === 1 && first.values.kind === "binary") return first.values;
  const count = pages.reduce((sum, { values }) => sum + values.count, 0);
  if (layout.width > 0) return joinFixed(pages as readonly { values: FixedValues }[], count, layout.width, budget);
  return joinBinary(pages as readonly { values: BinaryValues }[], count, budget, refuse);
}

/** Copied even when it is one page: its bytes may begin anywhere, and belong to a block that is read over. */
function joinFixed(
  pages: readonly { values: FixedValues }[],
  count: number,
  width: number,
  budget: MemoryBudget,
): FixedValues {
  budget.take(count * width);
  const bytes = new Uint8Array(count * width);
  let filled = 0;
  for (const { values } of pages) {
    bytes.set(values.bytes, filled);
    filled += values.bytes.length;
  }
  return { kind: "fixed", width, count, bytes };
}

/** Each heap once: the pages of a dictionary share one. */
function joinBinary(
  pages: readonly { values: BinaryValues }[],
  count: number,
  budget: MemoryBudget,
  refuse: (reason: string) => Error,
): BinaryValues {
  const offsets = new Map<Uint8Array, number>();
  let length = 0;
  for (const { values } of pages) {
    if (offsets.has(values.heap)) continue;
    offsets.set(values.heap, length);
    length += values.heap.length;
  }
  if (length > 0xffffffff) throw refuse("its values take more than 4 GiB");
  budget.take(length + 8 * count);
  const heap = new Uint8Array(length);
  for (const [part, offset] of offsets) heap.set(part, offset);
  const starts = new Uint32Array(count);
  const ends = new Uint32Array(count);
  let filled = 0;
  for (const { values } of pages) {
    const offset = offsets.get(values.heap) ?? 0;
    for (let i = 0; i < values.count; i++) {
      starts[filled] = offset + (values.starts[i] as number);
      ends[filled] = offset + (values.ends[i] as number);
      filled++;
    }
  }
  return { kind: "binary", count, heap, starts, ends };
}

/** `undefined` when no page has levels; a page without has `none` everywhere. */
function joinLevels(
  pages: readonly DecodedPage[],
  which: "definition" | "repetition",
  none: number,
  entries: number,
  budget: MemoryBudget,
): Uint8Array | undefined {
  if (pages.every((page) => page[which] === undefined)) return undefined;
  const [first] = pages;
  if (pages.length === 1) return first?.[which];
  budget.take(entries);
  const levels = new Uint8Array(entries);
  let filled = 0;
  for (const page of pages) {
    const part = page[which];
    if (part) levels.set(part, filled);
    else levels.fill(none, filled, filled + page.entries);
    filled += page.entries;
  }
  return levels;
}

/** Finds where rows begin; `undefined` when there are other rows than there must be. */
function rowStarts(
  { maxDefinition }: Leaf,
  entries: number,
  definition: Uint8Array | undefined,
  repetition: Uint8Array | undefined,
  rows: number,
  budget: MemoryBudget,
): { rowEntries: Uint32Array | undefined; rowValues: Uint32Array | undefined } | undefined {
  if (!repetition && entries !== rows) return undefined;
  if (!repetition && !definition) return { rowEntries: undefined, rowValues: undefined };
  // A row has an entry at least.
  if (rows > entries) return undefined;
  budget.take(repetition ? 8 * (rows + 1) : 4 * (rows + 1));
  const rowEntries = repetition && new Uint32Array(rows + 1);
  const rowValues = new Uint32Array(rows + 1);
  let row = 0;
  let value = 0;
  for (let entry = 0; entry < entries; entry++) {
    if (!repetition || repetition[entry] === 0) {
      if (row === rows) return undefined;
      if (rowEntries) rowEntries[row] = entry;
      rowValues[row] = value;
      row++;
    } else if (entry === 0) return undefined;
    if (!definition || definition[entry] === maxDefinition) value++;
  }
  if (row !== rows) return undefined;
  if (rowEntries) rowEntries[rows] = entries;
  rowValues[rows] = value;
  return { rowEntries, rowValues };
}

function numbersOf(
  { type }: Leaf,
  values: Values,
  budget: MemoryBudget,
  refuse: (reason: string) => Error,
): TensorData | undefined {
  if (type.kind !== "number" || values.kind !== "fixed") return undefined;
  const { bytes, count } = values;
  if (type.width === 12) return nanosecondsOf(bytes, count, budget, refuse);
  const { dtype } = type;
  if (dtype !== "int8" && dtype !== "uint8" && dtype !== "int16" && dtype !== "uint16") {
    return viewElements(dtype, bytes.buffer, bytes.byteOffset, count);
  }
  const wide = new Int32Array(bytes.buffer, bytes.byteOffset, count);
  budget.take(2 * count);
  const numbers = viewElements(dtype, new ArrayBuffer(count * (dtype.endsWith("8") ? 1 : 2)), 0, count);
  for (let i = 0; i < count; i++) {
    numbers[i] = wide[i] as number;
    if (numbers[i] !== wide[i]) throw refuse(`the number ${wide[i]} is out of the range of ${dtype}`);
  }
  return numbers;
}

/** The nanosecond of the day (64 bits) and the Julian day (32 bits), as Impala and Spark wrote timestamps. */
function nanosecondsOf(
  bytes: Uint8Array,
  count: number,
  budget: MemoryBudget,
  refuse: (reason: string) => Error,
): BigInt64Array {
  budget.take(8 * count);
  const numbers = new BigInt64Array(count);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < count; i++) {
    const day = BigInt(view.getUint32(12 * i + 8, true)) - JULIAN_DAYS;
    const nanoseconds = day * DAY_NANOSECONDS + view.getBigInt64(12 * i, true);
    numbers[i] = nanoseconds;
    if (numbers[i] !== nanoseconds) throw refuse("a timestamp is beyond what 64 bits of nanoseconds hold");
  }
  return numbers;
}
