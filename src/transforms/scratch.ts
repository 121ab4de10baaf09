// Memory that a transform reuses from sample to sample: fresh memory costs more than the loop that fills it (docs/design.md).

import { viewElements, zeros, type DType, type TensorData } from "../core/tensor.ts";

/**
 * Makes a function that hands out room for a number of elements, always in the same memory as long as it suffices.
 *
 * The content is what was written last. Each call ends the validity of what the calls before it returned.
 */
export function reusedElements<D extends DType>(dtype: D): (length: number) => TensorData<D> {
  let memory: TensorData<D> = zeros(dtype, [0]).data;
  let view = memory;
  return (length) => {
    if (view.length === length) return view;
    if (memory.length < length) memory = zeros(dtype, [length]).data;
    view = viewElements(dtype, memory.buffer, 0, length);
    return view;
  };
}
