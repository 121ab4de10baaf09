// Targets, predictions and weights as one list of elements each: for metrics that count elements, whatever axes they have.

import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget, spreadWeight } from "../targets.ts";

/** Lists of one length, float32: targets as 0 and 1, predictions, weights. */
export interface Elements {
  readonly isTrue: Sym;
  readonly prediction: Sym;
  readonly weight: Sym;
}

/** Lists the elements of a target that is true where it is not 0, a prediction of the same shape, and their weights. */
export function elementsOf(action: string, target: Sym, prediction: Sym, weight: Sym): Elements {
  const length = [elementCount(prediction.shape)];
  const isTrue = ops.cast(ops.cast(denseTarget(action, target, prediction), "bool"), "float32");
  return {
    isTrue: ops.reshape(isTrue, length),
    prediction: ops.reshape(prediction, length),
    weight: ops.reshape(spreadWeight(weight, prediction.shape), length),
  };
}
