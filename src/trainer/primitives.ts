// The form of each primitive: its attributes by name and its operands by number. The tables of shapes, adjoints and kernels
// are typed by it, so that the compiler names what a new primitive still misses.

export { sameShape } from "../core/tensor.ts";
import type { BinaryKind, GraphDType, Op, OpKind } from "./plan.ts";

/** Shape and dtype of a value. */
export interface ValueSpec {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
}

/** The operation of one kind, with its attributes. */
export type OpOf<K extends OpKind> = OpMember<Op, K>;

type OpMember<O extends Op, K extends OpKind> = O extends Op ? (K extends O["kind"] ? O : never) : never;

/** The operands of a primitive as a tuple of `T`. */
export type Operands<K extends OpKind, T> = K extends "input" | "const" | "iota"
  ? readonly []
  : K extends
        | BinaryKind
        | "compare"
        | "gather"
        | "scatterAdd"
        | "matmul"
        | "conv2d"
        | "conv2dInputGradient"
        | "conv2dKernelGradient"
        | "maxPool2dGradient"
    ? readonly [T, T]
    : K extends "where"
      ? readonly [T, T, T]
      : K extends "concat"
        ? readonly [T, ...T[]]
        : readonly [T];

/** How many operands each primitive takes; `concat` takes this many or more. */
const operandCounts: { readonly [K in OpKind]: Operands<K, unknown>["length"] } = {
  input: 0,
  const: 0,
  iota: 0,
  neg: 1,
  exp: 1,
  log: 1,
  sqrt: 1,
  tanh: 1,
  erf: 1,
  sin: 1,
  cos: 1,
  floor: 1,
  add: 2,
  sub: 2,
  mul: 2,
  div: 2,
  max: 2,
  compare: 2,
  where: 3,
  stopGradient: 1,
  sum: 1,
  reduceMax: 1,
  reshape: 1,
  broadcast: 1,
  transpose: 1,
  slice: 1,
  pad: 1,
  concat: 1,
  gather: 2,
  scatterAdd: 2,
  matmul: 2,
  cast: 1,
  roundTo: 1,
  argmax: 1,
  cumsum: 1,
  conv2d: 2,
  conv2dInputGradient: 2,
  conv2dKernelGradient: 2,
  maxPool2d: 1,
  maxPool2dGradient: 2,
  avgPool2d: 1,
  avgPool2dGradient: 1,
};

/**
 * Checks the number of operands.
 *
 * @throws {TypeError} when the primitive takes another number.
 */
export function checkOperandCount(kind: OpKind, count: number): void {
  const wanted = operandCounts[kind];
  if (kind === "concat" ? count >= wanted : count === wanted) return;
  throw new TypeError(
    `Cannot trace ${kind}: it takes ${wanted} operands${kind === "concat" ? " or more" : ""}, not ${count}`,
  );
}

/** Writes a shape as the messages show it: `[32, 784]`. */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Writes shape and dtype as the messages show them: `float32 [32, 784]`. */
export function formatSpec({ dtype, shape }: ValueSpec): string {
  return `${dtype} ${formatShape(shape)}`;
}
