// The language between the tracer and the backends: static shapes, a closed list of primitives, one table a backend.

import type { HalfDType } from "../core/half-float.ts";
import type { DType, Tensor } from "../core/tensor.ts";
import type { Pair, Window } from "./windows.ts";

/** The dtypes of the graph. A feature of another dtype is cast where it enters. */
export type GraphDType = Extract<DType, "float32" | "int32" | "bool">;

/**
 * What a node computes. Operands come first in {@link PlanNode.inputs}; the attributes are here.
 *
 * Elementwise primitives broadcast as numpy does. Axes are counted from 0 and never negative.
 *
 * - `input`: a tensor fed by name at each run, or (where the plan's `state` names it) kept inside the session
 * - `const`: a tensor known at trace time
 * - `neg exp log sqrt tanh erf sin cos floor`: elementwise, float32
 * - `add sub mul div max`: elementwise over two operands of one dtype (float32; `add sub mul max` int32 as well)
 * - `compare`: elementwise over two operands of one dtype, gives bool
 * - `where`: condition (bool), value where true, value where false
 * - `stopGradient`: the identity without a derivative
 * - `sum`, `reduceMax`: over `axes` (ascending), which stay with size 1 when `keepDims`
 * - `reshape`, `transpose` (`out.shape[i] = in.shape[perm[i]]`), `broadcast` (numpy's rules, to `shape`)
 * - `slice`: `[starts, ends)` on every axis
 * - `pad`: zeros before and after on every axis
 * - `concat`: along `axis`
 * - `gather`: rows of operand 0 at the int32 indices of operand 1: `[...indices.shape, ...table.shape.slice(1)]`
 * - `scatterAdd`: the adjoint of gather: zeros of `[rows, ...]` with the rows of operand 1 added at the int32 indices of operand 0
 * - `matmul`: the last two axes, transposed first where `transposeA`, `transposeB` say; the leading axes are equal
 * - `cast`: to `dtype`; from float32 to int32 toward zero; bool as 0 and 1
 * - `roundTo`: float32 to the nearest number of a 16-bit `format`, ties to even, kept as float32; infinite beyond its range
 * - `argmax`: the int32 index of the first greatest element along `axis`, which is removed
 * - `iota`: int32 counting along `axis` of `shape`
 * - `cumsum`: the sum of the elements so far along `axis`; `exclusive` without the element itself, `reverse` from the end
 *
 * Over planes `[batch, channels, height, width]`, with a {@link Window} that slides over them, all float32:
 *
 * - `conv2d`: planes and a kernel `[height, width, channels / groups, filters]` give `[batch, filters, ...]`; group `i` of the
 *   channels and group `i` of the filters belong together
 * - `conv2dInputGradient`: its adjoint for the planes, of `inputSize`: operand 0 is the gradient, operand 1 the kernel
 * - `conv2dKernelGradient`: its adjoint for the kernel: operand 0 is the planes, operand 1 the gradient
 * - `maxPool2d`: the greatest of each window; padding is never the greatest
 * - `maxPool2dGradient`: its adjoint: operand 1 added to where each window of operand 0 has its first greatest element
 * - `avgPool2d`: the sum of each window, divided by the window's elements; padding counts as 0
 * - `avgPool2dGradient`: its adjoint, for planes of `inputSize`
 */
export type Op =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "const"; readonly value: Tensor<GraphDType> }
  | { readonly kind: UnaryKind }
  | { readonly kind: BinaryKind }
  | { readonly kind: "compare"; readonly relation: Relation }
  | { readonly kind: "where" }
  | { readonly kind: "stopGradient" }
  | { readonly kind: "sum" | "reduceMax"; readonly axes: readonly number[]; readonly keepDims: boolean }
  | { readonly kind: "reshape" | "broadcast"; readonly shape: readonly number[] }
  | { readonly kind: "transpose"; readonly perm: readonly number[] }
  | { readonly kind: "slice"; readonly starts: readonly number[]; readonly ends: readonly number[] }
  | { readonly kind: "pad"; readonly before: readonly number[]; readonly after: readonly number[] }
  | { readonly kind: "concat"; readonly axis: number }
  | { readonly kind: "gather" }
  | { readonly kind: "scatterAdd"; readonly rows: number }
  | { readonly kind: "matmul"; readonly transposeA: boolean; readonly transposeB: boolean }
  | { readonly kind: "cast"; readonly dtype: GraphDType }
  | { readonly kind: "roundTo"; readonly format: HalfDType }
  | { readonly kind: "argmax"; readonly axis: number }
  | { readonly kind: "iota"; readonly shape: readonly number[]; readonly axis: number }
  | { readonly kind: "cumsum"; readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean }
  | { readonly kind: "conv2d" | "conv2dKernelGradient"; readonly window: Window; readonly groups: number }
  | {
      readonly kind: "conv2dInputGradient";
      readonly window: Window;
      readonly groups: number;
      readonly inputSize: Pair;
    }
  | { readonly kind: "maxPool2d" | "maxPool2dGradient" | "avgPool2d"; readonly window: Window }
  | { readonly kind: "avgPool2dGradient"; readonly window: Window; readonly inputSize: Pair };

