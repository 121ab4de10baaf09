// Operations that combine elements along axes. Axes may count from the end: -1 is the last.

import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import { formatSpec, sameShape } from "../primitives.ts";
import { broadcastShapes } from "../shapes.ts";
import { div } from "./elementwise.ts";
import { broadcastTo, reshape } from "./shape.ts";
import { resolveAxes, resolveAxis } from "./value.ts";

/** Which axes a reduction takes away. */
export interface ReductionOptions {
  /** One or more axes; all of them when left out. */
  readonly axes?: number | readonly number[];
  /** Leaves the axes in place with size 1. Default false. */
  readonly keepDims?: boolean;
}

/** Adds up float32 or int32 elements along axes. */
export function sum(x: Sym, options: ReductionOptions = {}): Sym {
  return x.graph.node({ kind: "sum", ...reduction("sum", x, options) }, [x]);
}

/** Averages float32 elements along axes. */
export function mean(x: Sym, options: ReductionOptions = {}): Sym {
  const { axes } = reduction("mean", x, options);
  return div(sum(x, options), elementCount(axes.map((axis) => x.shape[axis] ?? 1)));
}

/** Takes the greatest element along axes. Equal greatest elements share the derivative evenly. */
export function reduceMax(x: Sym, options: ReductionOptions = {}): Sym {
  return x.graph.node({ kind: "reduceMax", ...reduction("reduceMax", x, options) }, [x]);
}

/** Finds the int32 index of the first greatest element along an axis, which goes away. */
export function argmax(x: Sym, axis = -1): Sym {
  return x.graph.node({ kind: "argmax", axis: resolveAxis("argmax", x, axis) }, [x]);
}

/** Along which axis {@link cumsum} adds, and how. */
export interface CumsumOptions {
  /** Default -1, the last. */
  readonly axis?: number;
  /** Leaves the element itself out: the first sum is 0. Default false. */
  readonly exclusive?: boolean;
  /** Adds from the end of the axis to its start. Default false. */
  readonly reverse?: boolean;
}

/** Adds up the float32 or int32 elements so far along an axis. */
export function cumsum(x: Sym, { axis = -1, exclusive = false, reverse = false }: CumsumOptions = {}): Sym {
  return x.graph.node({ kind: "cumsum", axis: resolveAxis("cumsum", x, axis), exclusive, reverse }, [x]);
}

/** Which operands of {@link matmul} are transposed in their last two axes first. */
export interface MatmulOptions {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

/**
 * Multiplies matrices `[..., n, k]` and `[..., k, m]`, float32: `[..., n, m]`. Leading axes broadcast as numpy's do.
 *
 * @throws {KdataError} `shape` when the sizes do not fit.
 */
export function matmul(a: Sym, b: Sym, options: MatmulOptions = {}): Sym {
  const { transposeA = false, transposeB = false } = options;
  const [aLeading, bLeading] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (sameShape(aLeading, bLeading)) return a.graph.node({ kind: "matmul", transposeA, transposeB }, [a, b]);
  if (bLeading.length === 0 && b.shape.length === 2 && !transposeA) {
    // One large product instead of many with the same right operand; the derivative of b is one product as well.
    const rows = reshape(a, [elementCount(a.shape.slice(0, -1)), a.shape.at(-1) ?? 0]);
    const product = matmul(rows, b, { transposeB });
    return reshape(product, [...a.shape.slice(0, -1), product.shape.at(-1) ?? 0]);
  }
  const leading = broadcastShapes(aLeading, bLeading);
  if (!leading)
    throw a.graph.misfit("matmul", `the leading axes of ${formatSpec(a)} and ${formatSpec(b)} do not broadcast`);
  return matmul(
    broadcastTo(a, [...leading, ...a.shape.slice(-2)]),
    broadcastTo(b, [...leading, ...b.shape.slice(-2)]),
    options,
  );
}

function reduction(action: string, x: Sym, { axes, keepDims = false }: ReductionOptions) {
  return { axes: axes === undefined ? x.shape.map((_, axis) => axis) : resolveAxes(action, x, axes), keepDims };
}
