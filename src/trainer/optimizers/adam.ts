// Adam: Kingma and Ba, https://arxiv.org/abs/1412.6980

import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { adamChange, betaPowers, checkMoments, nextMoments } from "./moments.ts";
import { zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, type OptimizerOptions } from "./options.ts";

/** Settings of {@link adam}, `adamW` and `lamb`. The learning rate's default is 0.001. */
export interface AdamOptions extends OptimizerOptions {
  /** How slowly the mean of the gradients changes, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** How slowly the mean of their squares changes, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the square root that divides. Default 1e-7. */
  readonly epsilon?: number;
}

/**
 * Makes Adam: with `alpha = learningRate sqrt(1 - beta2^t) / (1 - beta1^t)` at step t, counted from 1,
 * `m = m + (g - m) (1 - beta1); v = v + (g g - v) (1 - beta2); w = w - alpha m / (sqrt(v) + epsilon)`.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return makeAdam("adam", options);
}

/** Makes Adam under the name of one of its kin, for its messages. */
export function makeAdam(name: string, options: AdamOptions): Optimizer {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 } = options;
  const settings = { beta1, beta2, epsilon };
  checkOptimizerOptions(name, options, Object.keys(settings));
  checkMoments(name, settings);
  return assemble(
    {
      name,
      ...betaPowers(settings),
      slots: (parameter) => ({ m: zeroSlot(parameter), v: zeroSlot(parameter) }),
      update(step) {
        const moments = nextMoments(step, settings);
        const change = adamChange(moments, step.learningRate, step.scalars, settings);
        return { parameter: ops.sub(step.parameter, change), slots: moments };
      },
    },
    { ...options, learningRate },
  );
}