/** Primitives of one operand. */
export type UnaryKind = "neg" | "exp" | "log" | "sqrt" | "tanh" | "erf" | "sin" | "cos" | "floor";
/** Primitives of two operands. */
export type BinaryKind = "add" | "sub" | "mul" | "div" | "max";
/** Relations of `compare`. */
export type Relation = "equal" | "greater" | "greaterEqual";
/** The name of a primitive. */
export type OpKind = Op["kind"];

/** What random numbers a feed holds, each drawn by itself. */
export type Distribution =
  /** float32 in [0, 1), 24 random bits. */
  | { readonly kind: "uniform" }
  /** float32 of mean 0 and standard deviation 1. */
  | { readonly kind: "normal" }
  /** bool, true with the given probability. */
  | { readonly kind: "bernoulli"; readonly probability: number };

/** A feed of random numbers. */
export interface RandomSpec {
  readonly shape: readonly number[];
  readonly distribution: Distribution;
}

/** One computed value. */
export interface PlanNode {
  /** Its place in {@link Plan.nodes}. */
  readonly id: number;
  readonly op: Op;
  /** Ids of the operands, all smaller than `id`. */
  readonly inputs: readonly number[];
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  /** The layer that made it, for messages and profiles: `encoder/dense_1`. */
  readonly scope: string;
}

/** A function of many primitives that a backend may have a kernel of its own for, as a part of a plan. */
export interface PlanComposite {
  /** `attention`, `layerNorm`, `rmsNorm`, or a name of one's own. */
  readonly name: string;
  /** The layer that it is part of, and the name. */
  readonly scope: string;
  /** Ids of its operands. */
  readonly inputs: readonly number[];
  /** The id of its result. */
  readonly output: number;
  /** What is claimed for it, by backend: a kernel as data, or why there is none for this one. */
  readonly kernels: Readonly<Record<string, KernelModel | string>>;
}

/** A kernel as ONNX operators over `input0`, `input1`, ... that make `output`. Other names are values in between. */
export interface KernelModel {
  /** The version of the standard operators that it needs, where it is newer than 20. */
  readonly opset?: number;
  readonly nodes: readonly KernelNode[];
}

/** An operator of a {@link KernelModel}. */
export interface KernelNode {
  readonly opType: string;
  /** Default: the standard operators. */
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** A number is a whole one; `{ float }` is not. */
  readonly attributes?: Readonly<Record<string, number | { readonly float: number } | readonly number[] | string>>;
}

/** One whole computation: what a backend compiles. Dead nodes are gone and ids are dense. */
export interface Plan {
  /** `train`, `evaluate`, `predict`: for messages. */
  readonly name: string;
  /** In an order in which every operand stands before its user. */
  readonly nodes: readonly PlanNode[];
  /** Tensors to feed at each run: name to node id. */
  readonly feeds: ReadonlyMap<string, number>;
  /**
   * Those of the feeds that hold random numbers, and which. To a backend they are feeds as all others; whoever runs the
   * program draws them, so that every backend computes with the same bits. None where it is left out.
   */
  readonly randoms?: ReadonlyMap<string, RandomSpec>;
  /** Functions of many primitives in it for which a kernel is claimed. None where it is left out. */
  readonly composites?: readonly PlanComposite[];
  /** Tensors of the session that the plan reads: name to node id. */
  readonly state: ReadonlyMap<string, number>;
  /** Their new values after the run: name to node id. State without an entry stays as it is. */
  readonly updates: ReadonlyMap<string, number>;
  /** Tensors handed back from each run: name to node id. */
  readonly outputs: ReadonlyMap<string, number>;
}
