// The columns of a batch as arrays of jax-js. https://github.com/ekzhang/jax-js

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { columnsOf, ownTensor, type ColumnNames, type ElementTypes } from "./columns.ts";

const ACTION = "Cannot make jax arrays";

type JaxDType = "bool" | "int32" | "uint32" | "float32" | "float64";

const elementTypes: ElementTypes<JaxDType> = {
  bool: "bool",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  uint32: "uint32",
  int64: "int32",
  uint64: "uint32",
  float16: "float32",
  bfloat16: "float32",
  float32: "float32",
  float64: "float64",
};

/** The part of `@jax-js/jax` that is used: the module itself fits. */
export interface JaxModule<A, D> {
  readonly numpy: Readonly<Record<JaxDType, D>> & {
    array(
      values:
        Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
      options: { readonly shape: number[]; readonly dtype: D },
    ): A;
    zeros(shape: number[], options: { readonly dtype: D }): A;
  };
}

/**
 * Makes an array of jax-js for each column of tensors, the batch as leading axis.
 *
 * `names` gives the feature for each array; left out, every tensor becomes one under its own name. jax-js has fewer element types: integers
 * of 8 and 16 bits become int32, those of 64 bits int32 or uint32, 16-bit floats float32. The data is copied: the batch may be released at
 * once. Arrays of jax-js are consumed by what is computed with them; those that are not must be disposed of by the caller.
 *
 * @throws {KdataError} `shape` when a feature is missing or no tensor, or an integer is beyond 32 bits.
 */
export function toJaxArrays<A, D>(batch: Batch, jax: JaxModule<A, D>, names?: ColumnNames): Record<string, A> {
  const arrays: Record<string, A> = {};
  for (const [name, column] of columnsOf(ACTION, batch, names)) {
    if ("dtype" in column) {
      const { dtype, shape, data } = ownTensor(ACTION, batch, column, elementTypes);
      const options = { shape: [...shape], dtype: jax.numpy[dtype] };
      // It takes no array without elements, and booleans as 32-bit integers.
      if (data.length === 0) arrays[name] = jax.numpy.zeros(options.shape, { dtype: options.dtype });
      else arrays[name] = jax.numpy.array(data instanceof Uint8Array ? Int32Array.from(data) : owned(data), options);
    } else if (names) {
      throw new KdataError("shape", `${ACTION}: '${name}' is of strings, of which jax-js has no arrays`);
    }
  }
  return arrays;
}

/** What was copied is over memory that is not shared, which its type does not say. */
function owned<T extends Float32Array | Float64Array | Int32Array | Uint32Array>(
  data: T,
): T & Float32Array<ArrayBuffer> {
  return data as T & Float32Array<ArrayBuffer>;
}
