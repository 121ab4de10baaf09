// Each primitive as operations of jax-js. A kernel takes over its operands, as all functions of jax-js do.

import type * as Jax from "@jax-js/jax";

import { elementCount } from "../../core/tensor.ts";
import type { HostTensor } from "../backend.ts";
import type { GraphDType, PlanNode, Relation } from "../plan.ts";
import { addsNothing } from "../plan-node.ts";
import type { OpOf } from "../primitives.ts";
import { erf, exp, log, tanh } from "./jax-math.ts";
import { roundTo } from "./jax-rounding.ts";
import { computeWindowOp } from "./jax-windows.ts";

/** An array of jax-js; inside its compiler, one that stands for an array. */
export type JaxArray = Jax.Array;

/** Computes one node from its operands, which it takes over. */
export type Kernel = (operands: readonly JaxArray[]) => JaxArray;

/** jax-js adds up one element after the other in float32. Beyond so many terms a sum is made of shorter ones. */
const LONG_SUM = 64;

/** Copies a tensor into the engine. */
export function uploadTensor({ numpy }: typeof Jax, { dtype, shape, data }: HostTensor): JaxArray {
  if (data.length === 0) return numpy.zeros([...shape], { dtype: numpy[dtype] });
  const values = data instanceof Uint8Array ? Int32Array.from(data) : data; // it takes booleans as 32-bit integers
  return numpy.array(values, { shape: [...shape], dtype: numpy[dtype] });
}

/**
 * Makes the kernel of a node.
 *
 * @throws {RangeError} for an input, whose array is there before a run.
 */
export function kernelFor(jax: typeof Jax, node: PlanNode, sources: readonly PlanNode[]): Kernel {
  const { op, shape } = node;
  const { numpy, lax } = jax;
  // The engine has no arrays without elements.
  if (elementCount(shape) === 0 || addsNothing(node, sources)) return () => fill(jax, shape, node.dtype, 0);
  switch (op.kind) {
    case "input":
      throw new RangeError("Cannot compute input: its array is given");
    case "const":
      return () => fill(jax, shape, node.dtype, op.value.data[0] ?? 0);
    case "iota":
      return () => count(jax, op);
    case "neg":
      return unary((x) => numpy.negative(x));
    case "exp":
      return unary((x) => exp(jax, x));
    case "log":
      return unary((x) => log(jax, x));
    case "tanh":
      return unary((x) => tanh(jax, x));
    case "sqrt":
    case "sin":
    case "cos":
    case "floor": {
      const apply = numpy[op.kind];
      return unary((x) => apply(x));
    }
    case "erf":
      return unary((x) => erf(jax, x));
    case "add":
      return binary((a, b) => numpy.add(a, b));
    case "sub":
      return binary((a, b) => numpy.subtract(a, b));
    case "mul":
      return binary((a, b) => numpy.multiply(a, b));
    case "div":
      return binary((a, b) => numpy.divide(a, b));
    case "max":
      return binary((a, b) => numpy.maximum(a, b));
    case "compare":
      return binary((a, b) => compare(jax, op.relation, a, b));
    case "where":
      return ([condition, a, b]) => numpy.where(given(condition), given(a), given(b));
    case "stopGradient":
      return unary((x) => lax.stopGradient(x));
    case "sum":
      return unary((x) => sum(jax, x, op));
    case "reduceMax":
      return unary((x) => (op.axes.length === 0 ? x : numpy.max(x, [...op.axes], { keepdims: op.keepDims })));
    case "reshape":
      return unary((x) => x.reshape([...op.shape]));
    case "broadcast":
      return unary((x) => numpy.broadcastTo(x, [...op.shape]));
    case "transpose":
      return unary((x) => x.transpose([...op.perm]));
    case "slice":
      return unary((x) => x.slice(...op.starts.map((start, axis): [number, number] => [start, op.ends[axis] ?? 0])));
    case "pad":
      return unary((x) =>
        numpy.pad(
          x,
          op.before.map((before, axis): [number, number] => [before, op.after[axis] ?? 0]),
        ),
      );
    case "concat":
      return (operands) => numpy.concatenate([...operands], op.axis);
    case "gather":
      return binary((table, indices) => numpy.take(table, indices, 0));
    case "scatterAdd":
      return binary((indices, updates) => scatter(jax, indices, updates, shape));
    case "matmul":
      return binary((a, b) => numpy.matmul(op.transposeA ? swapped(a) : a, op.transposeB ? swapped(b) : b));
    case "cast":
      return unary((x) => x.astype(numpy[op.dtype]));
    case "roundTo":
      return unary((x) => roundTo(jax, x, op.format));
    case "argmax":
      return unary((x) => numpy.argmax(x, op.axis));
    case "cumsum":
      return unary((x) => cumsum(jax, x, op));
    case "conv2d":
    case "conv2dInputGradient":
    case "conv2dKernelGradient":
    case "maxPool2d":
    case "maxPool2dGradient":
    case "avgPool2d":
    case "avgPool2dGradient":
      return (operands) => computeWindowOp(jax, op, shape, operands);
  }
}

