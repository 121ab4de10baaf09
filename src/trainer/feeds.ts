// From a batch of the loader to the tensors a program is fed: dtype, shape, and the weight of each row.

import { isTensorColumn, type Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { elementCount, zeros, type DType, type Tensor, type TensorData } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import type { GraphDType } from "./plan.ts";
import type { FeedSpec } from "./train-step.ts";

/** Which dtype of the graph a dtype of the data becomes. 64-bit and unsigned 32-bit integers are checked for range. */
const graphDTypes: Readonly<Record<DType, GraphDType | undefined>> = {
  bool: "bool",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  uint32: "int32",
  int64: "int32",
  uint64: "int32",
  float32: "float32",
  float64: "float32",
  float16: undefined,
  bfloat16: undefined,
};

/**
 * Finds a feature of a batch and says what it looks like to the graph.
 *
 * @throws {KdataError} `shape` when the batch has no such tensor; the message lists what it has.
 */
export function feedSpec(batch: Batch, feature: string): FeedSpec {
  const { shape, dtype } = tensorColumn(batch, feature);
  const graphDType = graphDTypes[dtype];
  if (graphDType === undefined) {
    throw new KdataError("shape", `Cannot feed '${feature}': the graph has no ${dtype}`, {
      hint: `add cast("${feature}", "float32") to the transforms`,
    });
  }
  return { shape, dtype: graphDType };
}

/**
 * Refuses class numbers outside `[0, classes)`, but for the one that the loss ignores.
 *
 * @throws {KdataError} `shape` that names the number and the sample.
 */
export function checkClasses(
  batch: Batch,
  feature: string,
  tensor: HostTensor,
  { classes, ignored }: { readonly classes: number; readonly ignored?: number | undefined },
): void {
  const { data } = tensor;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if ((value >= 0 && value < classes) || value === ignored) continue;
    throw new KdataError(
      "shape",
      `Cannot feed '${feature}': ${value} is not one of the model's ${classes} classes, 0 to ${classes - 1} ` +
        `(sample ${keyOfElement(batch, tensor, i)})`,
    );
  }
}

/** The key of the sample that an element of what is fed belongs to. A program may be fed more rows than the batch has: copies of its last one. */
export function keyOfElement({ keys }: Batch, { data, shape }: HostTensor, element: number): string {
  return keys[Math.floor(element / (data.length / (shape[0] ?? 1)))] ?? "unknown";
}

/**
 * Makes the tensor to feed from a feature of a batch. Its leading axis is brought to `rows` by repeating the last row.
 *
 * The memory is the batch's own where dtype and rows already fit, and fresh otherwise.
 *
 * @throws {KdataError} `shape` when a number is beyond int32 or float32, or the batch has another shape or another dtype in
 *   the graph than the program.
 */
export function feedTensor(batch: Batch, feature: string, spec: FeedSpec): HostTensor {
  const column = tensorColumn(batch, feature);
  const rowShape = column.shape.slice(1);
  if (rowShape.join() !== spec.shape.slice(1).join()) {
    throw new KdataError(
      "shape",
      `Cannot feed '${feature}': rows of shape [${rowShape.join(", ")}] in batch ${batch.step}, ` +
        `[${spec.shape.slice(1).join(", ")}] in the batches before it`,
    );
  }
  if (graphDTypes[column.dtype] !== spec.dtype) {
    throw new KdataError(
      "shape",
      `Cannot feed '${feature}': it is ${column.dtype} in batch ${batch.step}, ${spec.dtype} in the batches before it`,
    );
  }
  const data = toGraphData(column, feature, batch);
  return { dtype: spec.dtype, shape: spec.shape, data: repeatLastRow(data, batch.size, spec) };
}

/** Finds the first row of a tensor that has a NaN, among those whose weights are not 0. */
export function findNaN({ data, shape }: HostTensor, weights: HostTensor | undefined): number | undefined {
  if (!(data instanceof Float32Array)) return undefined;
  const [rows = 1] = shape;
  const [perRow, weightsPerRow] = [data.length / rows, (weights?.data.length ?? 0) / rows];
  for (let row = 0; row < rows; row++) {
    const own = weights?.data.subarray(row * weightsPerRow, (row + 1) * weightsPerRow);
    if (own?.every((weight) => weight === 0)) continue;
    if (data.subarray(row * perRow, (row + 1) * perRow).some(Number.isNaN)) return row;
  }
  return undefined;
}

function tensorColumn(batch: Batch, feature: string): Tensor {
  const column = Object.hasOwn(batch.features, feature) ? batch.features[feature] : undefined;
  const names = Object.keys(batch.features).join(", ");
  if (column === undefined) {
    throw new KdataError("shape", `Cannot feed '${feature}': the batch has no such feature (it has: ${names})`, {
      hint: "rename with the transform select({ x: ..., y: ... }) or set the trainer's `input` and `target`",
    });
  }
  if (!isTensorColumn(column)) {
    throw new KdataError("shape", `Cannot feed '${feature}': it is not a tensor`, {
      hint: "decode it with a transform first",
    });
  }
  return column;
}

function toGraphData(column: Tensor, feature: string, batch: Batch): TensorData<GraphDType> {
  const { data, dtype } = column;
  if (dtype === "bool" || data instanceof Float32Array || data instanceof Int32Array) {
    return data as TensorData<GraphDType>;
  }
  if (data instanceof Float64Array) return narrow(new Float32Array(data), column, feature, batch);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    return narrow(Int32Array.from(data, Number), column, feature, batch);
  }
  const integers = new Int32Array(data);
  return data instanceof Uint32Array ? narrow(integers, column, feature, batch) : integers;
}

/** Refuses numbers that did not survive the conversion: integers that changed, finite numbers that became infinite. */
function narrow<T extends Int32Array | Float32Array>(narrowed: T, column: Tensor, feature: string, batch: Batch): T {
  for (let i = 0; i < narrowed.length; i++) {
    const wide = Number(column.data[i]);
    const kept = narrowed[i] as number;
    if (narrowed instanceof Int32Array ? kept === wide : Number.isFinite(kept) === Number.isFinite(wide)) continue;
    const row = Math.floor(i / Math.max(1, elementCount(column.shape.slice(1))));
    const graphDType = narrowed instanceof Int32Array ? "int32" : "float32";
    throw new KdataError(
      "shape",
      `Cannot feed '${feature}': ${column.data[i]} is beyond ${graphDType} (sample ${batch.keys[row] ?? row})`,
    );
  }
  return narrowed;
}

function repeatLastRow(data: TensorData<GraphDType>, size: number, { shape, dtype }: FeedSpec): TensorData<GraphDType> {
  const rows = shape[0] ?? 1;
  if (rows === size) return data;
  const filled = zeros(dtype, shape).data;
  const rowLength = elementCount(shape.slice(1));
  filled.set(data);
  for (let row = size; row < rows; row++) filled.copyWithin(row * rowLength, (size - 1) * rowLength, size * rowLength);
  return filled;
}
