// Cross-entropy with class numbers.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { sparseTarget } from "../targets.ts";
import type { Loss } from "./loss.ts";
import { shareOfClasses } from "./probability.ts";

const NAME = "sparseCategoricalCrossentropy";

/** What {@link sparseCategoricalCrossentropy} takes as prediction, and which targets do not count. */
export interface CrossentropyOptions {
  /** The model gives logits, not probabilities. Default false, as in Keras. */
  readonly fromLogits?: boolean;
  /** Places with this target do not count, neither in the loss nor in what it is divided by. Default none. */
  readonly ignoreClass?: number;
}

/**
 * Compares class numbers with scores of the classes: minus the logarithm of the right class's probability.
 *
 * Target `[batch, ...s]` or `[batch, ...s, 1]` of class numbers, prediction float32 `[batch, ...s, classes]`: a loss for each
 * place of `s`. Probabilities are divided by their sum first. A class number outside `[0, classes)` makes the place's loss NaN,
 * so that it cannot go unnoticed, and has no part in the gradient.
 *
 * @throws {KdataError} `usage` for an unknown option.
 */
export function sparseCategoricalCrossentropy(options: CrossentropyOptions = {}): Loss {
  const { fromLogits = false, ignoreClass } = options;
  checkOptionNames(`Cannot make ${NAME}`, options, ["fromLogits", "ignoreClass"]);
  if (ignoreClass !== undefined) checkWhole(`Cannot make ${NAME}`, "ignoreClass", ignoreClass, -(2 ** 31), 2 ** 31 - 1);
  function valuesOf(target: Sym, prediction: Sym): Sym {
    const classes = prediction.shape.at(-1) ?? 0;
    const rightClass = ops.oneHot(target, classes);
    const logProbability = fromLogits ? ops.logSoftmax(prediction) : ops.log(shareOfClasses(prediction));
    const loss = ops.neg(ops.sum(ops.mul(rightClass, logProbability), { axes: -1 }));
    return ops.where(ops.greater(ops.sum(rightClass, { axes: -1 }), 0), loss, NaN);
  }
  const base: Loss = {
    name: NAME,
    classes: (predictionShape) => predictionShape.at(-1) ?? 0,
    build: (target, prediction) => valuesOf(sparseTarget(NAME, target, prediction), prediction),
  };
  if (ignoreClass === undefined) return base;
  return {
    ...base,
    ignoredClass: ignoreClass,
    build(target, prediction) {
      const numbers = sparseTarget(NAME, target, prediction);
      const isIgnored = ops.equal(numbers, ignoreClass);
      const isIgnoredRow = ops.reshape(isIgnored, [...isIgnored.shape, 1]);
      const scores = ops.where(isIgnoredRow, 1, prediction); // whatever they are, the gradient does not see them
      return ops.where(isIgnored, 0, valuesOf(ops.where(isIgnored, 0, numbers), scores));
    },
    counts(target, prediction) {
      const isIgnored = ops.equal(sparseTarget(NAME, target, prediction), ignoreClass);
      return ops.equal(ops.cast(isIgnored, "int32"), 0);
    },
  };
}