function unary(compute: (x: JaxArray) => JaxArray): Kernel {
  return ([x]) => compute(given(x));
}

function binary(compute: (a: JaxArray, b: JaxArray) => JaxArray): Kernel {
  return ([a, b]) => compute(given(a), given(b));
}

function given(operand: JaxArray | undefined): JaxArray {
  if (operand === undefined) throw new RangeError("Cannot compute node: it lacks an operand");
  return operand;
}

function fill({ numpy }: typeof Jax, shape: readonly number[], dtype: GraphDType, value: number): JaxArray {
  return numpy.full([...shape], value, { dtype: numpy[dtype] });
}

function count({ numpy }: typeof Jax, { shape, axis }: OpOf<"iota">): JaxArray {
  const size = shape[axis] ?? 0;
  const line = numpy.arange(0, size, 1, { dtype: numpy.int32 });
  return numpy.broadcastTo(line.reshape(shape.map((_, place) => (place === axis ? size : 1))), [...shape]);
}

function compare({ numpy }: typeof Jax, relation: Relation, a: JaxArray, b: JaxArray): JaxArray {
  switch (relation) {
    case "equal":
      return numpy.equal(a, b);
    case "greater":
      return numpy.greater(a, b);
    case "greaterEqual":
      return numpy.greaterEqual(a, b);
  }
}

/** Adds up over axes; a long sum as a sum of short ones, whose rounding errors stay small. */
function sum({ numpy }: typeof Jax, x: JaxArray, { axes, keepDims }: OpOf<"sum">): JaxArray {
  if (axes.length === 0) return x;
  const terms = axes.reduce((product, axis) => product * (x.shape[axis] ?? 1), 1);
  if (terms <= LONG_SUM) return numpy.sum(x, [...axes], { keepdims: keepDims });
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const keptShape = kept.map((axis) => x.shape[axis] ?? 1);
  const shape = keepDims ? x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size)) : keptShape;
  const rows = elementCount(keptShape);
  let partial = x.transpose([...kept, ...axes]).reshape([rows, terms]);
  for (let length = terms; length > 1; length = Math.ceil(length / LONG_SUM)) {
    const parts = Math.ceil(length / LONG_SUM);
    const missing = parts * LONG_SUM - length;
    if (parts > 1 && missing > 0) {
      partial = numpy.pad(partial, [
        [0, 0],
        [0, missing],
      ]);
    }
    partial = parts > 1 ? numpy.sum(partial.reshape([rows, parts, LONG_SUM]), [2]) : numpy.sum(partial, [1]);
  }
  return partial.reshape(shape);
}

function cumsum({ numpy }: typeof Jax, x: JaxArray, { axis, exclusive, reverse }: OpOf<"cumsum">): JaxArray {
  const inOrder = reverse ? numpy.flip(x, axis) : x;
  const summed = numpy.cumsum(exclusive ? shifted(numpy, inOrder, axis) : inOrder, axis);
  return reverse ? numpy.flip(summed, axis) : summed;
}

/** Moves every element one place on along an axis; a zero comes first and the last one is lost. */
function shifted(numpy: typeof Jax.numpy, x: JaxArray, axis: number): JaxArray {
  const size = x.shape[axis] ?? 0;
  const kept = x.slice(...x.shape.map((length, place): [number, number] => [0, place === axis ? size - 1 : length]));
  return numpy.pad(
    kept,
    kept.shape.map((_, place): [number, number] => [place === axis ? 1 : 0, 0]),
  );
}

/** The engine has no scatter of its own but the one that its gradient of a gather is. */
function scatter(jax: typeof Jax, indices: JaxArray, updates: JaxArray, shape: readonly number[]): JaxArray {
  const { numpy, grad } = jax;
  function gathered(table: JaxArray): JaxArray {
    return numpy.sum(numpy.multiply(numpy.take(table, indices, 0), updates));
  }
  return grad(gathered)(numpy.zeros([...shape]));
}

function swapped(x: JaxArray): JaxArray {
  const axes = x.shape.map((_, axis) => axis);
  const [last, previous] = [axes.pop() ?? 0, axes.pop() ?? 0];
  return x.transpose([...axes, last, previous]);
}
