// A learning rate that is constant between steps where it changes.

import * as ops from "../../ops.ts";
import { checkSchedule, type Schedule } from "./schedule.ts";

/** Settings of {@link piecewiseConstantDecay}. */
export interface PiecewiseConstantDecayOptions {
  /** Steps in ascending order; up to and with each of them its value holds. */
  readonly boundaries: readonly number[];
  /** One more than there are boundaries. */
  readonly values: readonly number[];
}

/**
 * Makes `values[i]` for steps up to and with `boundaries[i]`, the last value behind the last boundary.
 *
 * @throws {RangeError} when a number is out of its range or the boundaries are not ascending.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function piecewiseConstantDecay(options: PiecewiseConstantDecayOptions): Schedule {
  checkSchedule("piecewiseConstantDecay", options, ["boundaries", "values"]);
  const { boundaries, values } = options;
  const isAscending = boundaries.every((at, i) => Number.isSafeInteger(at) && at > (boundaries[i - 1] ?? -1));
  const [initial] = values;
  if (!isAscending || initial === undefined || values.length !== boundaries.length + 1) {
    throw new RangeError(
      `Cannot make piecewiseConstantDecay: ${values.length} values for the boundaries ${boundaries.join(", ")}: ` +
        "these ascend, and there is one value more",
    );
  }
  if (!values.every((value) => value >= 0 && Number.isFinite(value))) {
    throw new RangeError(`Cannot make piecewiseConstantDecay: a value is out of range in ${values.join(", ")}`);
  }
  return {
    name: "piecewiseConstantDecay",
    initial,
    build: (step) =>
      boundaries.reduce(
        (rate, boundary, i) => ops.where(ops.greater(step, boundary), values[i + 1] ?? initial, rate),
        step.graph.constant(initial),
      ),
  };
}
