// The derivative of each primitive: from the gradient of its result to the gradients of its operands, in primitives again.

import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import type { OpKind } from "./plan.ts";
import { type OpOf, type Operands } from "./primitives.ts";
import { reduceShape } from "./shapes.ts";
import { planeOf } from "./windows.ts";

/** What an adjoint may use: the operation, its operands, its result, and the gradient of its result. */
interface Context<K extends OpKind> {
  readonly op: OpOf<K>;
  readonly operands: Operands<K, Sym>;
  readonly result: Sym;
  readonly gradient: Sym;
}

/** One gradient an operand, in its shape; null where the operand has none. */
type Adjoint<K extends OpKind> = (context: Context<K>) => Operands<K, Sym | null>;

const adjoints: { readonly [K in OpKind]: Adjoint<K> } = {
  input: () => [],
  const: () => [],
  iota: () => [],
  neg: ({ gradient }) => [ops.neg(gradient)],
  exp: ({ gradient, result }) => [ops.mul(gradient, result)],
  log: ({ gradient, operands: [x] }) => [ops.div(gradient, x)],
  sqrt: ({ gradient, result }) => [ops.div(ops.mul(gradient, 0.5), result)],
  tanh: ({ gradient, result }) => [ops.mul(gradient, ops.sub(1, ops.square(result)))],
  erf: ({ gradient, operands: [x] }) => [
    ops.mul(gradient, ops.mul(ops.exp(ops.neg(ops.square(x))), 2 / Math.sqrt(Math.PI))),
  ],
  sin: ({ gradient, operands: [x] }) => [ops.mul(gradient, ops.cos(x))],
  cos: ({ gradient, operands: [x] }) => [ops.neg(ops.mul(gradient, ops.sin(x)))],
  floor: () => [null],
  add: ({ gradient, operands: [a, b] }) => [sumTo(gradient, a), sumTo(gradient, b)],
  sub: ({ gradient, operands: [a, b] }) => [sumTo(gradient, a), ops.neg(sumTo(gradient, b))],
  mul: ({ gradient, operands: [a, b] }) => [sumTo(ops.mul(gradient, b), a), sumTo(ops.mul(gradient, a), b)],
  div: ({ gradient, operands: [a, b], result }) => [
    sumTo(ops.div(gradient, b), a),
    sumTo(ops.neg(ops.mul(gradient, ops.div(result, b))), b),
  ],
  max: ({ gradient, operands: [a, b] }) => {
    const takesA = ops.greater(a, b); // where both are equal, the gradient is b's: relu'(0) is 0
    return [sumTo(ops.where(takesA, gradient, 0), a), sumTo(ops.where(takesA, 0, gradient), b)];
  },
  compare: () => [null, null],
  where: ({ gradient, operands: [condition, a, b] }) => [
    null,
    sumTo(ops.where(condition, gradient, 0), a),
    sumTo(ops.where(condition, 0, gradient), b),
  ],
  stopGradient: () => [null],
  sum: ({ op, gradient, operands: [x] }) => [ops.broadcastTo(withReducedAxes(gradient, x, op.axes), x.shape)],
  reduceMax: ({ op, gradient, operands: [x], result }) => {
    const isGreatest = ops.equal(x, withReducedAxes(result, x, op.axes));
    const ties = ops.sum(ops.cast(isGreatest, "float32"), { axes: op.axes, keepDims: true });
    return [ops.where(isGreatest, ops.div(withReducedAxes(gradient, x, op.axes), ties), 0)];
  },
  reshape: ({ gradient, operands: [x] }) => [ops.reshape(gradient, x.shape)],
  broadcast: ({ gradient, operands: [x] }) => [sumTo(gradient, x)],
  transpose: ({ op, gradient }) => [
    ops.transpose(
      gradient,
      op.perm.map((_, axis) => op.perm.indexOf(axis)),
    ),
  ],
  slice: ({ op, gradient, operands: [x] }) => [
    ops.pad(
      gradient,
      op.starts,
      x.shape.map((size, axis) => size - (op.ends[axis] ?? size)),
    ),
  ],
  pad: ({ op, gradient, operands: [x] }) => [
    ops.slice(
      gradient,
      op.before,
      x.shape.map((size, axis) => size + (op.before[axis] ?? 0)),
    ),
  ],
  concat: splitConcat,
  gather: ({ gradient, operands: [table, indices] }) => [ops.scatterAdd(indices, gradient, table.shape[0] ?? 0), null],
  scatterAdd: ({ gradient, operands: [indices] }) => [null, ops.gather(gradient, indices)],
  matmul: ({ op: { transposeA, transposeB }, gradient, operands: [a, b] }) => [
    transposeA
      ? ops.matmul(b, gradient, { transposeA: transposeB, transposeB: true })
      : ops.matmul(gradient, b, { transposeB: !transposeB }),
    transposeB
      ? ops.matmul(gradient, a, { transposeA: true, transposeB: transposeA })
      : ops.matmul(a, gradient, { transposeA: !transposeA }),
  ],
  cast: () => [null],
  // What came in may have had any digits; what goes back is of the type, as the gradient of a value of that type is.
  roundTo: ({ op: { format }, gradient }) => [ops.roundTo(gradient, format)],
  argmax: () => [null],
  cumsum: ({ op: { axis, exclusive, reverse }, gradient }) => [
    ops.cumsum(gradient, { axis, exclusive, reverse: !reverse }),
  ],
  // The three convolutions are the partial derivatives of one trilinear form of planes, kernel and result: the adjoints of
  // each are the other two.
  conv2d: ({ op: { window, groups }, gradient, operands: [x, kernel] }) => [
    ops.conv2dInputGradient(gradient, kernel, { window, groups, inputSize: planeOf(x.shape) }),
    ops.conv2dKernelGradient(x, gradient, { window, groups }),
  ],
  conv2dInputGradient: ({ op: { window, groups }, gradient, operands: [result, kernel] }) => [
    ops.conv2d(gradient, kernel, { window, groups }),
    ops.conv2dKernelGradient(gradient, result, { window, groups }),
  ],
  conv2dKernelGradient: ({ op: { window, groups }, gradient, operands: [x, result] }) => [
    ops.conv2dInputGradient(result, gradient, { window, groups, inputSize: planeOf(x.shape) }),
    ops.conv2d(x, gradient, { window, groups }),
  ],
  maxPool2d: ({ op: { window }, gradient, operands: [x] }) => [ops.maxPool2dGradient(x, gradient, window)],
  maxPool2dGradient: () => {
    throw new TypeError("Cannot differentiate maxPool2dGradient: maxPool2d can be differentiated once only");
  },
  avgPool2d: ({ op: { window }, gradient, operands: [x] }) => [
    ops.avgPool2dGradient(gradient, window, planeOf(x.shape)),
  ],
  avgPool2dGradient: ({ op: { window }, gradient }) => [ops.avgPool2d(gradient, window)],
};

