// Adagrad: Duchi et al., http://www.jmlr.org/papers/volume12/duchi11a/duchi11a.pdf

import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { named, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, checkSetting, type OptimizerOptions } from "./options.ts";

/** Settings of {@link adagrad}. The learning rate's default is 0.001. */
export interface AdagradOptions extends OptimizerOptions {
  /** What the sum of the squared gradients starts from. Default 0.1. */
  readonly initialAccumulatorValue?: number;
  /** Added under the square root that divides. Default 1e-7. */
  readonly epsilon?: number;
}

/**
 * Makes Adagrad: `a = a + g g; w = w - learningRate g / sqrt(a + epsilon)`.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const { learningRate = 0.001, initialAccumulatorValue: initial = 0.1, epsilon = 1e-7 } = options;
  checkOptimizerOptions("adagrad", options, ["initialAccumulatorValue", "epsilon"]);
  checkSetting("adagrad", "initialAccumulatorValue", initial, initial >= 0);
  checkSetting("adagrad", "epsilon", epsilon, epsilon > 0);
  return assemble(
    {
      name: "adagrad",
      slots: ({ shape }) => ({ accumulator: { shape, initial } }),
      update({ parameter, gradient, slots, learningRate: rate }) {
        const accumulator = ops.add(named(slots, "accumulator"), ops.square(gradient));
        const change = ops.div(ops.mul(rate, gradient), ops.sqrt(ops.add(accumulator, epsilon)));
        return { parameter: ops.sub(parameter, change), slots: { accumulator } };
      },
    },
    { ...options, learningRate },
  );
}
