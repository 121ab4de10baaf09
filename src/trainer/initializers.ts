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
    return fill(shape, () => drawTruncated(stream) * scale);
  },
};

/** Draws as {@link glorotUniform} with the same variance, from the normal distribution cut off at two deviations. */
export const glorotNormal: Initializer = varianceScaling("glorotNormal", { scale: 1, of: "mean", isNormal: true });

/** Draws as {@link heNormal} with the same variance, from the uniform distribution. */
export const heUniform: Initializer = varianceScaling("heUniform", { scale: 2, of: "fanIn", isNormal: false });

/**
 * Draws from the normal distribution of standard deviation `sqrt(1 / fanIn)`, cut off at two deviations before it is scaled:
 * for selu. https://arxiv.org/abs/1706.02515
 */
export const lecunNormal: Initializer = varianceScaling("lecunNormal", { scale: 1, of: "fanIn", isNormal: true });

/** Draws as {@link lecunNormal} with the same variance, from the uniform distribution. */
export const lecunUniform: Initializer = varianceScaling("lecunUniform", { scale: 1, of: "fanIn", isNormal: false });

/** A normal distribution to start from. */
export interface NormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** The standard deviation. Default 0.05. */
  readonly stddev?: number;
}

/**
 * Draws from a normal distribution.
 *
 * @throws {RangeError} when the standard deviation is negative or a number is not finite.
 */
export function randomNormal({ mean = 0, stddev = 0.05 }: NormalOptions = {}): Initializer {
  checkDeviation(mean, stddev);
  return {
    name: `randomNormal(${mean}, ${stddev})`,
    create: (shape, stream) => fill(shape, () => mean + stream.normal() * stddev),
  };
}

/**
 * Draws from a normal distribution; what is beyond two deviations is drawn again.
 *
 * @throws {RangeError} when the standard deviation is negative or a number is not finite.
 */
export function truncatedNormal({ mean = 0, stddev = 0.05 }: NormalOptions = {}): Initializer {
  checkDeviation(mean, stddev);
  return {
    name: `truncatedNormal(${mean}, ${stddev})`,
    create: (shape, stream) => fill(shape, () => mean + drawTruncated(stream) * stddev),
  };
}

/**
 * Draws evenly from `[min, max)`; by default within 0.05 of 0, what embeddings start with.
 *
 * @throws {RangeError} when the range is none.
 */
export function randomUniform({
  min = -0.05,
  max = 0.05,
}: { readonly min?: number; readonly max?: number } = {}): Initializer {
  if (!(min <= max) || !Number.isFinite(max - min)) {
    throw new RangeError(`Cannot initialise: from ${min} to ${max} is no range`);
  }
  return {
    name: `randomUniform(${min}, ${max})`,
    create: (shape, stream) => fill(shape, () => min + stream.uniform() * (max - min)),
  };
}

/**
 * Makes rows or columns (whichever are fewer) of length `gain` that stand at right angles, from a random matrix: the axes
 * but the last are its rows. https://arxiv.org/abs/1312.6120
 *
 * @throws {RangeError} when a shape has less than two axes, as it is made.
 */
export function orthogonal({ gain = 1 }: { readonly gain?: number } = {}): Initializer {
  return {
    name: `orthogonal(${gain})`,
    create(shape, stream) {
      if (shape.length < 2) throw new RangeError("Cannot initialise: an orthogonal parameter has two axes or more");
      const columns = shape.at(-1) ?? 1;
      const rows = elementCount(shape.slice(0, -1));
      const [count, length] = rows < columns ? [rows, columns] : [columns, rows];
      const vectors = orthonormal(count, length, stream);
      return Float32Array.from({ length: rows * columns }, (_, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        const [vector, place] = rows < columns ? [row, column] : [column, row];
        return gain * (vectors[vector]?.[place] ?? 0);
      });
    },
  };
}

/**
 * Starts from one number.
 *
 * @throws {RangeError} when it is not finite.
 */
export function constant(value: number): Initializer {
  if (!Number.isFinite(value)) throw new RangeError(`Cannot initialise: ${value} is not finite`);
  return { name: `constant(${value})`, create: (shape) => fill(shape, () => value) };
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

/** How far the values of a parameter spread, by the inputs and outputs of a unit. */
interface Scaling {
  readonly scale: number;
  readonly of: "fanIn" | "mean";
  readonly isNormal: boolean;
}

/** Draws with variance `scale / n`, n being the inputs of a unit or the mean of its inputs and outputs. */
function varianceScaling(name: string, { scale, of, isNormal }: Scaling): Initializer {
  return {
    name,
    create(shape, stream) {
      const { fanIn, fanOut } = fans(shape);
      const deviation = Math.sqrt(scale / Math.max(1, of === "fanIn" ? fanIn : (fanIn + fanOut) / 2));
      if (!isNormal) return fill(shape, () => (2 * stream.uniform() - 1) * Math.sqrt(3) * deviation);
      return fill(shape, () => (drawTruncated(stream) * deviation) / TRUNCATED_DEVIATION);
    },
  };
}

/** Draws random vectors and takes from each its part along those before it (Gram and Schmidt, twice for rounding). */
function orthonormal(count: number, length: number, stream: RandomStream): Float64Array[] {
  const vectors: Float64Array[] = [];
  for (let i = 0; i < count; i++) {
    const vector = Float64Array.from({ length }, () => stream.normal());
    for (let pass = 0; pass < 2; pass++) {
      for (const other of vectors) {
        const part = dot(vector, other);
        for (let j = 0; j < length; j++) vector[j] = (vector[j] ?? 0) - part * (other[j] ?? 0);
      }
    }
    const size = Math.sqrt(dot(vector, vector));
    vectors.push(vector.map((value) => value / size));
  }
  return vectors;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function checkDeviation(mean: number, stddev: number): void {
  if (stddev >= 0 && Number.isFinite(stddev) && Number.isFinite(mean)) return;
  throw new RangeError(`Cannot initialise: no normal distribution has mean ${mean} and standard deviation ${stddev}`);
}

function drawTruncated(stream: RandomStream): number {
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
