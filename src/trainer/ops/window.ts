// Operations over windows that slide over planes, float32 `[batch, channels, height, width]`: the layout of the kernels of
// ONNX Runtime. The layers take channels last as well.

import type { Sym } from "../graph.ts";
import type { Pair, Window } from "../windows.ts";

/** A window without the sizes that the operands have, and how many groups the channels fall into. */
export interface Conv2dOptions {
  readonly window: Window;
  /** Default 1. */
  readonly groups?: number;
}

/**
 * Multiplies a kernel `[height, width, channels / groups, filters]` with each window: `[batch, filters, ...]`.
 *
 * @throws {KdataError} `shape` when planes, kernel and window do not fit.
 */
export function conv2d(x: Sym, kernel: Sym, { window, groups = 1 }: Conv2dOptions): Sym {
  return x.graph.node({ kind: "conv2d", window, groups }, [x, kernel]);
}

/** Takes the gradient of the planes of {@link conv2d}, of `inputSize`; also called transposed convolution of `gradient`. */
export function conv2dInputGradient(
  gradient: Sym,
  kernel: Sym,
  { window, groups = 1, inputSize }: Conv2dOptions & { readonly inputSize: Pair },
): Sym {
  return gradient.graph.node({ kind: "conv2dInputGradient", window, groups, inputSize }, [gradient, kernel]);
}

/** Takes the gradient of the kernel of {@link conv2d} from that of its result. */
export function conv2dKernelGradient(x: Sym, gradient: Sym, { window, groups = 1 }: Conv2dOptions): Sym {
  return x.graph.node({ kind: "conv2dKernelGradient", window, groups }, [x, gradient]);
}

/** Takes the greatest element of each window. The derivative is the first greatest element's. Not differentiable twice. */
export function maxPool2d(x: Sym, window: Window): Sym {
  return x.graph.node({ kind: "maxPool2d", window }, [x]);
}

/** Takes the gradient of the planes of {@link maxPool2d}. */
export function maxPool2dGradient(x: Sym, gradient: Sym, window: Window): Sym {
  return x.graph.node({ kind: "maxPool2dGradient", window }, [x, gradient]);
}

/** Averages each window. Padding counts as 0 and among the elements. */
export function avgPool2d(x: Sym, window: Window): Sym {
  return x.graph.node({ kind: "avgPool2d", window }, [x]);
}

/** Takes the gradient of the planes of {@link avgPool2d}, of `inputSize`: each gradient spread evenly over its window. */
export function avgPool2dGradient(gradient: Sym, window: Window, inputSize: Pair): Sym {
  return gradient.graph.node({ kind: "avgPool2dGradient", window, inputSize }, [gradient]);
}
