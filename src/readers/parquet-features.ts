// The features of a row out of the decoded columns of its row group.

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import type { Feature, JsonValue } from "../core/sample.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import type { DecodedColumn } from "./parquet-chunk.ts";
import { RowAssembler } from "./parquet-nested.ts";
import { applyNote, type ParquetNote } from "./parquet-notes.ts";
import type { Leaf, Nesting, ParquetField } from "./parquet-schema.ts";
import { decodeUtf8, parseJson } from "./text.ts";

/** A field, and what kdata noted about it. */
export interface NotedField {
  readonly field: ParquetField;
  readonly note: ParquetNote | undefined;
  /** The column of the shapes of each row, where there is one. */
  readonly shapes: ParquetField | undefined;
}

/** The decoded columns of one row group, and how to name a row of it in messages. */
export interface RowGroupData {
  /** The number of the first record. */
  readonly start: number;
  readonly rows: number;
  column(leaf: Leaf): DecodedColumn;
  at(row: number): Position;
}

/**
 * Makes the feature of a row, counted from the first one of the group; `undefined` where it is null. Tensors and bytes are views.
 *
 * @throws {KdataError} `format` when text is not what it must be, or columns and notes contradict each other; `unsupported` for what no
 *   feature can hold; the message names the feature.
 */
export function featureOf({ field, note, shapes }: NotedField, group: RowGroupData, row: number): Feature | undefined {
  const context = new FieldContext(field, group, row);
  const stored = storedFeature(field, context);
  if (!note || stored === undefined) return stored;
  if (typeof stored === "string" || (!(stored instanceof Uint8Array) && !("dtype" in stored))) {
    throw context.fail("format", `is noted as ${note[0]}, but holds something else`);
  }
  const shape = shapes && shapeOf(shapes, group, row);
  const made = applyNote(note, stored, shape);
  if (typeof made === "string") throw context.fail("format", `does not fit its note: ${made}`);
  return made;
}

/** What messages about one field of one row need. */
class FieldContext {
  readonly name: string;
  readonly group: RowGroupData;
  readonly row: number;

  constructor({ name }: ParquetField, group: RowGroupData, row: number) {
    this.name = name;
    this.group = group;
    this.row = row;
  }

  get what(): string {
    return `Cannot read parquet: the feature "${this.name}"`;
  }

  get at(): Position {
    return this.group.at(this.row);
  }

  fail(code: ErrorCode, reason: string, hint?: string): KdataError {
    return new KdataError(code, `${this.what} ${reason}`, { at: this.at, ...(hint !== undefined && { hint }) });
  }
}

function storedFeature({ nesting, leaves }: ParquetField, context: FieldContext): Feature | undefined {
  if (nesting.kind === "leaf") return valueFeature(nesting.leaf, context);
  if (nesting.kind === "list" && nesting.element.kind === "leaf") {
    const { leaf } = nesting.element;
    if (leaf.type.kind === "number" || leaf.type.kind === "bytes") {
      return listFeature(leaf, nesting.elementDefinition, context);
    }
  }
  const [leaf] = leaves;
  const rank = leaf?.type.kind === "number" ? listRank(nesting) : undefined;
  if (leaf && rank !== undefined) return nestedTensor(leaf, rank, nesting, context);
  const json = assemble(nesting, leaves, context, (column, value) => jsonValue(column, value, context));
  return json === null ? undefined : { json };
}

function valueFeature(leaf: Leaf, context: FieldContext): Feature | undefined {
  const column = context.group.column(leaf);
  const { row } = context;
  const value = column.rowValues?.[row] ?? row;
  if (column.rowValues && column.rowValues[row + 1] === value) return undefined;
  const { type } = leaf;
  if (type.kind === "number") return numbersOf(column, [], value, value + 1);
  if (type.kind === "bytes") return bytesAt(column, value);
  if (type.kind === "json") return { json: parseJson(bytesAt(column, value), context.what, context.at) };
  return textAt(column, value, context);
}

/** A list of numbers is a tensor of one axis, a list of bytes is one too. */
function listFeature(leaf: Leaf, elementDefinition: number, context: FieldContext): Feature | undefined {
  const column = context.group.column(leaf);
  const { row } = context;
  const entry = column.rowEntries?.[row] ?? row;
  const entries = (column.rowEntries?.[row + 1] ?? row + 1) - entry;
  const value = column.rowValues?.[row] ?? entry;
  const end = column.rowValues?.[row + 1] ?? entry + entries;
  const level = column.definition?.[entry] ?? leaf.maxDefinition;
  if (level < elementDefinition - 1) return undefined;
  if (level >= elementDefinition && end - value !== entries) throw nullElement(context);
  if (leaf.type.kind === "number") return numbersOf(column, [end - value], value, end);
  return Array.from({ length: end - value }, (_, i) => bytesAt(column, value + i));
}

function nullElement(context: FieldContext): KdataError {
  return context.fail(
    "unsupported",
    "is a list with a null in it, which no tensor can hold",
    "Leave it out, or fill its nulls first.",
  );
}

