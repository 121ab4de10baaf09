// Functions composed of primitives: activations and normalised exponentials. All take and give float32 of one shape.

import type { Sym } from "../graph.ts";
import { add, div, erf, exp, log, max, mul, stopGradient, sub, tanh } from "./elementwise.ts";
import { reduceMax, sum } from "./reduction.ts";

/** Takes `max(x, 0)`. Its derivative at 0 is 0. */
export function relu(x: Sym): Sym {
  return max(x, 0);
}

/** Takes `1 / (1 + exp(-x))`, by way of tanh: neither it nor its derivative overflows. */
export function sigmoid(x: Sym): Sym {
  return add(mul(tanh(mul(x, 0.5)), 0.5), 0.5);
}

/** Takes `x` times the normal distribution function of `x` (exact, by erf): https://arxiv.org/abs/1606.08415. */
export function gelu(x: Sym): Sym {
  return mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1));
}

/** Takes `exp(x)` divided by its sum along an axis, without overflow. */
export function softmax(x: Sym, axis = -1): Sym {
  const exponentials = exp(shifted(x, axis));
  return div(exponentials, sum(exponentials, { axes: axis, keepDims: true }));
}

/** Takes the logarithm of {@link softmax}, without overflow and without the logarithm of 0. */
export function logSoftmax(x: Sym, axis = -1): Sym {
  const logits = shifted(x, axis);
  return sub(logits, log(sum(exp(logits), { axes: axis, keepDims: true })));
}

/** Shifts the greatest element to 0. Softmax is the same for any shift, so the shift needs no derivative. */
function shifted(x: Sym, axis: number): Sym {
  return sub(x, stopGradient(reduceMax(x, { axes: axis, keepDims: true })));
}
