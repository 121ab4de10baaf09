// Normalisation along axes, composed of the primitives. Each is a composite: a backend may have a kernel of its own for it.

import type { CompositeCall, Sym } from "../graph.ts";
import { add, div, mul, sqrt, square, sub } from "./elementwise.ts";
import { mean } from "./reduction.ts";
import { resolveAxes } from "./value.ts";

/** What a normalisation goes along, and what comes after it. */
export interface NormOptions {
  /** One or more axes; -1 is the last. */
  readonly axes: number | readonly number[];
  /** Added to the variance or the mean square. */
  readonly epsilon: number;
  /** Multiplies the result. */
  readonly gamma?: Sym | undefined;
  /** Is added in the end. */
  readonly beta?: Sym | undefined;
}

/** Brings mean and variance along axes to 0 and 1: https://arxiv.org/abs/1607.06450. */
export function layerNorm(x: Sym, { axes, epsilon, gamma, beta }: NormOptions): Sym {
  function expand(): Sym {
    const centered = sub(x, mean(x, { axes, keepDims: true }));
    const variance = mean(square(centered), { axes, keepDims: true });
    return scaled(div(centered, sqrt(add(variance, epsilon))), gamma, beta);
  }
  return x.graph.composite("layerNorm", expand, callOf(x, { axes, epsilon, gamma, beta }));
}

/** Brings the mean square along axes to 1: https://arxiv.org/abs/1910.07467. */
export function rmsNorm(x: Sym, { axes, epsilon, gamma, beta }: NormOptions): Sym {
  function expand(): Sym {
    const meanSquare = mean(square(x), { axes, keepDims: true });
    return scaled(div(x, sqrt(add(meanSquare, epsilon))), gamma, beta);
  }
  return x.graph.composite("rmsNorm", expand, callOf(x, { axes, epsilon, gamma, beta }));
}

function callOf(x: Sym, { axes, epsilon, gamma, beta }: NormOptions): CompositeCall {
  const inputs = [x, gamma, beta].filter((value) => value !== undefined);
  const [axis, ...others] = resolveAxes("normalization", x, axes);
  const isLast = axis === x.shape.length - 1 && others.length === 0;
  return { inputs, attributes: { epsilon, isLast, scale: gamma !== undefined, center: beta !== undefined } };
}

function scaled(x: Sym, gamma: Sym | undefined, beta: Sym | undefined): Sym {
  const stretched = gamma === undefined ? x : mul(x, gamma);
  return beta === undefined ? stretched : add(stretched, beta);
}
