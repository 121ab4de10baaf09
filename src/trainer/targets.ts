// What losses and metrics share: class numbers that fit the prediction, and one number a sample.

import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import { formatSpec, sameShape } from "./primitives.ts";

/**
 * Brings class numbers to int32 `[batch, ...s]` for a prediction `[batch, ...s, classes]`. The target may have a trailing axis
 * of size 1 and any dtype.
 *
 * @throws {KdataError} `shape` when target and prediction do not fit each other.
 */
export function sparseTarget(action: string, target: Sym, prediction: Sym): Sym {
  const places = prediction.shape.slice(0, -1);
  if (places.length > 0 && (sameShape(target.shape, places) || sameShape(target.shape, [...places, 1]))) {
    return ops.cast(ops.reshape(target, places), "int32");
  }
  throw prediction.graph.misfit(
    action,
    `target ${formatSpec(target)} does not number the classes of prediction ${formatSpec(prediction)}`,
  );
}

/** Averages `[batch, ...s]` over `s`. */
export function meanPerSample(values: Sym): Sym {
  const axes = values.shape.map((_, axis) => axis).slice(1);
  return ops.mean(values, { axes });
}
