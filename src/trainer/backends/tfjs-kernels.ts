// Each primitive as kernels of TensorFlow.js, called below its operator layer: no gradients are recorded, and what an engine
// lacks or gets wrong is composed of kernels that every engine has.
// https://github.com/tensorflow/tfjs/tree/master/tfjs-core/src/ops

import type { NamedAttrMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core";

import { roundToHalf } from "../../core/half-float.ts";
import { elementCount } from "../../core/tensor.ts";
import type { GraphDType, PlanNode, Relation } from "../plan.ts";
import { ERF_DENOMINATOR, ERF_LIMIT, ERF_NUMERATOR } from "../erf-approximation.ts";
import { addsNothing } from "../plan-node.ts";
import type { OpOf } from "../primitives.ts";
import { asInputs, type Call } from "./tfjs-call.ts";
import type { TfjsEngine } from "./tfjs-engines.ts";
import { computeWindowOp } from "./tfjs-windows.ts";

/** Computes one node from its operands. The result is a tensor of its own, for its owner to dispose. */
export type Kernel = (operands: readonly Tensor[]) => Tensor;

const kernelNames = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  tanh: "Tanh",
  sin: "Sin",
  cos: "Cos",
  floor: "Floor",
  add: "Add",
  sub: "Sub",
  mul: "Multiply",
  div: "RealDiv",
  max: "Maximum",
} as const;

const relationKernels: Record<Relation, string> = {
  equal: "Equal",
  greater: "Greater",
  greaterEqual: "GreaterEqual",
};

/** From this many terms on a sum in order is off by more than a few units of the last place. */
const LONG_SUM = 1024;

/**
 * Makes the kernel of a node.
 *
 * @throws {RangeError} for an input, a constant or an iota, whose tensors are there before a run.
 */
export function kernelFor(engine: TfjsEngine, node: PlanNode, sources: readonly PlanNode[]): Kernel {
  const { op, shape } = node;
  function call(kernel: string, inputs: NamedTensorMap, attributes?: NamedAttrMap): Tensor {
    return engine.core.engine().runKernel(kernel, inputs, attributes);
  }
  // The WebAssembly kernels leave their memory as it was.
  if (addsNothing(node, sources)) return () => engine.core.zeros([...shape], node.dtype);
  switch (op.kind) {
    case "input":
    case "const":
    case "iota":
      throw new RangeError(`Cannot compute ${op.kind}: its tensor is given`);
    case "neg":
    case "exp":
    case "log":
    case "sqrt":
    case "tanh":
    case "sin":
    case "cos":
    case "floor": {
      const kernel = kernelNames[op.kind];
      return unary((x) => call(kernel, { x }));
    }
    case "erf":
      return unary((x) => (engine.preciseErf ? call("Erf", { x }) : erf(engine, x)));
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "max": {
      const kernel = kernelNames[op.kind];
      return binary((a, b) => call(kernel, { a, b }));
    }
    case "compare":
      return binary((a, b) => call(relationKernels[op.relation], { a, b }));
    case "where":
      return (operands) => engine.core.tidy(() => select(engine, call, operands, shape));
    case "stopGradient":
      return unary((x) => call("Identity", { x }));
    case "sum":
      return unary((x) => engine.core.tidy(() => sum(engine, call, x, op, shape)));
    case "reduceMax":
      return unary((x) => call("Max", { x }, { reductionIndices: [...op.axes], keepDims: op.keepDims }));
    case "reshape":
      return unary((x) => call("Reshape", { x }, { shape: [...op.shape] }));
    case "broadcast":
      return unary((x) => engine.core.tidy(() => call("Identity", { x: expand(call, x, shape) })));
    case "transpose":
      return unary((x) => call("Transpose", { x }, { perm: [...op.perm] }));
    case "slice":
      return unary((x) => call("Slice", { x }, { begin: [...op.starts], size: [...shape] }));
    case "pad": {
      const paddings = op.before.map((count, axis) => [count, op.after[axis] ?? 0]);
      return unary((x) => call("PadV2", { x }, { paddings, constantValue: 0 }));
    }
    case "concat":
      return (operands) => call("Concat", asInputs(operands), { axis: op.axis });
    case "gather":
      return binary((x, indices) => call("GatherV2", { x, indices }, { axis: 0, batchDims: 0 }));
    case "scatterAdd":
      return binary((indices, updates) => engine.core.tidy(() => scatter(engine, call, node, indices, updates)));
    case "matmul":
      return binary((a, b) => engine.core.tidy(() => product(engine, call, a, b, op.transposeA, op.transposeB)));
    case "cast":
      return unary((x) => cast(engine, call, x, op.dtype));
    case "roundTo":
      return unary((x) => engine.core.engine().makeTensor(roundToHalf(op.format, x.dataSync()), x.shape, "float32"));
    case "argmax":
      return unary((x) => call("ArgMax", { x }, { axis: op.axis }));
    case "cumsum":
      return unary((x) => engine.core.tidy(() => cumsum(call, x, op)));
    case "conv2d":
    case "conv2dInputGradient":
    case "conv2dKernelGradient":
    case "maxPool2d":
    case "maxPool2dGradient":
    case "avgPool2d":
    case "avgPool2dGradient":
      return (operands) => engine.core.tidy(() => computeWindowOp(call, op, operands));
  }
}

