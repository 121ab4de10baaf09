// Decay of the learning rate to an end along a polynomial.

import * as ops from "../../ops.ts";
import { pow } from "../../ops/math.ts";
import { checkDivisor, checkSchedule, type Schedule } from "./schedule.ts";

/** Settings of {@link polynomialDecay}. */
export interface PolynomialDecayOptions {
  readonly initialLearningRate: number;
  readonly decaySteps: number;
  /** Default 0.0001. */
  readonly endLearningRate?: number;
  /** Default 1: a straight line. */
  readonly power?: number;
  /** Goes on to the next multiple of `decaySteps` when one is reached. Default false: the end stays. */
  readonly cycle?: boolean;
}

/**
 * Makes `(initialLearningRate - endLearningRate) * (1 - step / decaySteps)^power + endLearningRate`.
 *
 * @throws {RangeError} when a number is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function polynomialDecay(options: PolynomialDecayOptions): Schedule {
  const { initialLearningRate, decaySteps, endLearningRate = 0.0001, cycle = false } = options;
  const names = ["initialLearningRate", "decaySteps", "endLearningRate", "power", "cycle"];
  checkSchedule("polynomialDecay", options, names);
  checkDivisor("polynomialDecay", "decaySteps", decaySteps);
  return {
    name: "polynomialDecay",
    initial: initialLearningRate,
    build(step) {
      const done = ops.div(ops.cast(step, "float32"), decaySteps);
      const whole = ops.cast(ops.cast(done, "int32"), "float32");
      const next = ops.add(whole, ops.cast(ops.greater(done, whole), "float32"));
      const fraction = cycle ? ops.div(done, ops.max(next, 1)) : ops.min(done, 1);
      const left = pow(ops.max(ops.sub(1, fraction), 0), options.power ?? 1);
      return ops.add(ops.mul(left, initialLearningRate - endLearningRate), endLearningRate);
    },
  };
}
