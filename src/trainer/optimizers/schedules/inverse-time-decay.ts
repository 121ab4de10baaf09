// Decay of the learning rate by the inverse of the time.

import * as ops from "../../ops.ts";
import { checkDivisor, checkSchedule, decaysDone, type DecayOptions, type Schedule } from "./schedule.ts";

/**
 * Makes `initialLearningRate / (1 + decayRate * step / decaySteps)`.
 *
 * @throws {RangeError} when a number is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function inverseTimeDecay(options: DecayOptions): Schedule {
  const { initialLearningRate, decaySteps, decayRate, staircase = false } = options;
  checkSchedule("inverseTimeDecay", options, ["initialLearningRate", "decaySteps", "decayRate", "staircase"]);
  checkDivisor("inverseTimeDecay", "decaySteps", decaySteps);
  return {
    name: "inverseTimeDecay",
    initial: initialLearningRate,
    build: (step) =>
      ops.div(initialLearningRate, ops.add(ops.mul(decaysDone(step, decaySteps, staircase), decayRate), 1)),
  };
}