/** Lists in lists of numbers. */
function nestedTensor(leaf: Leaf, rank: number, nesting: Nesting, context: FieldContext): Tensor | undefined {
  const column = context.group.column(leaf);
  const numbers = assemble(nesting, [leaf], context, (_, value) => value);
  if (numbers === null) return undefined;
  const shape = rectangle(numbers, rank);
  if (shape === "null") throw nullElement(context);
  if (shape === "ragged") {
    throw context.fail("unsupported", "is a list of lists of different lengths, which no tensor can hold");
  }
  const value = column.rowValues?.[context.row] ?? context.row;
  return numbersOf(column, shape, value, value + elementCount(shape));
}

/** The shape of nested arrays; the axes behind an empty one are 0. */
function rectangle(value: JsonValue, rank: number): number[] | "null" | "ragged" {
  if (value === null) return "null";
  if (!Array.isArray(value)) return [];
  const items = value as readonly JsonValue[];
  let shape: number[] = Array.from({ length: rank - 1 }, () => 0);
  for (const [i, item] of items.entries()) {
    const found = rectangle(item, rank - 1);
    if (typeof found === "string") return found;
    if (i > 0 && found.some((size, axis) => size !== shape[axis])) return "ragged";
    shape = found;
  }
  return [items.length, ...shape];
}

function listRank(nesting: Nesting): number | undefined {
  if (nesting.kind === "leaf") return 0;
  if (nesting.kind === "struct") return undefined;
  const rank = listRank(nesting.element);
  return rank === undefined ? undefined : rank + 1;
}

function assemble(
  nesting: Nesting,
  leaves: readonly Leaf[],
  context: FieldContext,
  valueOf: (column: DecodedColumn, value: number) => JsonValue,
): JsonValue {
  const columns = leaves.map((leaf) => context.group.column(leaf));
  const assembler = new RowAssembler(columns, context.row, valueOf);
  const value = assembler.take(nesting);
  if (value === undefined || !assembler.isDone) {
    throw context.fail("format", "is damaged: its columns disagree about the lengths of lists");
  }
  return value;
}

function jsonValue(column: DecodedColumn, value: number, context: FieldContext): JsonValue {
  const { type } = column.leaf;
  if (type.kind === "json") return parseJson(bytesAt(column, value), context.what, context.at);
  if (type.kind === "bytes") {
    throw context.fail(
      "unsupported",
      "has bytes in its groups, which JSON cannot hold",
      "Leave it out by naming the others.",
    );
  }
  if (type.kind !== "number") return textAt(column, value, context);
  const number = column.numbers?.[value] ?? 0;
  if (type.dtype === "bool") return number !== 0;
  if (type.dtype === "float16" || !Number.isFinite(Number(number)) || Object.is(number, -0)) {
    throw context.fail(
      "unsupported",
      `has the number ${number} of ${type.dtype} in its groups, which JSON cannot hold`,
    );
  }
  if (typeof number !== "bigint") return number;
  if (BigInt(Number(number)) === number && Number.isSafeInteger(Number(number))) return Number(number);
  throw context.fail(
    "unsupported",
    `has the whole number ${number} in its groups, which JSON numbers cannot hold exactly`,
  );
}

function numbersOf({ leaf, numbers }: DecodedColumn, shape: readonly number[], start: number, end: number): Tensor {
  const { type } = leaf;
  if (type.kind !== "number" || !numbers) throw new TypeError("Cannot view numbers of a column of something else");
  return { dtype: type.dtype, shape, data: numbers.subarray(start, end) };
}

function bytesAt({ values }: DecodedColumn, value: number): Uint8Array {
  if (values.kind === "binary") return values.heap.subarray(values.starts[value], values.ends[value]);
  return values.bytes.subarray(value * values.width, (value + 1) * values.width);
}

/** Strings, and what is shown as one. */
function textAt(column: DecodedColumn, value: number, context: FieldContext): string {
  const bytes = bytesAt(column, value);
  const { type } = column.leaf;
  if (type.kind === "decimal") return decimalText(bytes, type.scale, type.isBigEndian);
  if (type.kind !== "uuid") return decodeUtf8(bytes, context.what, context.at);
  const digits = Buffer.from(bytes).toString("hex");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Writes a number of two's complement with `scale` digits behind the point. */
function decimalText(bytes: Uint8Array, scale: number, isBigEndian: boolean): string {
  const ordered = isBigEndian ? bytes : bytes.toReversed();
  const unscaled = BigInt.asIntN(8 * bytes.length, BigInt(`0x0${Buffer.from(ordered).toString("hex")}`));
  const sign = unscaled < 0n ? "-" : "";
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function shapeOf(shapes: ParquetField, group: RowGroupData, row: number): readonly number[] | undefined {
  const context = new FieldContext(shapes, group, row);
  const stored = storedFeature(shapes, context);
  if (stored === undefined) return undefined;
  if (typeof stored === "string" || stored instanceof Uint8Array || !("dtype" in stored) || stored.dtype !== "int64") {
    throw context.fail("format", "holds no shapes");
  }
  const sizes = Array.from(stored.data as BigInt64Array, Number);
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0)) throw context.fail("format", "holds no shape");
  return sizes;
}
