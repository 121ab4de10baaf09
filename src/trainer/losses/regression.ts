// Losses between numbers: a mean over the last axis of target and prediction `[batch, ...s]`, of which a trailing axis of size 1
// may be missing in either.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget, meanOfLast } from "../targets.ts";
import type { Loss } from "./loss.ts";
import { PROBABILITY_MARGIN, softplus } from "./probability.ts";

/** Settings of {@link huber}. */
export interface HuberOptions {
  /** Errors up to this count by their square. Default 1. */
  readonly delta?: number;
}

/** Makes the mean of the squared differences. */
export function meanSquaredError(): Loss {
  return ofError("meanSquaredError", ops.square);
}

/** Makes the mean of the magnitudes of the differences. */
export function meanAbsoluteError(): Loss {
  return ofError("meanAbsoluteError", ops.abs);
}

/**
 * Makes Huber's loss: `e e / 2` for errors up to delta, `delta |e| - delta delta / 2` beyond.
 *
 * @throws {RangeError} when delta is not above 0.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function huber(options: HuberOptions = {}): Loss {
  const { delta = 1 } = options;
  checkOptionNames("Cannot make huber", options, ["delta"]);
  if (!(delta > 0)) throw new RangeError(`Cannot make huber: delta is ${delta}`);
  return ofError("huber", (error) => {
    const size = ops.abs(error);
    const linear = ops.sub(ops.mul(size, delta), (delta * delta) / 2);
    return ops.where(ops.greater(size, delta), linear, ops.mul(ops.square(error), 0.5));
  });
}

/** Makes the mean of `log(cosh(prediction - target))`, without overflow. */
export function logCosh(): Loss {
  return ofError("logCosh", (error) => ops.sub(ops.add(error, softplus(ops.mul(error, -2))), Math.LN2));
}

/** Makes the mean of `prediction - target log(prediction + 1e-7)`: Poisson's deviance up to a constant. */
export function poisson(): Loss {
  return {
    name: "poisson",
    build(target, prediction) {
      const wanted = denseTarget("poisson", target, prediction);
      return meanOfLast(ops.sub(prediction, ops.mul(wanted, ops.log(ops.add(prediction, PROBABILITY_MARGIN)))));
    },
  };
}

function ofError(name: string, measure: (error: Sym) => Sym): Loss {
  return {
    name,
    build: (target, prediction) => meanOfLast(measure(ops.sub(prediction, denseTarget(name, target, prediction)))),
  };
}
