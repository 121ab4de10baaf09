// Metrics: what a user watches. Each gives one number a sample; the trainer keeps the sums.

import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import { meanPerSample, sparseTarget } from "./targets.ts";

/** Measures a model's prediction against the target. */
export interface Metric {
  /** The name in logs and history. */
  readonly name: string;
  /**
   * Builds the metric of each sample, float32 `[batch]`.
   *
   * @throws {KdataError} `shape` when target and prediction do not fit each other.
   */
  build(target: Sym, prediction: Sym): Sym;
}

/**
 * Measures how often the class with the greatest score is the right one; of equal scores the first class counts.
 *
 * Target `[batch, ...s]` or `[batch, ...s, 1]` of class numbers, prediction `[batch, ...s, classes]`.
 */
export function sparseCategoricalAccuracy(): Metric {
  return {
    name: "accuracy",
    build(target, prediction) {
      const wanted = sparseTarget("sparseCategoricalAccuracy", target, prediction);
      return meanPerSample(ops.cast(ops.equal(ops.argmax(prediction), wanted), "float32"));
    },
  };
}
