// Samples stacked into one batch, straight into memory that is given and reused.

import type { Batch, Column } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { featureKind, isBytesList, isTensor, type Feature, type Sample } from "../core/sample.ts";
import {
  bytesPerElement,
  copyElements,
  elementCount,
  viewElements,
  type DType,
  type Tensor,
  type TensorData,
} from "../core/tensor.ts";

/** A column of tensors: where it lies in the memory of its batch. */
export interface TensorColumn {
  readonly kind: "tensor";
  readonly name: string;
  readonly dtype: DType;
  /** The batch axis included. */
  readonly shape: readonly number[];
  readonly byteOffset: number;
}

/** A column with a value of its own for each sample, all of one kind. */
export interface ValueColumn {
  readonly kind: "bytes" | "list" | "string" | "json";
  readonly name: string;
  readonly values: Exclude<Feature, Tensor>[];
}

/** One feature of a collated batch. */
export type CollatedColumn = TensorColumn | ValueColumn;

/** Stacked samples: the tensors in `memory`, everything else in the columns. Plain data, which can cross a thread. */
export interface CollatedBatch<M extends ArrayBufferLike = ArrayBufferLike> {
  readonly memory: M;
  readonly columns: readonly CollatedColumn[];
  readonly keys: readonly string[];
}

/** A batch that is being stacked. */
export interface Stack<M extends ArrayBufferLike> {
  /**
   * Copies a sample into the next row.
   *
   * @throws {KdataError} `shape` when it disagrees with the first sample; the message names both keys.
   */
  add(sample: Sample): void;
  /** Hands out the batch, of as many rows as samples were added; they may be fewer than there is room for. */
  finish(): CollatedBatch<M>;
}

/** A column that is being filled. */
type Filling =
  | { readonly column: TensorColumn; readonly rowLength: number; readonly data: TensorData }
  | { readonly column: ValueColumn; readonly data?: undefined };

// A cache line: two columns never share one, and every dtype is aligned.
const COLUMN_ALIGNMENT = 64;

/**
 * Stacks samples into one batch along a new leading axis.
 *
 * A feature of shape `[...s]` becomes `[rows, ...s]`, row-major, same dtype. The data is copied: the samples may be reused. The
 * first sample says which features there are; `allocate` is then asked once for the bytes of `rows` rows, and may give more.
 */
export function startStack<M extends ArrayBufferLike>(rows: number, allocate: (byteLength: number) => M): Stack<M> {
  const keys: string[] = [];
  let memory: M | undefined;
  let fillings: readonly Filling[] = [];
  return {
    add(sample) {
      if (memory === undefined) {
        const { columns, byteLength } = layOut(sample, rows);
        const allocated = allocate(byteLength);
        fillings = columns.map((column) => startFilling(column, allocated));
        memory = allocated;
      }
      if (Object.keys(sample.features).length !== fillings.length) throw otherFeatures(sample, fillings, keys);
      for (const filling of fillings) {
        const feature = sample.features[filling.column.name];
        if (feature === undefined) throw otherFeatures(sample, fillings, keys);
        fillRow(filling, feature, sample, keys);
      }
      keys.push(sample.key);
    },
    finish() {
      const columns = fillings.map(({ column }) => (keys.length < rows ? shorten(column, keys.length) : column));
      return { memory: memory ?? allocate(0), columns, keys };
    },
  };
}

/** Makes the features of a batch from its columns. The tensors view the batch's memory. */
export function viewColumns({ memory, columns }: CollatedBatch): Batch["features"] {
  const features = Object.create(null) as Record<string, Column>;
  for (const column of columns) features[column.name] = viewColumn(column, memory);
  return features;
}

/** Counts the bytes of a batch: of its tensors, of its byte strings, and of its strings at one byte a character. */
export function batchBytes({ columns }: CollatedBatch): number {
  let byteLength = 0;
  for (const column of columns) {
    if (column.kind === "tensor") byteLength += elementCount(column.shape) * bytesPerElement(column.dtype);
    else for (const value of column.values) byteLength += valueBytes(value);
  }
  return byteLength;
}

function valueBytes(value: Exclude<Feature, Tensor>): number {
  if (typeof value === "string") return value.length;
  if (value instanceof Uint8Array) return value.byteLength;
  return isBytesList(value) ? value.reduce((sum, item) => sum + item.byteLength, 0) : 0;
}

