// Batches without a sample for each row: where a format reads columns and every transform works on stacked samples. The result is
// bit for bit that of the way by samples, which makes every batch that this one leaves.

import { KdataError } from "../core/errors.ts";
import { emptyFeatures, isTensor, type Sample } from "../core/sample.ts";
import { copyElements, elementCount, viewElements, zeros, type Tensor, type TensorData } from "../core/tensor.ts";
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

/** Where the transforms compute nothing: one row of their result, and for each feature of it the number of the column that it is. */
interface Passage {
  readonly row: Sample;
  readonly columnOf: ReadonlyMap<string, number>;
}

/** Makes batches from columns. */
export class ColumnMaker {
  readonly #reader: RecordReader;
  readonly #transforms: readonly RowsTransform[];
  #columns: readonly ColumnSpec[] | undefined;
  #passage: Passage | undefined;
  /** For each column the memory of its rows, as far as they are not read into that of the batch. */
  #stage: TensorData[] = [];
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
    if (this.#passage) return this.#makeInPlace(records, columns, this.#passage, allocate);
    const stage = this.#stageFor(columns, records.length);
    const keys: string[] = [];
    if (!this.#reader.readRows(records, columns, { columns: stage, keys })) return undefined;
    const readAt = performance.now();
    const { sample, transformedAt } = this.#transform(stackedSample(columns, stage, records.length));
    return sample && { batch: collate(sample, records.length, keys, allocate), readAt, transformedAt };
  }

  /** Reads straight into the memory of the batch. */
  #makeInPlace<M extends ArrayBufferLike>(
    records: Float64Array,
    columns: readonly ColumnSpec[],
    { row, columnOf }: Passage,
    allocate: (byteLength: number) => M,
  ): ColumnBatch<M> | undefined {
    const rows = records.length;
    const { columns: placed, byteLength } = layOut(row, rows);
    const memory = allocate(byteLength);
    const targets = [...this.#stageFor(columns, rows)];
    for (const { name, ...column } of placed) {
      const place = columnOf.get(name);
      if (column.kind !== "tensor" || place === undefined) return undefined;
      const { dtype, shape, byteOffset } = column;
      targets[place] = viewElements(dtype, memory, byteOffset, elementCount(shape));
    }
    const keys: string[] = [];
    if (!this.#reader.readRows(records, columns, { columns: targets, keys })) return undefined;
    const readAt = performance.now();
    return { batch: { memory, columns: placed, keys }, readAt, transformedAt: this.#transforms.map(() => readAt) };
  }

  #transform(stacked: Sample): { readonly sample: Sample | undefined; readonly transformedAt: number[] } {
    const transformedAt: number[] = [];
    let sample: Sample | undefined = stacked;
    for (const transform of this.#transforms) {
      sample = transform(sample);
      if (!sample) break;
      transformedAt.push(performance.now());
    }
    return { sample, transformedAt };
  }

  /** None where the first record has none, or the format reads samples only. */
  #findColumns(record: number): readonly ColumnSpec[] {
    const columns = columnsOf(this.#reader.read(record));
    if (typeof columns === "string" || !this.#reader.hasColumns(record, columns)) return [];
    this.#passage = this.#findPassage(columns);
    return columns;
  }

  /**
   * Transforms rows of zeros: what comes out as the very memory that went in was chosen, named or shaped anew, which depends on dtypes
   * and shapes alone. `undefined` where anything is computed, or is there twice.
   */
  #findPassage(columns: readonly ColumnSpec[]): Passage | undefined {
    const stacked = stackedSample(
      columns,
      columns.map(({ dtype, shape }) => zeros(dtype, [LEAST_ROWS, ...shape]).data),
      LEAST_ROWS,
    );
    const stages = columns.map(({ name }) => stacked.features[name]);
    const { sample } = this.#transform(stacked);
    if (!sample) return undefined;
    const columnOf = new Map<string, number>();
    const features = emptyFeatures();
    for (const [name, feature] of Object.entries(sample.features)) {
      if (!isTensor(feature)) return undefined;
      const place = stages.findIndex((stage) => stage !== undefined && isTensor(stage) && stage.data === feature.data);
      if (place < 0 || [...columnOf.values()].includes(place)) return undefined;
      columnOf.set(name, place);
      features[name] = { ...feature, shape: feature.shape.slice(1) };
    }
    return { row: { ...stacked, features }, columnOf };
  }

  #stageFor(columns: readonly ColumnSpec[], rows: number): readonly TensorData[] {
    if (this.#stageRows < rows) {
      const passed = [...(this.#passage?.columnOf.values() ?? [])];
      this.#stage = columns.map(({ dtype, shape }, place) => {
        return zeros(dtype, [passed.includes(place) ? 0 : rows, ...shape]).data;
      });
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
