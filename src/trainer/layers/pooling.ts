// Pooling: fewer elements along the length or the planes, one for each window or one for all.
// https://keras.io/api/layers/pooling_layers/

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { planeOf, slideOver, type Window } from "../windows.ts";
import { Layer } from "./layer.ts";
import {
  checkWord,
  dataFormats,
  fromChannelsFirst,
  middleAxes,
  paddings,
  pairOf,
  placeWindow,
  toChannelsFirst,
  type DataFormat,
  type OneOrTwo,
  type Padding,
  type WindowOptions,
} from "./planes.ts";

/** How pooling of windows is done. */
export interface Pool2dOptions {
  /** Default 2. */
  readonly poolSize?: OneOrTwo;
  /** Default: the pool size. */
  readonly strides?: OneOrTwo;
  /** Default `valid`. */
  readonly padding?: Padding;
  /** Default `channelsLast`. */
  readonly dataFormat?: DataFormat;
  readonly name?: string;
}

/** How pooling of everything is done. */
export interface GlobalPoolOptions {
  /** Leaves the axes in place with size 1. Default false. */
  readonly keepDims?: boolean;
  /** Default `channelsLast`. */
  readonly dataFormat?: DataFormat;
  readonly name?: string;
}

/**
 * Makes a layer from `[batch, height, width, channels]` to the greatest elements of windows.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function maxPool2d(options: Pool2dOptions = {}): Layer {
  return new MaxPool2d("maxPool2d", options);
}

/**
 * Makes a layer from `[batch, height, width, channels]` to the averages of windows, in which padding does not count.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function avgPool2d(options: Pool2dOptions = {}): Layer {
  return new AvgPool2d("avgPool2d", options);
}

/** Makes a layer from `[batch, ..., channels]` to the averages `[batch, channels]` over all axes in between. */
export function globalAveragePool(options: GlobalPoolOptions = {}): Layer {
  return new GlobalAveragePool("globalAveragePool", options);
}

/** Makes a layer from `[batch, ..., channels]` to the greatest elements `[batch, channels]` over all axes in between. */
export function globalMaxPool(options: GlobalPoolOptions = {}): Layer {
  return new GlobalMaxPool("globalMaxPool", options);
}

abstract class Pool2d extends Layer {
  readonly #type: string;
  readonly #window: WindowOptions;
  readonly #format: DataFormat;

  constructor(type: string, options: Pool2dOptions) {
    super(options);
    const { poolSize = 2, strides = poolSize, padding = "valid", dataFormat = "channelsLast" } = options;
    checkWord(type, "padding", padding, paddings);
    checkWord(type, "dataFormat", dataFormat, dataFormats);
    this.#type = type;
    this.#format = dataFormat;
    this.#window = {
      size: pairOf(type, "poolSize", poolSize),
      strides: pairOf(type, "strides", strides),
      dilations: [1, 1],
      padding,
    };
  }

  /** Pools planes with channels first. */
  protected abstract pool(x: Sym, window: Window): Sym;

  call(x: Sym): Sym {
    const planes = toChannelsFirst(this.#type, x, this.#format);
    const window = placeWindow(planeOf(planes.shape), this.#window);
    return fromChannelsFirst(this.pool(planes, window), this.#format);
  }
}

class MaxPool2d extends Pool2d {
  protected pool(x: Sym, window: Window): Sym {
    return ops.maxPool2d(x, window);
  }
}

class AvgPool2d extends Pool2d {
  protected pool(x: Sym, window: Window): Sym {
    const averages = ops.avgPool2d(x, window);
    const hasPadding = [...window.before, ...window.after].some((count) => count > 0);
    return hasPadding ? ops.mul(averages, x.graph.constant(shareInside(planeOf(x.shape), window))) : averages;
  }
}

/** For each window the number of its elements by the number of those that are not padding, `[height, width]`. */
function shareInside(input: readonly [number, number], window: Window) {
  const results = slideOver(input, window);
  function inside(axis: 0 | 1, result: number): number {
    const start = result * window.strides[axis] - window.before[axis];
    return Math.min(start + window.size[axis], input[axis]) - Math.max(start, 0);
  }
  const data = Float32Array.from({ length: results[0] * results[1] }, (_, place) => {
    const [row, column] = [Math.floor(place / results[1]), place % results[1]];
    return (window.size[0] * window.size[1]) / (inside(0, row) * inside(1, column));
  });
  return { dtype: "float32", shape: results, data } as const;
}

abstract class GlobalPool extends Layer {
  readonly #type: string;
  readonly #keepDims: boolean;
  readonly #format: DataFormat;

  constructor(type: string, options: GlobalPoolOptions) {
    super(options);
    const { keepDims = false, dataFormat = "channelsLast" } = options;
    checkWord(type, "dataFormat", dataFormat, dataFormats);
    this.#type = type;
    this.#keepDims = keepDims;
    this.#format = dataFormat;
  }

  protected abstract reduce(x: Sym, options: ops.ReductionOptions): Sym;

  call(x: Sym): Sym {
    if (x.shape.length < 3 || x.dtype !== "float32") {
      const axes = this.#format === "channelsLast" ? "..., channels" : "channels, ...";
      throw x.graph.misfit(this.#type, `it takes float32 [batch, ${axes}], not ${formatSpec(x)}`);
    }
    return this.reduce(x, { axes: middleAxes(x, this.#format), keepDims: this.#keepDims });
  }
}

class GlobalAveragePool extends GlobalPool {
  protected reduce(x: Sym, options: ops.ReductionOptions): Sym {
    return ops.mean(x, options);
  }
}

class GlobalMaxPool extends GlobalPool {
  protected reduce(x: Sym, options: ops.ReductionOptions): Sym {
    return ops.reduceMax(x, options);
  }
}
