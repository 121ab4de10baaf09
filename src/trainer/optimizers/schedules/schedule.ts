// Schedules: the learning rate as a function of the step count, part of the step's graph. Formulas are those of Keras 3,
// https://keras.io/api/optimizers/learning_rate_schedules/. A step count is exact; as a fraction it is float32.

import { checkOptionNames } from "../../../core/options.ts";
import type { Sym } from "../../graph.ts";
import * as ops from "../../ops.ts";

/** A learning rate that changes with the steps. A user's own is such an object as well. */
export interface Schedule {
  readonly name: string;
  /** The rate of step 0. */
  readonly initial: number;
  /** Computes the rate, a float32 scalar, from the number of steps before this one, an int32 scalar. */
  build(step: Sym): Sym;
}

/** Settings of {@link exponentialDecay} and `inverseTimeDecay`. */
export interface DecayOptions {
  readonly initialLearningRate: number;
  /** The steps that one decay takes. */
  readonly decaySteps: number;
  readonly decayRate: number;
  /** Decays at once after `decaySteps`, not a little at each step. Default false. */
  readonly staircase?: boolean;
}

/**
 * Checks the options of a schedule.
 *
 * @param schedule - its name, for messages
 * @param options - numbers must be finite and from 0 on; one whose name ends in `Steps` or `steps` a whole number
 * @param allowed - the names there are
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} for a number out of range.
 */
export function checkSchedule(schedule: string, options: object, allowed: readonly string[]): void {
  checkOptionNames(`Cannot make ${schedule}`, options, allowed);
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== "number") continue;
    const isCount = name.toLowerCase().endsWith("steps");
    if (value >= 0 && Number.isFinite(value) && (!isCount || Number.isSafeInteger(value))) continue;
    throw new RangeError(`Cannot make ${schedule}: ${name} is ${value}`);
  }
}

/** Refuses a number of steps to divide by that is 0. */
export function checkDivisor(schedule: string, name: string, steps: number): void {
  if (steps <= 0) throw new RangeError(`Cannot make ${schedule}: ${name} is ${steps}`);
}

/** Divides the step count: float32, or its whole part. */
export function decaysDone(step: Sym, decaySteps: number, isWhole: boolean): Sym {
  const done = ops.div(ops.cast(step, "float32"), decaySteps);
  return isWhole ? ops.cast(ops.cast(done, "int32"), "float32") : done;
}

/**
 * Computes `(1 + cos(pi x)) / 2` for x in [0, 1] as `sin(pi (1 - x) / 2)` squared, which keeps its digits where it nears 0. The
 * sine's series to the 13th power is off by less than 1e-9 up to pi / 2.
 */
export function halfCosine(x: Sym): Sym {
  const angle = ops.mul(ops.sub(1, x), Math.PI / 2);
  const square = ops.square(angle);
  let series = ops.add(ops.mul(square, 0), 1);
  for (let n = 12; n >= 2; n -= 2) series = ops.sub(1, ops.mul(ops.mul(square, series), 1 / (n * (n + 1))));
  return ops.square(ops.mul(angle, series));
}
