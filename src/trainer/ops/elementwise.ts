// Operations element by element. Operands broadcast as numpy does; numbers take the dtype of the other operand.

import type { HalfDType } from "../../core/half-float.ts";
import type { Sym } from "../graph.ts";
import type { BinaryKind, GraphDType, Relation, UnaryKind } from "../plan.ts";
import { lift, type Operand } from "./value.ts";

/** Adds two float32 or int32 values. */
export function add(a: Operand, b: Operand): Sym {
  return binary("add", a, b);
}

/** Subtracts `b` from `a`, both float32 or int32. */
export function sub(a: Operand, b: Operand): Sym {
  return binary("sub", a, b);
}

/** Multiplies two float32 or int32 values. */
export function mul(a: Operand, b: Operand): Sym {
  return binary("mul", a, b);
}

/** Divides `a` by `b`, both float32. */
export function div(a: Operand, b: Operand): Sym {
  return binary("div", a, b);
}

/** Takes the greater of two float32 or int32 values. Where they are equal, the derivative is `b`'s alone. */
export function max(a: Operand, b: Operand): Sym {
  return binary("max", a, b);
}

/** Takes the smaller of two float32 or int32 values. Where they are equal, the derivative is `b`'s alone. */
export function min(a: Operand, b: Operand): Sym {
  const [left, right] = lift("min", a, b);
  return neg(max(neg(left), neg(right)));
}

/** Changes the sign of a float32 or int32 value. */
export function neg(x: Sym): Sym {
  return x.dtype === "int32" ? sub(0, x) : unary("neg", x);
}

/** Raises e to a float32 power. */
export function exp(x: Sym): Sym {
  return unary("exp", x);
}

/** Takes the natural logarithm of a float32 value. */
export function log(x: Sym): Sym {
  return unary("log", x);
}

/** Takes the square root of a float32 value. Its derivative at 0 is infinite. */
export function sqrt(x: Sym): Sym {
  return unary("sqrt", x);
}

/** Squares a float32 or int32 value. */
export function square(x: Sym): Sym {
  return mul(x, x);
}

/** Takes the magnitude of a float32 or int32 value. Its derivative at 0 is 0. */
export function abs(x: Sym): Sym {
  return add(max(x, 0), max(neg(x), 0));
}

/** Takes the hyperbolic tangent of a float32 value. */
export function tanh(x: Sym): Sym {
  return unary("tanh", x);
}

/** Takes the error function of a float32 value: `2 / sqrt(pi)` times the integral of `exp(-t * t)` from 0 to x. */
export function erf(x: Sym): Sym {
  return unary("erf", x);
}

/** Takes the sine of a float32 value, in radians. */
export function sin(x: Sym): Sym {
  return unary("sin", x);
}

/** Takes the cosine of a float32 value, in radians. */
export function cos(x: Sym): Sym {
  return unary("cos", x);
}

/** Rounds a float32 value down to a whole number. Its derivative is 0. */
export function floor(x: Sym): Sym {
  return unary("floor", x);
}

/** Gives -1, 0 or 1 by the sign of a float32 value, and 0 for NaN. Its derivative is 0. */
export function sign(x: Sym): Sym {
  return sub(cast(greater(x, 0), "float32"), cast(greater(0, x), "float32"));
}

/** Takes `a` where the condition (bool) holds and `b` elsewhere; all three broadcast. */
export function where(condition: Sym, a: Operand, b: Operand): Sym {
  return condition.graph.node({ kind: "where" }, [condition, ...lift("where", a, b)]);
}

/** Says where two float32 or int32 values are equal, as bool. */
export function equal(a: Operand, b: Operand): Sym {
  return compare("equal", a, b);
}

/** Says where `a` is greater than `b`, as bool. */
export function greater(a: Operand, b: Operand): Sym {
  return compare("greater", a, b);
}

/** Says where `a` is greater than `b` or equal, as bool. */
export function greaterEqual(a: Operand, b: Operand): Sym {
  return compare("greaterEqual", a, b);
}

/** Passes the value on and its derivative not. */
export function stopGradient(x: Sym): Sym {
  return x.graph.node({ kind: "stopGradient" }, [x]);
}

/** Converts to another dtype: float32 to int32 toward zero, bool to 0 and 1, numbers to bool by whether they differ from 0. */
export function cast(x: Sym, dtype: GraphDType): Sym {
  return x.graph.node({ kind: "cast", dtype }, [x]);
}

/**
 * Rounds a float32 value to the nearest numbers of a 16-bit type, ties to even; it stays float32. The gradient is rounded as well,
 * so one beyond the type's range (65504 for `float16`) becomes infinite.
 */
export function roundTo(x: Sym, format: HalfDType): Sym {
  return x.graph.node({ kind: "roundTo", format }, [x]);
}

function unary(kind: UnaryKind, x: Sym): Sym {
  return x.graph.node({ kind }, [x]);
}

function binary(kind: BinaryKind, a: Operand, b: Operand): Sym {
  const operands = lift(kind, a, b);
  return operands[0].graph.node({ kind }, operands);
}

function compare(relation: Relation, a: Operand, b: Operand): Sym {
  const operands = lift(relation, a, b);
  return operands[0].graph.node({ kind: "compare", relation }, operands);
}
