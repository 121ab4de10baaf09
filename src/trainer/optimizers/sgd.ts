// Gradient descent, https://keras.io/api/optimizers/sgd/

import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { named, zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, checkSetting, type OptimizerOptions } from "./options.ts";

/** Settings of {@link sgd}. The learning rate's default is 0.01. */
export interface SgdOptions extends OptimizerOptions {
  /** The part of the last change that goes on, in [0, 1]. Default 0. */
  readonly momentum?: number;
  /** Looks one change ahead; needs momentum. Default false. */
  readonly nesterov?: boolean;
}

/**
 * Makes gradient descent, with momentum if wanted: `v = momentum v - learningRate g; w = w + v`, or
 * `w = w + momentum v - learningRate g` with Nesterov's.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { learningRate = 0.01, momentum = 0, nesterov = false } = options;
  checkOptimizerOptions("sgd", options, ["momentum", "nesterov"]);
  checkSetting("sgd", "momentum", momentum, momentum >= 0 && momentum <= 1);
  if (nesterov && momentum === 0) throw new RangeError("Cannot make sgd: nesterov needs a momentum above 0");
  return assemble(
    {
      name: "sgd",
      slots: (parameter) => (momentum === 0 ? {} : { momentum: zeroSlot(parameter) }),
      update({ parameter, gradient, slots, learningRate: rate }) {
        const step = ops.mul(rate, gradient);
        if (momentum === 0) return { parameter: ops.sub(parameter, step), slots: {} };
        const velocity = ops.sub(ops.mul(named(slots, "momentum"), momentum), step);
        const change = nesterov ? ops.sub(ops.mul(velocity, momentum), step) : velocity;
        return { parameter: ops.add(parameter, change), slots: { momentum: velocity } };
      },
    },
    { ...options, learningRate },
  );
}
