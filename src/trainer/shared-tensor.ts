// Tensors in shared memory: they cross to the thread that computes without a copy.

import { bytesPerElement, elementCount, viewElements, type Tensor } from "../core/tensor.ts";
import type { GraphDType } from "./plan.ts";

/** Makes a tensor of zeros in shared memory: it crosses to a thread without a copy. */
export function sharedZeros<D extends GraphDType>(dtype: D, shape: readonly number[]): Tensor<D> {
  const length = elementCount(shape);
  const memory = new SharedArrayBuffer(length * bytesPerElement(dtype));
  return { dtype, shape, data: viewElements(dtype, memory, 0, length) };
}
