// Functions composed of primitives: activations and normalised exponentials. All take and give float32 of one shape.

import type { Sym } from "../graph.ts";
import { add, div, erf, exp, greater, log, max, min, mul, neg, stopGradient, sub, tanh, where } from "./elementwise.ts";
import { clip, pow } from "./math.ts";
import { reduceMax, sum } from "./reduction.ts";

/** Constants of the fixed point of mean 0 and variance 1. */
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

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

/**
 * Takes the approximation of {@link gelu} by tanh that GPT-2 has: `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
 */
export function geluTanh(x: Sym): Sym {
  const inner = mul(add(x, mul(pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

/** Takes `x` times its {@link sigmoid}, which is swish as well: https://arxiv.org/abs/1710.05941. */
export function silu(x: Sym): Sym {
  return mul(x, sigmoid(x));
}

/** Takes `log(1 + exp(x))`, without overflow; its derivative is the sigmoid everywhere, at 0 too. */
export function softplus(x: Sym): Sym {
  const greatest = stopGradient(max(x, 0));
  return add(greatest, log(add(exp(neg(greatest)), exp(sub(x, greatest)))));
}

/** Takes the logarithm of {@link sigmoid}, without the logarithm of 0. */
export function logSigmoid(x: Sym): Sym {
  return neg(softplus(neg(x)));
}

/** Takes `x` above 0 and `alpha (exp(x) - 1)` below: https://arxiv.org/abs/1511.07289. */
export function elu(x: Sym, alpha = 1): Sym {
  return where(greater(x, 0), x, mul(sub(exp(min(x, 0)), 1), alpha));
}

/** Takes `scale` times {@link elu}, which keeps mean and variance: https://arxiv.org/abs/1706.02515. */
export function selu(x: Sym): Sym {
  return mul(elu(x, SELU_ALPHA), SELU_SCALE);
}

/** Takes `x` above 0 and `negativeSlope x` below. */
export function leakyRelu(x: Sym, negativeSlope = 0.2): Sym {
  return where(greater(x, 0), x, mul(x, negativeSlope));
}

/** Takes `x` within [0, 6]. */
export function relu6(x: Sym): Sym {
  return clip(x, 0, 6);
}

/** Takes `x / 6 + 1 / 2` within [0, 1]. */
export function hardSigmoid(x: Sym): Sym {
  return clip(add(div(x, 6), 0.5), 0, 1);
}

/** Takes `x` times its {@link hardSigmoid}. */
export function hardSilu(x: Sym): Sym {
  return mul(x, hardSigmoid(x));
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
