// RMSprop: Hinton's lecture 6, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { named, zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, checkSetting, type OptimizerOptions } from "./options.ts";

/** Settings of {@link rmsprop}. The learning rate's default is 0.001. */
export interface RmspropOptions extends OptimizerOptions {
  /** How slowly the mean of the squared gradients changes, in [0, 1]. Default 0.9. */
  readonly rho?: number;
  /** The part of the last change that goes on, in [0, 1]. Default 0. */
  readonly momentum?: number;
  /** Added under the square root that divides. Default 1e-7. */
  readonly epsilon?: number;
  /** Divides by the deviation of the gradients, not by their mean square. Default false. */
  readonly centered?: boolean;
}

/**
 * Makes RMSprop: `v = rho v + (1 - rho) g g; w = w - learningRate g / sqrt(v + epsilon)`. Centred, `v` less the square of the
 * mean gradient is under the root; with momentum, `c = momentum c + learningRate g / sqrt(...)` is the change.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const { learningRate = 0.001, rho = 0.9, momentum = 0, epsilon = 1e-7, centered = false } = options;
  checkOptimizerOptions("rmsprop", options, ["rho", "momentum", "epsilon", "centered"]);
  checkSetting("rmsprop", "rho", rho, rho >= 0 && rho <= 1);
  checkSetting("rmsprop", "momentum", momentum, momentum >= 0 && momentum <= 1);
  checkSetting("rmsprop", "epsilon", epsilon, epsilon > 0);
  return assemble(
    {
      name: "rmsprop",
      slots: (parameter) => ({
        velocity: zeroSlot(parameter),
        ...(momentum > 0 && { momentum: zeroSlot(parameter) }),
        ...(centered && { averageGradient: zeroSlot(parameter) }),
      }),
      update({ parameter, gradient, slots, learningRate: rate }) {
        const next: Record<string, Sym> = {};
        const velocity = average(named(slots, "velocity"), ops.square(gradient), rho);
        next["velocity"] = velocity;
        let spread = velocity;
        if (centered) {
          const mean = average(named(slots, "averageGradient"), gradient, rho);
          next["averageGradient"] = mean;
          spread = ops.sub(velocity, ops.square(mean));
        }
        let change = ops.div(ops.mul(rate, gradient), ops.sqrt(ops.add(spread, epsilon)));
        if (momentum > 0) {
          change = ops.add(ops.mul(named(slots, "momentum"), momentum), change);
          next["momentum"] = change;
        }
        return { parameter: ops.sub(parameter, change), slots: next };
      },
    },
    { ...options, learningRate },
  );
}

function average(held: Sym, value: Sym, rho: number): Sym {
  return ops.add(ops.mul(held, rho), ops.mul(value, 1 - rho));
}
