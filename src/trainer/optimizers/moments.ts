// The moving averages of Adam and its kin: mean and mean square of the gradients, which start at zero, and what corrects them.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { named, type Rule, type RuleStep } from "./optimizer.ts";
import { checkSetting } from "./options.ts";

/** How Adam and its kin average. */
export interface MomentSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Refuses settings out of range. */
export function checkMoments(optimizer: string, { beta1, beta2, epsilon }: MomentSettings): void {
  checkSetting(optimizer, "beta1", beta1, beta1 >= 0 && beta1 < 1);
  checkSetting(optimizer, "beta2", beta2, beta2 >= 0 && beta2 < 1);
  checkSetting(optimizer, "epsilon", epsilon, epsilon > 0);
}

/** Moves the averages `m` and `v` toward the gradient and its square. */
export function nextMoments({ gradient, slots }: RuleStep, { beta1, beta2 }: MomentSettings): { m: Sym; v: Sym } {
  return {
    m: moveToward(named(slots, "m"), gradient, 1 - beta1),
    v: moveToward(named(slots, "v"), ops.square(gradient), 1 - beta2),
  };
}

/** Keeps the powers of the betas: `1 - beta^t` is by how much an average that started at zero is too small. */
export function betaPowers({ beta1, beta2 }: MomentSettings): Required<Pick<Rule, "scalars" | "advance">> {
  return {
    scalars: { beta1Power: { dtype: "float32", initial: 1 }, beta2Power: { dtype: "float32", initial: 1 } },
    advance: (scalars) => ({
      beta1Power: ops.mul(named(scalars, "beta1Power"), beta1),
      beta2Power: ops.mul(named(scalars, "beta2Power"), beta2),
    }),
  };
}

/** Computes the parts that the averages have of their final sizes: `1 - beta1^t` and `1 - beta2^t`. */
export function momentParts(scalars: RuleStep["scalars"]): { readonly m: Sym; readonly v: Sym } {
  return { m: ops.sub(1, named(scalars, "beta1Power")), v: ops.sub(1, named(scalars, "beta2Power")) };
}

/** Computes Adam's change of a parameter from its new averages: `alpha m / (sqrt(v) + epsilon)`. */
export function adamChange(
  { m, v }: { m: Sym; v: Sym },
  rate: Sym,
  scalars: RuleStep["scalars"],
  { epsilon }: MomentSettings,
): Sym {
  const parts = momentParts(scalars);
  const correction = ops.div(ops.sqrt(parts.v), parts.m);
  return ops.div(ops.mul(ops.mul(rate, correction), m), ops.add(ops.sqrt(v), epsilon));
}

function moveToward(average: Sym, value: Sym, part: number): Sym {
  return ops.add(average, ops.mul(ops.sub(value, average), part));
}
