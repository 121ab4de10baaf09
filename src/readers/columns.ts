// Whole shards as columns: many rows of each feature at a time, in memory that is reused.

import { KdataError } from "../core/errors.ts";
import { isTensor, type Sample } from "../core/sample.ts";
import { elementCount, zeros, type Tensor } from "../core/tensor.ts";
import type { ColumnReader, ColumnRows, ColumnSpec, ShardReader } from "./format.ts";
import { copySampleRow, otherColumns } from "./row-copy.ts";

/** Rows of one {@link ColumnBatch} unless the caller says it. */
const DEFAULT_ROWS = 1024;

/** Consecutive records of a shard, each feature stacked along a new leading axis. */
export interface ColumnBatch {
  /** The number of the first record. */
  readonly start: number;
  readonly size: number;
  readonly features: Readonly<Record<string, Tensor>>;
}

/**
 * Reads a shard whose features are tensors of one dtype and shape in every record, in order, as columns: what its samples hold,
 * bit for bit and with all checks, faster where the format can do it.
 *
 * A feature of shape `[...s]` becomes `[size, ...s]`; `rows` records at a time, fewer in the last batch. The memory is reused: a
 * batch is valid until the next one is taken. The first record says which features there are.
 *
 * @throws {KdataError} `shape` when a feature is no tensor or a record has other features than the first one; what the reader
 *   finds, with the position.
 *
 * @example
 * const { format, shards } = await findDataset("fixtures/tfrecord/rows.tfrecord");
 * const reader = openShard(format, shards[0]!);
 * let sum = 0;
 * for (const { size } of readColumns(reader, { rows: 8 })) sum += size;
 * assert.equal(sum, reader.count());
 */
export function* readColumns(
  reader: ShardReader,
  { rows = DEFAULT_ROWS }: { readonly rows?: number } = {},
): Generator<ColumnBatch> {
  if (!Number.isSafeInteger(rows) || rows < 1)
    throw new RangeError(`Cannot read columns: rows must be at least 1, not ${rows}`);
  const columns = firstColumns(reader);
  if (columns === undefined) return;
  const tensors = columns.map(({ dtype, shape }) => zeros(dtype, [rows, ...shape]));
  const into: ColumnRows = { columns: tensors.map(({ data }) => data) };
  const source = reader.columns?.(columns) ?? new SampleColumns(reader, columns);
  for (let start = 0; ;) {
    const size = source.next(into, 0, rows);
    if (size > 0) yield { start, size, features: viewRows(columns, tensors, size) };
    if (size < rows) return;
    start += size;
  }
}

/** The columns of samples like this one, in the order of its features; the name of the first feature that is no tensor. */
export function columnsOf({ features }: Sample): readonly ColumnSpec[] | string {
  const columns: ColumnSpec[] = [];
  for (const [name, feature] of Object.entries(features)) {
    if (!isTensor(feature)) return name;
    columns.push({ name, dtype: feature.dtype, shape: [...feature.shape] });
  }
  return columns;
}

function firstColumns(reader: ShardReader): readonly ColumnSpec[] | undefined {
  for (const sample of reader.samples()) {
    const columns = columnsOf(sample);
    if (typeof columns !== "string") return columns;
    throw new KdataError("shape", `Cannot read columns: the feature "${columns}" is no tensor`, {
      at: sample.origin,
      hint: "Name the features that are, or say what it must be, with the option features.",
    });
  }
  return undefined;
}

function viewRows(columns: readonly ColumnSpec[], tensors: readonly Tensor[], size: number): Record<string, Tensor> {
  const features = Object.create(null) as Record<string, Tensor>;
  for (const [i, { name, dtype, shape }] of columns.entries()) {
    const data = tensors[i]?.data.subarray(0, size * elementCount(shape));
    if (data) features[name] = { dtype, shape: [size, ...shape], data };
  }
  return features;
}

/** Columns of a format that reads samples only. */
class SampleColumns implements ColumnReader {
  readonly #reader: ShardReader;
  readonly #columns: readonly ColumnSpec[];
  #samples: Iterator<Sample> | undefined;

  constructor(reader: ShardReader, columns: readonly ColumnSpec[]) {
    this.#reader = reader;
    this.#columns = columns;
  }

  read(records: ArrayLike<number>, into: ColumnRows, row: number): number {
    for (let done = 0; done < records.length; done++) {
      const sample = this.#reader.read(records[done] as number);
      if (!copySampleRow(sample, this.#columns, into.columns, row + done)) return done;
      into.keys?.push(sample.key);
    }
    return records.length;
  }

  next(into: ColumnRows, row: number, count: number): number {
    this.#samples ??= this.#reader.samples()[Symbol.iterator]();
    for (let done = 0; done < count; done++) {
      const next = this.#samples.next();
      if (next.done === true) return done;
      if (!copySampleRow(next.value, this.#columns, into.columns, row + done))
        throw otherColumns(next.value, this.#columns);
      into.keys?.push(next.value.key);
    }
    return count;
  }
}
