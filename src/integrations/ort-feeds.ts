// The feeds of an ONNX Runtime session. https://onnxruntime.ai/docs/api/js/interfaces/InferenceSession-1.html

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { DType, Tensor, TensorData } from "../core/tensor.ts";
import { columnsOf, type ColumnNames } from "./columns.ts";

const ACTION = "Cannot feed ONNX Runtime";

/** The part of `onnxruntime-node`, `onnxruntime-web` or `onnxruntime-common` that is used: `ort` itself fits. */
export interface OrtRuntime<T> {
  readonly Tensor: {
    new (type: Exclude<DType, "bfloat16">, data: TensorData, dims: readonly number[]): T;
    new (type: "string", data: readonly string[], dims: readonly number[]): T;
  };
}

/**
 * Makes the feeds of a session from a batch: `await session.run(toOrtFeeds(batch, ort, { input: "x" }))`.
 *
 * `names` gives the feature for each input of the model; left out, every tensor and every string column is fed under its own name.
 * The dtypes are those of the batch, row-major, the batch as leading axis; strings become string tensors. The data is copied, because
 * ONNX Runtime refuses shared memory and a batch's memory is reused: the batch may be released at once.
 *
 * @throws {KdataError} `shape` when a feature is missing, bytes or JSON, or bfloat16, of which ONNX Runtime's JavaScript API has no tensors.
 */
export function toOrtFeeds<T>(batch: Batch, ort: OrtRuntime<T>, names?: ColumnNames): Record<string, T> {
  const feeds: Record<string, T> = {};
  for (const [name, column] of columnsOf(ACTION, batch, names)) {
    feeds[name] = "dtype" in column ? tensorOf(ort, name, column) : new ort.Tensor("string", column, [column.length]);
  }
  return feeds;
}

function tensorOf<T>(ort: OrtRuntime<T>, name: string, { dtype, shape, data }: Tensor): T {
  if (dtype === "bfloat16") {
    throw new KdataError("shape", `${ACTION}: '${name}' is bfloat16, of which it has no tensors`, {
      hint: `add cast("${name}", "float32") to the transforms`,
    });
  }
  return new ort.Tensor(dtype, data.slice(), shape);
}
