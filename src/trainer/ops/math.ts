// Element by element, composed of the primitives.

import type { Sym } from "../graph.ts";
import {
  cast,
  div,
  equal,
  exp,
  greater,
  greaterEqual,
  log,
  max,
  min,
  mul,
  sqrt,
  square,
  stopGradient,
  where,
} from "./elementwise.ts";
import { broadcastTo } from "./shape.ts";
import type { Operand } from "./value.ts";

/** Whole powers up to this one are products. */
const MOST_FACTORS = 16;

/** Takes `1 / sqrt(x)` of a float32 value. */
export function rsqrt(x: Sym): Sym {
  return div(1, sqrt(x));
}

/**
 * Raises a float32 value to a power. A whole power up to 16 is a product, which takes any sign; another one takes numbers from 0
 * on alone: to others it gives NaN. Its derivative at 0 is 0.
 */
export function pow(x: Sym, exponent: number): Sym {
  if (exponent < 0) return div(1, pow(x, -exponent));
  if (exponent === 0.5) return sqrt(x);
  if (!Number.isInteger(exponent) || exponent > MOST_FACTORS) return realPower(x, exponent);
  if (exponent === 0) return broadcastTo(x.graph.constant(1), x.shape);
  if (exponent === 1) return x;
  const half = square(pow(x, Math.floor(exponent / 2)));
  return exponent % 2 === 0 ? half : mul(half, x);
}

/** Keeps a float32 or int32 value within `[least, greatest]`. Its derivative outside is 0. */
export function clip(x: Sym, least: Operand, greatest: Operand): Sym {
  return min(max(x, least), greatest);
}

/** Says where `a` is less than `b`, as bool. */
export function less(a: Operand, b: Operand): Sym {
  return greater(b, a);
}

/** Says where `a` is less than `b` or equal, as bool. */
export function lessEqual(a: Operand, b: Operand): Sym {
  return greaterEqual(b, a);
}

/** Says where two bool values both hold. */
export function logicalAnd(a: Sym, b: Sym): Sym {
  return cast(mul(cast(a, "int32"), cast(b, "int32")), "bool");
}

/** Says where a bool value does not hold. */
export function logicalNot(x: Sym): Sym {
  return greater(1, cast(x, "int32"));
}

/** By the logarithm, which never sees what is not above 0: its gradient there would be NaN. */
function realPower(x: Sym, exponent: number): Sym {
  const isPositive = greater(x, 0);
  const power = exp(mul(log(where(isPositive, x, 1)), exponent));
  return where(isPositive, power, where(equal(x, 0), stopGradient(x), NaN));
}
