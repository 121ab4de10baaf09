// Cross-entropy of yes or no, and the focal form of it: https://arxiv.org/abs/1708.02002

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { pow } from "../ops/math.ts";
import { denseTarget, meanOfLast } from "../targets.ts";
import type { Loss } from "./loss.ts";
import { checkShare, keptInside, softplus } from "./probability.ts";

/** Settings of {@link binaryCrossentropy}. */
export interface BinaryCrossentropyOptions {
  /** The model gives logits, not probabilities. Default false. */
  readonly fromLogits?: boolean;
  /** This share of the target is drawn to one half, in [0, 1]. Default 0. */
  readonly labelSmoothing?: number;
}

/** Settings of {@link binaryFocalCrossentropy}. */
export interface BinaryFocalCrossentropyOptions extends BinaryCrossentropyOptions {
  /** Weighs targets of 1 by alpha, targets of 0 by 1 - alpha. Default false. */
  readonly applyClassBalancing?: boolean;
  /** Default 0.25. */
  readonly alpha?: number;
  /** How little certain predictions weigh: the power of 1 less the right answer's probability. Default 2. */
  readonly gamma?: number;
}

/**
 * Compares probabilities of yes: the mean of `-t log(p) - (1 - t) log(1 - p)` over the last axis. Target and prediction of one
 * shape; a trailing axis of size 1 may be missing in either. Probabilities are kept 1e-7 off 0 and 1.
 *
 * @throws {RangeError} when labelSmoothing is out of range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function binaryCrossentropy(options: BinaryCrossentropyOptions = {}): Loss {
  const name = "binaryCrossentropy";
  const { fromLogits = false, labelSmoothing = 0 } = options;
  checkOptionNames(`Cannot make ${name}`, options, ["fromLogits", "labelSmoothing"]);
  checkShare(name, "labelSmoothing", labelSmoothing);
  return {
    name,
    build(target, prediction) {
      const wanted = smoothed(denseTarget(name, target, prediction), labelSmoothing);
      return meanOfLast(crossentropy(wanted, prediction, fromLogits));
    },
  };
}

/**
 * Compares probabilities of yes and weighs uncertain predictions more: cross-entropy times `(1 - q)^gamma`, q the probability of
 * the right answer. From logits the logarithms have no bound, where Keras keeps probabilities off 0.
 *
 * @throws {RangeError} when a setting is out of range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function binaryFocalCrossentropy(options: BinaryFocalCrossentropyOptions = {}): Loss {
  const name = "binaryFocalCrossentropy";
  const { fromLogits = false, labelSmoothing = 0, applyClassBalancing = false, alpha = 0.25, gamma = 2 } = options;
  checkOptionNames(`Cannot make ${name}`, options, [
    "fromLogits",
    "labelSmoothing",
    "applyClassBalancing",
    "alpha",
    "gamma",
  ]);
  checkShare(name, "labelSmoothing", labelSmoothing);
  if (!(gamma >= 0)) throw new RangeError(`Cannot make ${name}: gamma is ${gamma}`);
  return {
    name,
    build(target, prediction) {
      const wanted = smoothed(denseTarget(name, target, prediction), labelSmoothing);
      const probability = fromLogits ? ops.sigmoid(prediction) : prediction;
      const wrong = blend(wanted, ops.sub(1, probability), probability);
      const focal = ops.mul(pow(wrong, gamma), crossentropy(wanted, prediction, fromLogits));
      return meanOfLast(applyClassBalancing ? ops.mul(blend(wanted, alpha, 1 - alpha), focal) : focal);
    },
  };
}

function smoothed(target: Sym, smoothing: number): Sym {
  return ops.add(ops.mul(target, 1 - smoothing), smoothing / 2);
}

function crossentropy(target: Sym, prediction: Sym, fromLogits: boolean): Sym {
  if (fromLogits) return blend(target, softplus(ops.neg(prediction)), softplus(prediction));
  const probability = keptInside(prediction);
  return ops.neg(blend(target, ops.log(probability), ops.log(ops.sub(1, probability))));
}

/** Takes `yes` by the part that the target says, `no` by the rest. */
function blend(target: Sym, yes: Sym | number, no: Sym | number): Sym {
  return ops.add(ops.mul(target, yes), ops.mul(ops.sub(1, target), no));
}
