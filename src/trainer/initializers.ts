// Initial values of parameters. The caller gives the stream of random numbers, so that a parameter depends on the seed and
// its own path alone.

import type { RandomStream } from "../core/random.ts";
import { elementCount } from "../core/tensor.ts";

/** Samples of the normal distribution beyond two standard deviations are drawn again, which leaves this deviation. */
const TRUNCATED_DEVIATION = 0.87962566103423978;

/** Fills a new parameter. */
export interface Initializer {
  readonly name: string;
  /** Makes the values of a parameter in row-major order, in fresh memory. The same stream gives the same values. */
  create(shape: readonly number[], stream: RandomStream): Float32Array;
}

/**
 * Draws from the uniform distribution within `sqrt(6 / (fanIn + fanOut))` of 0: what dense kernels start with.
 * Glorot and Bengio, https://proceedings.mlr.press/v9/glorot10a.html
 */
export const glorotUniform: Initializer = {
  name: "glorotUniform",
  create(shape, stream) {
    const { fanIn, fanOut } = fans(shape);
    const limit = Math.sqrt(6 / Math.max(1, fanIn + fanOut));
    return fill(shape, () => (2 * stream.uniform() - 1) * limit);
  },
};

/**
 * Draws from the normal distribution of standard deviation `sqrt(2 / fanIn)`, cut off at two deviations before it is scaled:
 * for layers that relu follows. He, Zhang, Ren and Sun, https://arxiv.org/abs/1502.01852
 */
export const heNormal: Initializer = {
  name: "heNormal",
  create(shape, stream) {
    const scale = Math.sqrt(2 / Math.max(1, fans(shape).fanIn)) / TRUNCATED_DEVIATION;
    return fill(shape, () => truncatedNormal(stream) * scale);
  },
};

/**
 * Draws from the normal distribution of mean 0.
 *
 * @throws {RangeError} when the standard deviation is negative or not finite.
 */
export function normal(standardDeviation = 0.05): Initializer {
  if (!(standardDeviation >= 0 && Number.isFinite(standardDeviation))) {
    throw new RangeError(`Cannot initialise: ${standardDeviation} is not a standard deviation`);
  }
  return {
    name: `normal(${standardDeviation})`,
    create: (shape, stream) => fill(shape, () => stream.normal() * standardDeviation),
  };
}

/** Starts from 0. */
export const zeros: Initializer = { name: "zeros", create: (shape) => fill(shape, () => 0) };

/** Starts from 1. */
export const ones: Initializer = { name: "ones", create: (shape) => fill(shape, () => 1) };

/** Inputs and outputs of one unit, as Keras counts them: the last two axes, times the axes before them. */
function fans(shape: readonly number[]): { fanIn: number; fanOut: number } {
  const fanOut = shape.at(-1) ?? 1;
  if (shape.length < 2) return { fanIn: fanOut, fanOut };
  const receptiveField = elementCount(shape.slice(0, -2));
  return { fanIn: receptiveField * (shape.at(-2) ?? 1), fanOut: receptiveField * fanOut };
}

function truncatedNormal(stream: RandomStream): number {
  for (;;) {
    const value = stream.normal();
    if (Math.abs(value) <= 2) return value;
  }
}

function fill(shape: readonly number[], next: () => number): Float32Array {
  const values = new Float32Array(elementCount(shape));
  for (let i = 0; i < values.length; i++) values[i] = next();
  return values;
}
