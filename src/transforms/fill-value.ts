// A number as an element of a dtype, where a tensor is filled up.

import { KdataError } from "../core/errors.ts";
import { encodeHalf, isHalfDType } from "../core/half-float.ts";
import { zeros, type DType, type TensorData } from "../core/tensor.ts";

/**
 * Makes one element of a dtype: a number, rounded to nearest for the float dtypes, as the typed array of the dtype takes it.
 *
 * @throws {KdataError} `shape` when an integer dtype cannot hold the number.
 */
export function elementOf(dtype: DType, value: number): number | bigint {
  if (isHalfDType(dtype)) return encodeHalf(dtype, value);
  if (dtype.startsWith("float")) return value;
  const { data } = zeros(dtype, [1]);
  const isWhole = Number.isSafeInteger(value) && (dtype !== "bool" || value === 0 || value === 1);
  if (isWhole) fill(data, data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(value) : value);
  if (!isWhole || Number(data[0]) !== value) {
    throw new KdataError("shape", `${value} is no number that ${dtype} holds`);
  }
  return data[0] as number | bigint;
}

/** Fills a part of a tensor's data with an element of {@link elementOf}. */
export function fill(data: TensorData, element: number | bigint, start = 0, end = data.length): void {
  // The element is of the data's dtype, but the compiler cannot pair the members of two unions: any one of them stands for all.
  (data as Uint8Array).fill(element as number, start, end);
}
