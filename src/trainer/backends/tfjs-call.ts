// How kernels of TensorFlow.js are called: by their registered names, below its operator layer.

import type { NamedAttrMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";

/** Runs a kernel of the engine by its registered name. */
export type Call = (kernel: string, inputs: NamedTensorMap, attributes?: NamedAttrMap) => Tensor;

/** Gives tensors to Concat, which takes them as an array; the type of a kernel's inputs does not know that. */
export function asInputs(operands: readonly Tensor[]): NamedTensorMap {
  return operands as unknown as NamedTensorMap;
}
