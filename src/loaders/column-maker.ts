// Batches without a sample for each row: where a format reads columns and every transform works on stacked samples. The result is
// bit for bit that of the way by samples, which makes every batch that this one leaves.

import { KdataError } from "../core/errors.ts";
import { emptyFeatures, isTensor, type Sample } from "../core/sample.ts";
import { copyElements, elementCount, zeros, type Tensor, type TensorData } from "../core/tensor.ts";
import { columnsOf } from "../readers/columns.ts";
import type { ColumnSpec } from "../readers/format.ts";
import type { SampleTransformDescription } from "../transforms/registry.ts";
import { buildRowsTransform, type RowsTransform } from "../transforms/rows.ts";
import { layOut, startFilling, type CollatedBatch } from "./collate.ts";
import type { RecordReader } from "./record-reader.ts";
import type { ColumnTimes } from "./timings.ts";

/** Fewer rows are not worth the memory that is kept for them. */
const LEAST_ROWS = 2;

/** A batch, and when its parts were done, as `performance.now()` gives it. */
export interface ColumnBatch<M extends ArrayBufferLike> extends ColumnTimes {
  readonly batch: CollatedBatch<M>;
}

/** Makes batches from columns. */
export class ColumnMaker {
  readonly #reader: RecordReader;
  readonly #transforms: readonly RowsTransform[];
  #columns: readonly ColumnSpec[] | undefined;
  #stage: readonly TensorData[] = [];
  #stageRows = 0;

  private constructor(reader: RecordReader, transforms: readonly RowsTransform[]) {
    this.#reader = reader;
    this.#transforms = transforms;
  }

  /** `undefined` where a transform needs samples. */
  static create(reader: RecordReader, descriptions: readonly SampleTransformDescription[]): ColumnMaker | undefined {
    const transforms = descriptions.map(buildRowsTransform);
    const known = transforms.filter((transform) => transform !== undefined);
    return known.length === transforms.length ? new ColumnMaker(reader, known) : undefined;
  }

  /**
   * Makes the batch of these records. `undefined`: it must be made sample by sample, and so must the ones after it, unless a sample
   * of this one proves bad. An error, too, is left to that way, where it has the position of its sample and comes in the order of the samples.
   */
  make<M extends ArrayBufferLike>(
    records: Float64Array,
    allocate: (byteLength: number) => M,
  ): ColumnBatch<M> | undefined {
    try {
      return this.#make(records, allocate);
    } catch (error) {
      if (error instanceof KdataError) return undefined;
      throw error;
    }
  }

  #make<M extends ArrayBufferLike>(
    records: Float64Array,
    allocate: (byteLength: number) => M,
  ): ColumnBatch<M> | undefined {
    const [first] = records;
    if (first === undefined || records.length < LEAST_ROWS) return undefined;
    const columns = (this.#columns ??= this.#findColumns(first));
    if (columns.length === 0) return undefined;
    const stage = this.#stageFor(columns, records.length);
    const keys: string[] = [];
    if (!this.#reader.readRows(records, columns, { columns: stage, keys })) return undefined;
    const readAt = performance.now();
    const transformedAt: number[] = [];
    let sample: Sample | undefined = stackedSample(columns, stage, records.length);
    for (const transform of this.#transforms) {
      sample = transform(sample);
      if (!sample) return undefined;
      transformedAt.push(performance.now());
    }
    return { batch: collate(sample, records.length, keys, allocate), readAt, transformedAt };
  }

  /** None where the first record has none, or the format reads samples only. */
  #findColumns(record: number): readonly ColumnSpec[] {
    const columns = columnsOf(this.#reader.read(record));
    return typeof columns === "string" || !this.#reader.hasColumns(record, columns) ? [] : columns;
  }

  #stageFor(columns: readonly ColumnSpec[], rows: number): readonly TensorData[] {
    if (this.#stageRows < rows) {
      this.#stage = columns.map(({ dtype, shape }) => zeros(dtype, [rows, ...shape]).data);
      this.#stageRows = rows;
    }
    return this.#stage;
  }
}

function stackedSample(columns: readonly ColumnSpec[], stage: readonly TensorData[], rows: number): Sample {
  const features = emptyFeatures();
  for (const [i, { name, dtype, shape }] of columns.entries()) {
    const data = stage[i]?.subarray(0, rows * elementCount(shape));
    if (data) features[name] = { dtype, shape: [rows, ...shape], data };
  }
  return { key: "", origin: { source: "", record: 0 }, features };
}

function collate<M extends ArrayBufferLike>(
  stacked: Sample,
  rows: number,
  keys: readonly string[],
  allocate: (byteLength: number) => M,
): CollatedBatch<M> {
  const stacks = Object.entries(stacked.features).filter((entry): entry is [string, Tensor] => isTensor(entry[1]));
  const row = emptyFeatures();
  for (const [name, { dtype, shape, data }] of stacks) row[name] = { dtype, shape: shape.slice(1), data };
  const { columns, byteLength } = layOut({ ...stacked, features: row }, rows);
  const memory = allocate(byteLength);
  for (const column of columns) {
    const { data } = startFilling(column, memory);
    const stack = stacks.find(([name]) => name === column.name);
    if (stack && data) copyElements(data, stack[1].data);
  }
  return { memory, columns, keys };
}