/** Makes the gradients of a value's operands from its own, one an operand; null where the operand has none. */
export function operandGradients(result: Sym, gradient: Sym): readonly (Sym | null)[] {
  // One entry of the table fits its own kind alone, which the compiler cannot follow through the look-up.
  const adjoint = adjoints[result.op.kind] as unknown as (context: {
    readonly op: Sym["op"];
    readonly operands: readonly Sym[];
    readonly result: Sym;
    readonly gradient: Sym;
  }) => readonly (Sym | null)[];
  return adjoint({ op: result.op, operands: result.inputs, result, gradient });
}

/** Adds up a gradient over the axes along which an operand was broadcast. */
function sumTo(gradient: Sym, operand: Sym): Sym {
  const missing = gradient.shape.length - operand.shape.length;
  const axes = gradient.shape.flatMap((size, axis) =>
    axis < missing || (size !== 1 && operand.shape[axis - missing] === 1) ? [axis] : [],
  );
  return ops.reshape(ops.sum(gradient, { axes }), operand.shape);
}

/** Puts the axes that a reduction of `x` took away back in place with size 1. */
function withReducedAxes(reduced: Sym, x: Sym, axes: readonly number[]): Sym {
  return ops.reshape(reduced, reduceShape(x.shape, axes, true));
}

function splitConcat({ op, gradient, operands }: Context<"concat">): Operands<"concat", Sym> {
  let end = 0;
  function nextPart(operand: Sym): Sym {
    const start = end;
    end += operand.shape[op.axis] ?? 0;
    const starts = operand.shape.map(() => 0).with(op.axis, start);
    return ops.slice(gradient, starts, operand.shape.with(op.axis, end));
  }
  const [first, ...rest] = operands;
  return [nextPart(first), ...rest.map(nextPart)];
}
