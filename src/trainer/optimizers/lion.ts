// Lion: Chen et al., https://arxiv.org/abs/2302.06675

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { named, zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, checkSetting, type OptimizerOptions } from "./options.ts";

/** Settings of {@link lion}. The learning rate's default is 0.001. */
export interface LionOptions extends OptimizerOptions {
  /** How much of the momentum goes into the change, in (0, 1]. Default 0.9. */
  readonly beta1?: number;
  /** How slowly the momentum changes, in [0, 1). Default 0.99. */
  readonly beta2?: number;
}

/**
 * Makes Lion: `w = w - learningRate sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g`. The sign of 0 is 0.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function lion(options: LionOptions = {}): Optimizer {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.99 } = options;
  checkOptimizerOptions("lion", options, ["beta1", "beta2"]);
  checkSetting("lion", "beta1", beta1, beta1 > 0 && beta1 <= 1);
  checkSetting("lion", "beta2", beta2, beta2 >= 0 && beta2 < 1);
  return assemble(
    {
      name: "lion",
      slots: (parameter) => ({ momentum: zeroSlot(parameter) }),
      update({ parameter, gradient, slots, learningRate: rate }) {
        const momentum = named(slots, "momentum");
        const change = ops.mul(rate, sign(blend(momentum, gradient, beta1)));
        return { parameter: ops.sub(parameter, change), slots: { momentum: blend(momentum, gradient, beta2) } };
      },
    },
    { ...options, learningRate },
  );
}

function blend(momentum: Sym, gradient: Sym, beta: number): Sym {
  return ops.add(ops.mul(momentum, beta), ops.mul(gradient, 1 - beta));
}

function sign(x: Sym): Sym {
  return ops.sub(ops.cast(ops.greater(x, 0), "float32"), ops.cast(ops.greater(0, x), "float32"));
}