/** Says which columns a batch of samples like this one has, and where its tensors lie. */
export function layOut(sample: Sample, rows: number): { columns: CollatedColumn[]; byteLength: number } {
  let byteLength = 0;
  const columns = Object.entries(sample.features).map(([name, feature]): CollatedColumn => {
    if (!isTensor(feature)) return { kind: valueKind(feature), name, values: [] };
    const { dtype, shape } = feature;
    const byteOffset = byteLength;
    const bytes = rows * elementCount(shape) * bytesPerElement(dtype);
    byteLength += Math.ceil(bytes / COLUMN_ALIGNMENT) * COLUMN_ALIGNMENT;
    return { kind: "tensor", name, dtype, shape: [rows, ...shape], byteOffset };
  });
  return { columns, byteLength };
}

function valueKind(feature: Exclude<Feature, Tensor>): ValueColumn["kind"] {
  if (typeof feature === "string") return "string";
  if (feature instanceof Uint8Array) return "bytes";
  return isBytesList(feature) ? "list" : "json";
}

/** Views the place of a column in the memory of its batch. */
export function startFilling(column: CollatedColumn, memory: ArrayBufferLike): Filling {
  if (column.kind !== "tensor") return { column };
  const { dtype, shape, byteOffset } = column;
  const data = viewElements(dtype, memory, byteOffset, elementCount(shape));
  return { column, rowLength: elementCount(shape.slice(1)), data };
}

function shorten(column: CollatedColumn, rows: number): CollatedColumn {
  return column.kind === "tensor" ? { ...column, shape: [rows, ...column.shape.slice(1)] } : column;
}

function fillRow(filling: Filling, feature: Feature, sample: Sample, keys: readonly string[]): void {
  if (filling.data) {
    const { column, rowLength, data } = filling;
    if (!isTensor(feature) || feature.dtype !== column.dtype || !isRowShape(feature.shape, column.shape)) {
      throw disagreement(column, feature, sample, keys);
    }
    copyRow(data, feature.data, keys.length, rowLength);
  } else {
    const { column } = filling;
    if (isTensor(feature) || valueKind(feature) !== column.kind) throw disagreement(column, feature, sample, keys);
    column.values.push(copyValue(feature));
  }
}

function isRowShape(shape: readonly number[], batchShape: readonly number[]): boolean {
  if (shape.length !== batchShape.length - 1) return false;
  for (let axis = 0; axis < shape.length; axis++) if (shape[axis] !== batchShape[axis + 1]) return false;
  return true;
}

function copyRow(target: TensorData, source: TensorData, row: number, rowLength: number): void {
  // Of the one dtype that both have, any stands for all; for a single element this is faster than a call of set().
  if (rowLength === 1) (target as Uint8Array)[row] = (source as Uint8Array)[0] as number;
  else copyElements(target, source, row * rowLength);
}

function copyValue(feature: Exclude<Feature, Tensor>): Exclude<Feature, Tensor> {
  if (feature instanceof Uint8Array) return new Uint8Array(feature);
  if (typeof feature !== "string" && isBytesList(feature)) return feature.map((item) => new Uint8Array(item));
  return feature;
}

function viewColumn(column: CollatedColumn, memory: ArrayBufferLike): Column {
  // A column's values are all of its kind, so the array is one of the kinds of Column.
  if (column.kind !== "tensor") return column.values as Extract<Column, readonly unknown[]>;
  const { dtype, shape, byteOffset } = column;
  return { dtype, shape, data: viewElements(dtype, memory, byteOffset, elementCount(shape)) };
}

function disagreement(column: CollatedColumn, feature: Feature, sample: Sample, keys: readonly string[]): KdataError {
  const first = column.kind === "tensor" ? `${column.dtype} [${column.shape.slice(1).join(", ")}]` : column.kind;
  const other = isTensor(feature) ? `${feature.dtype} [${feature.shape.join(", ")}]` : featureKind(feature);
  return new KdataError(
    "shape",
    `Cannot collate '${column.name}': ${other} in sample ${sample.key}, ${first} in sample ${keys[0]}`,
    { at: sample.origin },
  );
}

function otherFeatures(sample: Sample, fillings: readonly Filling[], keys: readonly string[]): KdataError {
  const first = fillings.map(({ column }) => column.name).join(", ");
  const other = Object.keys(sample.features).join(", ");
  return new KdataError("shape", `Cannot collate: sample ${sample.key} has ${other}, sample ${keys[0]} has ${first}`, {
    at: sample.origin,
  });
}
