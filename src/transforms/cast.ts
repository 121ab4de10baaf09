// Brings a tensor to another dtype, without ever changing a number in silence that the target could not hold.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { isDType, type DType, type Tensor, type TensorData } from "../core/tensor.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { decodeHalf, encodeHalf, isHalfDType } from "../core/half-float.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link cast} returns. */
export interface CastDescription {
  readonly transform: "cast";
  readonly feature: string;
  readonly dtype: DType;
}

/** The smallest and the greatest number of each integer dtype. */
const ranges: Partial<Record<DType, readonly [least: number | bigint, greatest: number | bigint]>> = {
  int8: [-0x80, 0x7f],
  uint8: [0, 0xff],
  int16: [-0x8000, 0x7fff],
  uint16: [0, 0xffff],
  int32: [-0x80000000, 0x7fffffff],
  uint32: [0, 0xffffffff],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/** Dtypes whose every number a float32 holds exactly, so that a plain copy of the elements converts them. */
const exactInFloat32: ReadonlySet<DType> = new Set<DType>(["bool", "int8", "uint8", "int16", "uint16"]);

/**
 * Brings a feature to another dtype. The shape stays.
 *
 * - to an integer dtype: floats are cut toward zero; what is then out of range, infinite or NaN is an error
 * - to a float dtype: rounded to nearest, ties to even; infinite beyond the range of the target, as in IEEE 754
 * - to `bool`: 0 is false, all else is true
 * - from `bool`: 0 and 1
 *
 * @throws {KdataError} `shape`, for each sample with a number that an integer dtype cannot hold, or whose feature is no tensor.
 */
export function cast(feature: string, dtype: DType): CastDescription {
  if (!isDType(dtype)) throw new RangeError(`Cannot cast '${feature}': ${String(dtype)} is not a dtype`);
  return { transform: "cast", feature, dtype };
}

/** Builds the transform that {@link cast} describes. */
export function buildCast({ feature, dtype }: CastDescription): Transform {
  const elements = reusedElements(dtype);
  return (sample) => {
    const source = requireTensor(sample, feature, "cast");
    if (source.dtype === dtype) return sample;
    const data = elements(source.data.length);
    if (exactInFloat32.has(source.dtype) && (data instanceof Float32Array || data instanceof Float64Array)) {
      data.set(source.data as Uint8Array);
    } else {
      castElements(source, dtype, data, sample, feature);
    }
    return replaceFeature(sample, feature, { dtype, shape: source.shape, data });
  };
}

function castElements(source: Tensor, dtype: DType, target: TensorData, sample: Sample, feature: string): void {
  const decode = isHalfDType(source.dtype) ? source.dtype : undefined;
  const encode = isHalfDType(dtype) ? dtype : undefined;
  const range = ranges[dtype];
  for (let i = 0; i < target.length; i++) {
    const element = source.data[i] as number | bigint;
    let value = decode === undefined ? element : decodeHalf(decode, Number(element));
    if (dtype === "bool") {
      value = value == 0 ? 0 : 1; // loosely: the zero may be a bigint
    } else if (range) {
      if (typeof value === "number") value = Math.trunc(value);
      if (!(value >= range[0] && value <= range[1])) {
        throw new KdataError("shape", `Cannot cast '${feature}' to ${dtype}: ${value} is out of its range`, {
          at: sample.origin,
        });
      }
    } else if (encode !== undefined) {
      value = encodeHalf(encode, Number(value));
    }
    if (target instanceof BigInt64Array || target instanceof BigUint64Array) target[i] = BigInt(value);
    else target[i] = Number(value);
  }
}