function unary(compute: (x: Tensor) => Tensor): Kernel {
  return ([x]) => {
    if (x === undefined) throw new RangeError("Cannot compute node: it has no operand");
    return compute(x);
  };
}

function binary(compute: (a: Tensor, b: Tensor) => Tensor): Kernel {
  return ([a, b]) => {
    if (a === undefined || b === undefined) throw new RangeError("Cannot compute node: it lacks an operand");
    return compute(a, b);
  };
}

/**
 * Repeats a tensor to a shape, by numpy's rules. Tile is the kernel for it, but takes 68 ns for each element in WebAssembly;
 * a product with ones takes less than 1.
 */
function expand(call: Call, x: Tensor, shape: readonly number[]): Tensor {
  if (shape.length === x.rank && shape.every((size, axis) => size === x.shape[axis])) return x;
  if (x.dtype !== "bool") {
    return call("Multiply", { a: x, b: call("Fill", {}, { shape: [...shape], value: 1, dtype: x.dtype }) });
  }
  const aligned = [...Array<number>(shape.length - x.rank).fill(1), ...x.shape];
  const reps = shape.map((size, axis) => (aligned[axis] === size ? 1 : size));
  return call("Tile", { x: call("Reshape", { x }, { shape: aligned }) }, { reps });
}

/** Select takes three tensors of one shape. In WebAssembly it takes bools for numbers of four bytes, so they become such. */
function select(engine: TfjsEngine, call: Call, operands: readonly Tensor[], shape: readonly number[]): Tensor {
  const [condition, t, e] = operands.map((operand) => expand(call, operand, shape));
  if (condition === undefined || t === undefined || e === undefined) {
    throw new RangeError("Cannot compute where: it lacks an operand");
  }
  if (t.dtype !== "bool") return call("Select", { condition, t, e });
  const numbers = { t: cast(engine, call, t, "int32"), e: cast(engine, call, e, "int32") };
  return cast(engine, call, call("Select", { condition, ...numbers }), "bool");
}

/** A long sum in two stages, first over parts of the axes, where the engine would add in order. */
function sum(
  engine: TfjsEngine,
  call: Call,
  x: Tensor,
  { axes, keepDims }: OpOf<"sum">,
  shape: readonly number[],
): Tensor {
  const terms = elementCount(axes.map((axis) => x.shape[axis] ?? 1));
  if (!engine.sumsInOrder || terms < LONG_SUM) return call("Sum", { x }, { axis: [...axes], keepDims });
  const parts = x.shape.map((size, axis) => (axes.includes(axis) ? divisorNearRoot(size) : 1));
  const split = x.shape.flatMap((size, axis) => [size / (parts[axis] ?? 1), parts[axis] ?? 1]);
  const whole = call("Reshape", { x }, { shape: split });
  const partial = call("Sum", { x: whole }, { axis: x.shape.map((_, axis) => 2 * axis + 1), keepDims: false });
  const total = call("Sum", { x: partial }, { axis: [...axes], keepDims: false });
  return call("Reshape", { x: total }, { shape: [...shape] });
}

