// Columns of numbers copied from decoded row groups into the caller's rows, without a sample for each.

import type { Sample } from "../core/sample.ts";
import { elementCount, type TensorData } from "../core/tensor.ts";
import type { ColumnReader, ColumnRows, ColumnSpec } from "./format.ts";
import type { DecodedColumn } from "./parquet-chunk.ts";
import type { NotedField, RowGroupData } from "./parquet-features.ts";
import { storedDType } from "./parquet-notes.ts";
import type { Leaf } from "./parquet-schema.ts";
import { copySampleRow, otherColumns } from "./row-copy.ts";

/** What a reader of columns needs of its shard. */
export interface ColumnShard {
  readonly records: number;
  /** The row group of a record, decoded. */
  group(record: number): RowGroupData;
  key(group: RowGroupData, row: number): string;
  sample(record: number): Sample;
}

/** A column, and how many elements a row has. */
interface CopiedColumn {
  readonly leaf: Leaf;
  readonly elements: number;
}

/**
 * Makes a reader of columns where each is a scalar or a list of numbers of a known size; `undefined` where another one is wanted, or
 * the samples have other features too.
 */
export function parquetColumns(
  columns: readonly ColumnSpec[],
  fields: readonly NotedField[],
  shard: ColumnShard,
): ColumnReader | undefined {
  if (columns.length !== fields.length) return undefined;
  const copied: CopiedColumn[] = [];
  for (const column of columns) {
    const noted = fields.find(({ field }) => field.name === column.name);
    const leaf = noted && leafOf(column, noted);
    if (!leaf) return undefined;
    copied.push({ leaf, elements: elementCount(column.shape) });
  }
  return new ParquetColumns(columns, copied, shard);
}

/** The leaf whose values are the elements of a column, one row after another. */
function leafOf({ dtype, shape }: ColumnSpec, { field, note, shapes }: NotedField): Leaf | undefined {
  const { nesting } = field;
  const isList = nesting.kind === "list";
  const inner = isList ? nesting.element : nesting;
  if (inner.kind !== "leaf" || inner.leaf.type.kind !== "number" || shapes) return undefined;
  // An empty list cannot be told from a null one by its values alone.
  if (elementCount(shape) === 0 || inner.leaf.type.dtype !== storedDType(dtype)) return undefined;
  if (!note) return inner.leaf.type.dtype === dtype && shape.length === (isList ? 1 : 0) ? inner.leaf : undefined;
  const noted = note[1] ?? (shape.length === 1 ? shape : undefined);
  const isNoted = note[0] === dtype && noted?.length === shape.length && noted.every((size, i) => size === shape[i]);
  return isNoted ? inner.leaf : undefined;
}

class ParquetColumns implements ColumnReader {
  readonly #columns: readonly ColumnSpec[];
  readonly #copied: readonly CopiedColumn[];
  readonly #shard: ColumnShard;
  #next = 0;

  constructor(columns: readonly ColumnSpec[], copied: readonly CopiedColumn[], shard: ColumnShard) {
    this.#columns = columns;
    this.#copied = copied;
    this.#shard = shard;
  }

  read(records: ArrayLike<number>, into: ColumnRows, row: number): number {
    const { length } = records;
    for (let done = 0; done < length;) {
      const first = records[done] as number;
      let run = 1;
      while (done + run < length && records[done + run] === first + run) run++;
      const copied = this.#copy(first, into, row + done, run);
      done += copied;
      if (copied < run) return done;
    }
    return length;
  }

  next(into: ColumnRows, row: number, count: number): number {
    const wanted = Math.min(count, this.#shard.records - this.#next);
    const copied = this.#copy(this.#next, into, row, wanted);
    this.#next += copied;
    if (copied < wanted) throw otherColumns(this.#shard.sample(this.#next), this.#columns);
    return copied;
  }

  /** Copies records that follow one another; says how many have these columns. */
  #copy(first: number, into: ColumnRows, row: number, count: number): number {
    for (let done = 0; done < count;) {
      const record = first + done;
      // Says whether there is such a record, as samples do.
      if (record >= this.#shard.records) this.#shard.sample(record);
      const group = this.#shard.group(record);
      const start = record - group.start;
      const run = Math.min(count - done, group.rows - start);
      if (this.#copyRun(group, start, into, row + done, run)) {
        for (let i = 0; into.keys && i < run; i++) into.keys.push(this.#shard.key(group, start + i));
        done += run;
        continue;
      }
      // Somewhere in the run a value is missing or there are others: one row at a time finds it.
      for (let i = 0; i < run; i++) {
        const sample = this.#shard.sample(record + i);
        if (!copySampleRow(sample, this.#columns, into.columns, row + done + i)) return done + i;
        into.keys?.push(sample.key);
      }
      done += run;
    }
    return count;
  }

  #copyRun(group: RowGroupData, start: number, into: ColumnRows, row: number, run: number): boolean {
    const starts = this.#copied.map(({ leaf, elements }) => firstValue(group.column(leaf), start, run, elements));
    if (starts.includes(undefined)) return false;
    for (const [i, { leaf, elements }] of this.#copied.entries()) {
      const from = starts[i] as number;
      const values = group.column(leaf).numbers?.subarray(from, from + run * elements);
      // Both have one dtype, or one of the same size: any one of them stands for all.
      if (values) (into.columns[i] as Uint8Array).set(values as TensorData<"uint8">, row * elements);
    }
    return true;
  }
}

/** The first of the values of consecutive rows; `undefined` where one of them has not `elements` values, or has nulls. */
function firstValue(column: DecodedColumn, start: number, run: number, elements: number): number | undefined {
  const { rowEntries, rowValues } = column;
  if (!rowValues) return elements === 1 ? start : undefined;
  const from = rowValues[start] as number;
  const firstEntry = rowEntries?.[start] ?? start;
  for (let i = 1; i <= run; i++) {
    if ((rowValues[start + i] as number) !== from + i * elements) return undefined;
    if ((rowEntries?.[start + i] ?? start + i) - firstEntry !== i * elements) return undefined;
  }
  return from;
}
