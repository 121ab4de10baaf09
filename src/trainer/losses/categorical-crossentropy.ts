// Cross-entropy with a probability for each class, and the focal form of it: https://arxiv.org/abs/1708.02002

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { pow } from "../ops/math.ts";
import { denseTarget } from "../targets.ts";
import type { Loss } from "./loss.ts";
import { checkShare, shareOfClasses } from "./probability.ts";

/** Settings of {@link categoricalCrossentropy}. */
export interface CategoricalCrossentropyOptions {
  /** The model gives logits, not probabilities. Default false. */
  readonly fromLogits?: boolean;
  /** This share of the target is spread evenly over all classes, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number;
}

/** Settings of {@link categoricalFocalCrossentropy}. */
export interface CategoricalFocalCrossentropyOptions extends CategoricalCrossentropyOptions {
  /** Multiplies the loss. Default 0.25. */
  readonly alpha?: number;
  /** How little certain predictions weigh: the power of `1 - probability`. Default 2. */
  readonly gamma?: number;
}

/**
 * Compares probabilities of the classes: minus the sum of target times the logarithm of the prediction.
 *
 * Target and prediction `[batch, ...s, classes]`: a loss for each place of `s`. Predicted probabilities are divided by their sum
 * and kept 1e-7 off 0 and 1.
 *
 * @throws {RangeError} when labelSmoothing is out of range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function categoricalCrossentropy(options: CategoricalCrossentropyOptions = {}): Loss {
  const name = "categoricalCrossentropy";
  const { fromLogits = false, labelSmoothing = 0 } = options;
  checkOptionNames(`Cannot make ${name}`, options, ["fromLogits", "labelSmoothing"]);
  checkShare(name, "labelSmoothing", labelSmoothing);
  return {
    name,
    build(target, prediction) {
      const wanted = smoothed(denseTarget(name, target, prediction), labelSmoothing);
      const logProbability = fromLogits ? ops.logSoftmax(prediction) : ops.log(shareOfClasses(prediction));
      return ops.neg(ops.sum(ops.mul(wanted, logProbability), { axes: -1 }));
    },
  };
}

/**
 * Compares probabilities of the classes and weighs uncertain predictions more: the sum of
 * `alpha (1 - p)^gamma * -target log(p)`. From logits, `log(p)` is taken without a bound, where Keras keeps p off 0.
 *
 * @throws {RangeError} when a setting is out of range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function categoricalFocalCrossentropy(options: CategoricalFocalCrossentropyOptions = {}): Loss {
  const name = "categoricalFocalCrossentropy";
  const { fromLogits = false, labelSmoothing = 0, alpha = 0.25, gamma = 2 } = options;
  checkOptionNames(`Cannot make ${name}`, options, ["fromLogits", "labelSmoothing", "alpha", "gamma"]);
  checkShare(name, "labelSmoothing", labelSmoothing);
  if (!(gamma >= 0)) throw new RangeError(`Cannot make ${name}: gamma is ${gamma}`);
  return {
    name,
    build(target, prediction) {
      const wanted = smoothed(denseTarget(name, target, prediction), labelSmoothing);
      const probability = fromLogits ? ops.softmax(prediction) : shareOfClasses(prediction);
      const logProbability = fromLogits ? ops.logSoftmax(prediction) : ops.log(probability);
      const focus = ops.mul(pow(ops.sub(1, probability), gamma), alpha);
      return ops.neg(ops.sum(ops.mul(focus, ops.mul(wanted, logProbability)), { axes: -1 }));
    },
  };
}

function smoothed(target: Sym, smoothing: number): Sym {
  return ops.add(ops.mul(target, 1 - smoothing), smoothing / (target.shape.at(-1) ?? 1));
}
