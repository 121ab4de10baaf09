// Samples in memory for the tests of transforms.
import { emptyFeatures, type Feature, type Sample } from "../../src/core/sample.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import { bytesOf, type DType, type Tensor, type TensorData, zeros } from "../../src/core/tensor.ts";
import { buildTransform, type TransformDescription } from "../../src/transforms/index.ts";

/** A sample of the given features, record 5 of `a.npy`. */
export function sampleOf(features: Record<string, Feature>): Sample {
  return { key: "a/5", origin: { source: "a.npy", record: 5 }, features: Object.assign(emptyFeatures(), features) };
}

/** Applies one transform to a sample that it does not filter out. */
export function apply(description: TransformDescription, sample: Sample): Sample {
  return buildTransform(description)(sample, () => new RandomStream(deriveKey(0)))!;
}

/** A tensor of given elements; 16-bit floats as their bits. */
export function tensorOf(dtype: DType, shape: readonly number[], elements: readonly (number | bigint)[]): Tensor {
  const made = zeros(dtype, shape);
  const data: TensorData = made.data;
  elements.forEach((element, i) => {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(element);
    else data[i] = Number(element);
  });
  return made;
}

/** The bytes of a tensor, at an offset in memory that fits no dtype. */
export function unalignedBytes(tensor: Tensor): Uint8Array {
  const bytes = bytesOf(tensor.data);
  const moved = new Uint8Array(bytes.length + 1).subarray(1);
  moved.set(bytes);
  return moved;
}
