// Losses: what training makes small. Each gives one number a sample; the trainer averages over the samples that count.

import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import { formatSpec, sameShape } from "./primitives.ts";
import { meanPerSample, sparseTarget } from "./targets.ts";

/** Probabilities are kept this far from 0 and 1 before the logarithm, as Keras keeps them. */
const PROBABILITY_MARGIN = 1e-7;

/** Compares a model's prediction with the target. */
export interface Loss {
  readonly name: string;
  /**
   * Builds the loss of each sample, float32 `[batch]`.
   *
   * @throws {KdataError} `shape` when target and prediction do not fit each other.
   */
  build(target: Sym, prediction: Sym): Sym;
  /** Counts the classes that targets number from 0 on, where that is what they are; the trainer refuses others. */
  classes?(predictionShape: readonly number[]): number;
}

/** What {@link sparseCategoricalCrossentropy} takes as prediction. */
export interface CrossentropyOptions {
  /** The model gives logits, not probabilities. Default false, as in Keras. */
  readonly fromLogits?: boolean;
}

/**
 * Compares class numbers with scores of the classes: minus the logarithm of the right class's probability.
 *
 * Target `[batch, ...s]` or `[batch, ...s, 1]` of class numbers, prediction float32 `[batch, ...s, classes]`; the loss of a
 * sample is the mean over `s`. Probabilities are divided by their sum first. A class number outside `[0, classes)` makes the
 * sample's loss NaN, so that it cannot go unnoticed, and has no part in the gradient.
 */
export function sparseCategoricalCrossentropy({ fromLogits = false }: CrossentropyOptions = {}): Loss {
  return {
    name: "sparseCategoricalCrossentropy",
    classes: (predictionShape) => predictionShape.at(-1) ?? 0,
    build(target, prediction) {
      const classes = prediction.shape.at(-1) ?? 0;
      const rightClass = ops.oneHot(sparseTarget("sparseCategoricalCrossentropy", target, prediction), classes);
      const logProbability = fromLogits ? ops.logSoftmax(prediction) : logOfProbability(prediction);
      const loss = ops.neg(ops.sum(ops.mul(rightClass, logProbability), { axes: -1 }));
      const isClass = ops.greater(ops.sum(rightClass, { axes: -1 }), 0);
      return meanPerSample(ops.where(isClass, loss, NaN));
    },
  };
}

/**
 * Compares numbers: the mean of the squared differences over all elements of a sample.
 *
 * Target and prediction are float32 of one shape `[batch, ...s]`; a trailing axis of size 1 may be missing in either.
 */
export function meanSquaredError(): Loss {
  return {
    name: "meanSquaredError",
    build(target, prediction) {
      const { graph } = prediction;
      if (!sameShape(withoutLastOne(target.shape), withoutLastOne(prediction.shape))) {
        throw graph.misfit("meanSquaredError", `target ${formatSpec(target)}, prediction ${formatSpec(prediction)}`);
      }
      const wanted = ops.reshape(ops.cast(target, "float32"), prediction.shape);
      return meanPerSample(ops.square(ops.sub(prediction, wanted)));
    },
  };
}

function logOfProbability(prediction: Sym): Sym {
  const share = ops.div(prediction, ops.sum(prediction, { axes: -1, keepDims: true }));
  return ops.log(ops.min(ops.max(share, PROBABILITY_MARGIN), 1 - PROBABILITY_MARGIN));
}

function withoutLastOne(shape: readonly number[]): readonly number[] {
  return shape.length > 1 && shape.at(-1) === 1 ? shape.slice(0, -1) : shape;
}
