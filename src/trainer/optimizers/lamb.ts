// LAMB: You et al., https://arxiv.org/abs/1904.00962

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import type { AdamOptions } from "./adam.ts";
import { assemble } from "./assemble.ts";
import { betaPowers, checkMoments, momentParts, nextMoments } from "./moments.ts";
import { zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions } from "./options.ts";

/**
 * Makes LAMB: Adam's change `u = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)`, brought to the norm of the
 * parameter: `w = w - learningRate u norm(w) / norm(u)`, without the quotient where one of the norms is 0.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function lamb(options: AdamOptions = {}): Optimizer {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 } = options;
  const settings = { beta1, beta2, epsilon };
  checkOptimizerOptions("lamb", options, Object.keys(settings));
  checkMoments("lamb", settings);
  return assemble(
    {
      name: "lamb",
      ...betaPowers(settings),
      slots: (parameter) => ({ m: zeroSlot(parameter), v: zeroSlot(parameter) }),
      update(step) {
        const { parameter, learningRate: rate, scalars } = step;
        const moments = nextMoments(step, settings);
        const parts = momentParts(scalars);
        const deviation = ops.sqrt(ops.div(moments.v, parts.v));
        const change = ops.div(ops.div(moments.m, parts.m), ops.add(deviation, epsilon));
        const scaled = ops.mul(ops.mul(trustRatio(parameter, change), rate), change);
        return { parameter: ops.sub(parameter, scaled), slots: moments };
      },
    },
    { ...options, learningRate },
  );
}

function trustRatio(parameter: Sym, change: Sym): Sym {
  const [size, changeSize] = [norm(parameter), norm(change)];
  const hasBoth = ops.greater(ops.mul(ops.cast(ops.greater(size, 0), "float32"), changeSize), 0);
  return ops.where(hasBoth, ops.div(size, ops.where(hasBoth, changeSize, 1)), 1);
}

function norm(x: Sym): Sym {
  return ops.sqrt(ops.sum(ops.square(x)));
}