/** The greatest divisor of a size that is at most its square root. */
function divisorNearRoot(size: number): number {
  let divisor = Math.floor(Math.sqrt(size));
  while (size % divisor !== 0) divisor--;
  return divisor;
}

/** Along the last axis, where every engine adds it up. */
function cumsum(call: Call, x: Tensor, { axis, exclusive, reverse }: OpOf<"cumsum">): Tensor {
  const last = x.rank - 1;
  const perm = Array.from({ length: x.rank }, (_, place) => place)
    .with(axis, last)
    .with(last, axis);
  const moved = call("Transpose", { x }, { perm });
  const sums = call("Cumsum", { x: moved }, { axis: last, exclusive, reverse });
  return call("Transpose", { x: sums }, { perm });
}

function scatter(engine: TfjsEngine, call: Call, node: PlanNode, indices: Tensor, updates: Tensor): Tensor {
  const [rows = 0, ...rowShape] = node.shape;
  if (!engine.checksIndices) checkIndices(indices, rows);
  const count = elementCount(indices.shape);
  return call(
    "ScatterNd",
    {
      indices: call("Reshape", { x: indices }, { shape: [count, 1] }),
      updates: call("Reshape", { x: updates }, { shape: [count, ...rowShape] }),
    },
    { shape: [rows, ...rowShape] },
  );
}

/** The WebAssembly kernel would write to whatever memory an index leads to. */
function checkIndices(indices: Tensor, rows: number): void {
  for (const index of indices.dataSync()) {
    if (index >= 0 && index < rows) continue;
    throw new RangeError(`index ${index} is not in [0, ${rows})`);
  }
}

function product(
  engine: TfjsEngine,
  call: Call,
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
): Tensor {
  if (engine.transposesInProduct) return call("BatchMatMul", { a, b }, { transposeA, transposeB });
  const left = transposeA ? swapLastAxes(call, a) : a;
  const right = transposeB ? swapLastAxes(call, b) : b;
  return call("BatchMatMul", { a: left, b: right }, { transposeA: false, transposeB: false });
}

function swapLastAxes(call: Call, x: Tensor): Tensor {
  const leading = Array.from({ length: x.rank - 2 }, (_, axis) => axis);
  return call("Transpose", { x }, { perm: [...leading, x.rank - 1, x.rank - 2] });
}

/** The WebAssembly kernel keeps the low byte of a number as a bool. */
function cast(engine: TfjsEngine, call: Call, x: Tensor, dtype: GraphDType): Tensor {
  if (dtype !== "bool" || x.dtype === "bool") return call("Cast", { x }, { dtype });
  return engine.core.tidy(() => call("NotEqual", { a: x, b: engine.core.scalar(0, x.dtype) }));
}

// In float64; as single numbers, because a loop over a list is several times slower.
const [n6, n5, n4, n3, n2, n1, n0] = ERF_NUMERATOR;
const [d4, d3, d2, d1, d0] = ERF_DENOMINATOR;

/** Computes erf in JavaScript: one pass over the elements costs less than the two dozen kernels it would take. */
function erf(engine: TfjsEngine, x: Tensor): Tensor {
  const values = Float32Array.from(x.dataSync(), erfOf);
  return engine.core.engine().makeTensor(values, x.shape, "float32");
}

function erfOf(value: number): number {
  const x = Math.max(-ERF_LIMIT, Math.min(ERF_LIMIT, value));
  const square = x * x;
  const numerator = (((((n6 * square + n5) * square + n4) * square + n3) * square + n2) * square + n1) * square + n0;
  const denominator = (((d4 * square + d3) * square + d2) * square + d1) * square + d0;
  return (x * numerator) / denominator;
}
