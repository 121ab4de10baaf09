// Exponential decay of the learning rate.

import * as ops from "../../ops.ts";
import { checkDivisor, checkSchedule, decaysDone, type DecayOptions, type Schedule } from "./schedule.ts";

/** Settings of {@link exponentialDecay}. */
export type ExponentialDecayOptions = DecayOptions;

/**
 * Makes `initialLearningRate * decayRate^(step / decaySteps)`.
 *
 * @throws {RangeError} when a number is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function exponentialDecay(options: ExponentialDecayOptions): Schedule {
  const { initialLearningRate, decaySteps, decayRate, staircase = false } = options;
  checkSchedule("exponentialDecay", options, ["initialLearningRate", "decaySteps", "decayRate", "staircase"]);
  checkDivisor("exponentialDecay", "decaySteps", decaySteps);
  checkDivisor("exponentialDecay", "decayRate", decayRate);
  return {
    name: "exponentialDecay",
    initial: initialLearningRate,
    build: (step) =>
      ops.mul(ops.exp(ops.mul(decaysDone(step, decaySteps, staircase), Math.log(decayRate))), initialLearningRate),
  };
}
