// Probabilities and their logarithms, as losses take them.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";

/** Probabilities are kept this far from 0 and 1 before the logarithm, as Keras keeps them. */
export const PROBABILITY_MARGIN = 1e-7;

/** Keeps values off 0 and 1. */
export function keptInside(probability: Sym): Sym {
  return ops.min(ops.max(probability, PROBABILITY_MARGIN), 1 - PROBABILITY_MARGIN);
}

/** Divides the scores of the classes (the last axis) by their sum, and keeps them off 0 and 1. */
export function shareOfClasses(prediction: Sym): Sym {
  return keptInside(ops.div(prediction, ops.sum(prediction, { axes: -1, keepDims: true })));
}

/** Takes `log(1 + exp(x))`, without overflow; its derivative is the sigmoid everywhere. */
export function softplus(x: Sym): Sym {
  const greatest = ops.stopGradient(ops.max(x, 0));
  return ops.add(ops.log(ops.add(ops.exp(ops.neg(greatest)), ops.exp(ops.sub(x, greatest)))), greatest);
}

/** Refuses a share outside [0, 1]. */
export function checkShare(loss: string, name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`Cannot make ${loss}: ${name} is ${value}`);
}
