// Moments and sums of exponentials along axes.

import type { Sym } from "../graph.ts";
import { add, exp, log, square, stopGradient, sub } from "./elementwise.ts";
import { mean, reduceMax, sum, type ReductionOptions } from "./reduction.ts";
import { reshape } from "./shape.ts";

/** Averages the squared distance from the mean along axes: the variance of a population, not that of a sample of one. */
export function variance(x: Sym, options: ReductionOptions = {}): Sym {
  return mean(square(sub(x, mean(x, { ...options, keepDims: true }))), options);
}

/** Takes the logarithm of the sum of `exp(x)` along axes, without overflow. */
export function logSumExp(x: Sym, options: ReductionOptions = {}): Sym {
  const greatest = stopGradient(reduceMax(x, { ...options, keepDims: true }));
  const total = sum(exp(sub(x, greatest)), options);
  return add(log(total), reshape(greatest, total.shape));
}
