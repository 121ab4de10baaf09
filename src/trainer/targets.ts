// What losses and metrics share: targets that fit the prediction, and weights that fit the values.

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

/**
 * Brings numbers to float32 in the prediction's shape. A trailing axis of size 1 may be missing in either.
 *
 * @throws {KdataError} `shape` when target and prediction do not fit each other.
 */
export function denseTarget(action: string, target: Sym, prediction: Sym): Sym {
  if (sameShape(withoutLastOne(target.shape), withoutLastOne(prediction.shape))) {
    return ops.reshape(ops.cast(target, "float32"), prediction.shape);
  }
  throw prediction.graph.misfit(action, `target ${formatSpec(target)}, prediction ${formatSpec(prediction)}`);
}

/** Averages over the last axis; the batch, where it is the only axis, stays. */
export function meanOfLast(values: Sym): Sym {
  return values.shape.length < 2 ? values : ops.mean(values, { axes: -1 });
}

/**
 * Gives each element of a shape the weight of its sample or place: weights `[batch, ...w]` for a shape that begins so.
 *
 * @throws {KdataError} `shape` when it begins in another way.
 */
export function spreadWeight(weight: Sym, shape: readonly number[]): Sym {
  const rank = weight.shape.length;
  if (!sameShape(weight.shape, shape.slice(0, rank))) {
    throw weight.graph.misfit("weights", `${formatSpec(weight)} does not fit values of shape [${shape.join(", ")}]`);
  }
  return ops.broadcastTo(ops.reshape(weight, [...weight.shape, ...shape.slice(rank).map(() => 1)]), shape);
}

/** A weighted sum over a batch, float32 scalars. */
export interface WeightedSum {
  readonly total: Sym;
  readonly weight: Sym;
}

/**
 * Adds up values `[batch, ...s]`, each by its weight `[batch, ...w]`: what `s` has beyond `w` is averaged first. A value of weight
 * 0 has no part, even when it is NaN.
 *
 * @param values - float32
 * @param weight - float32
 * @param counts - which places count at all, bool `[batch, ...s]`; then every place has its sample's weight
 * @throws {KdataError} `shape` when the weights do not fit the values.
 */
export function weightedSum(values: Sym, weight: Sym, counts?: Sym): WeightedSum {
  if (counts !== undefined) {
    const places = ops.where(counts, spreadWeight(weight, values.shape), 0);
    return { total: ops.sum(weighted(values, places)), weight: ops.sum(places) };
  }
  const means = meanBeyond(values, weight.shape.length);
  return { total: ops.sum(weighted(means, spreadWeight(weight, means.shape))), weight: ops.sum(weight) };
}

/** Multiplies values by weights; a weight of 0 gives 0. */
export function weighted(values: Sym, weight: Sym): Sym {
  return ops.where(ops.equal(weight, 0), 0, ops.mul(values, weight));
}

function meanBeyond(values: Sym, rank: number): Sym {
  const axes = values.shape.map((_, axis) => axis).slice(rank);
  return ops.mean(values, { axes });
}

function withoutLastOne(shape: readonly number[]): readonly number[] {
  return shape.length > 1 && shape.at(-1) === 1 ? shape.slice(0, -1) : shape;
}
