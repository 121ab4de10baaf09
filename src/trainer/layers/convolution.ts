// Convolutions over planes and sequences. Kernels have the shapes of Keras, so that weights can be exchanged:
// https://keras.io/api/layers/convolution_layers/

import type { Sym } from "../graph.ts";
import { glorotUniform, zeros, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { planeOf, slideOver, type Pair } from "../windows.ts";
import { activations, type Activation } from "./activation.ts";
import { Layer } from "./layer.ts";
import {
  checkWord,
  dataFormats,
  fromChannelsFirst,
  paddings,
  pairOf,
  placeWindow,
  toChannelsFirst,
  type DataFormat,
  type OneOrTwo,
  type Padding,
  type WindowOptions,
} from "./planes.ts";

/** How a convolution differs from the plain one; those of every convolution. */
interface ConvolutionOptions {
  /** Default `valid`. */
  readonly padding?: Padding;
  /** Default `channelsLast`. */
  readonly dataFormat?: DataFormat;
  /** None by default. `softmax` goes along the channels. */
  readonly activation?: Activation;
  /** Default true. */
  readonly useBias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: Initializer;
  /** Default `zeros`. */
  readonly biasInitializer?: Initializer;
  readonly name?: string;
}

/** Options of {@link conv2d}. */
export interface Conv2dLayerOptions extends ConvolutionOptions {
  /** Default 1. */
  readonly strides?: OneOrTwo;
  /** The distance of neighbouring elements of the kernel. Default 1. */
  readonly dilationRate?: OneOrTwo;
  /** Parts of the channels and filters that are convolved each for itself. Default 1. */
  readonly groups?: number;
}

/** Options of {@link depthwiseConv2d}. */
export interface DepthwiseConv2dOptions extends Omit<Conv2dLayerOptions, "groups"> {
  /** Filters for each channel. Default 1. */
  readonly depthMultiplier?: number;
}

/** Options of {@link conv2dTranspose}. */
export interface Conv2dTransposeOptions extends ConvolutionOptions {
  /** By how much the size grows. Default 1. */
  readonly strides?: OneOrTwo;
}

/** Options of {@link conv1d}. */
export interface Conv1dOptions extends ConvolutionOptions {
  /** Default 1. */
  readonly strides?: number;
  /** Default 1. */
  readonly dilationRate?: number;
  /** Default 1. */
  readonly groups?: number;
}

/**
 * Makes a convolution from `[batch, height, width, channels]` to `[batch, ..., filters]`, with the parameters `kernel`
 * `[...kernelSize, channels / groups, filters]` and `bias` `[filters]`.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function conv2d(filters: number, kernelSize: OneOrTwo, options: Conv2dLayerOptions = {}): Layer {
  return new Conv2d(filters, kernelSize, options);
}

/**
 * Makes a convolution from `[batch, length, channels]` to `[batch, ..., filters]`, with the parameters `kernel`
 * `[kernelSize, channels / groups, filters]` and `bias` `[filters]`. With `channelsFirst` the channels come before the length.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function conv1d(filters: number, kernelSize: number, options: Conv1dOptions = {}): Layer {
  return new Conv1d(filters, kernelSize, options);
}

/**
 * Makes a convolution of each channel for itself, from `[batch, height, width, channels]` to
 * `[batch, ..., channels * depthMultiplier]`, with the parameters `kernel` `[...kernelSize, channels, depthMultiplier]` and `bias`.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function depthwiseConv2d(kernelSize: OneOrTwo, options: DepthwiseConv2dOptions = {}): Layer {
  return new DepthwiseConv2d(kernelSize, options);
}

/**
 * Makes a convolution backwards: from the shape of a convolution's result to that of its input, `size * strides` with `same`
 * padding and as much more as the kernel reaches beyond with `valid`. Its parameters are `kernel`
 * `[...kernelSize, filters, channels]` and `bias` `[filters]`.
 *
 * @throws {RangeError} when a number is not a whole one from 1 on, or a word is not known.
 */
export function conv2dTranspose(filters: number, kernelSize: OneOrTwo, options: Conv2dTransposeOptions = {}): Layer {
  return new Conv2dTranspose(filters, kernelSize, options);
}

/** What the convolutions have in common: the way into the graph's layout and back, bias and activation. */
abstract class Convolution extends Layer {
  readonly #options: ConvolutionOptions;
  readonly #type: string;

  constructor(type: string, options: ConvolutionOptions) {
    super(options);
    const { padding = "valid", dataFormat = "channelsLast", activation } = options;
    checkWord(type, "padding", padding, paddings);
    checkWord(type, "dataFormat", dataFormat, dataFormats);
    if (activation !== undefined) checkWord(type, "activation", activation, Object.keys(activations));
    this.#type = type;
    this.#options = options;
  }

  /** The number of filters for so many channels. */
  protected abstract filtersOf(channels: number): number;

  /** Convolves planes with channels first. */
  protected abstract convolve(x: Sym): Sym;

  call(x: Sym): Sym {
    return this.overPlanes(x);
  }

  protected get padding(): Padding {
    return this.#options.padding ?? "valid";
  }

  protected get dataFormat(): DataFormat {
    return this.#options.dataFormat ?? "channelsLast";
  }

  protected kernel(shape: readonly number[]): Sym {
    return this.param("kernel", shape, { initializer: this.#options.kernelInitializer ?? glorotUniform });
  }

  protected overPlanes(x: Sym): Sym {
    const { activation, useBias = true, biasInitializer = zeros } = this.#options;
    const planes = toChannelsFirst(this.#type, x, this.dataFormat);
    let output = this.convolve(planes);
    if (useBias) {
      const filters = this.filtersOf(planes.shape[1] ?? 0);
      const bias = this.param("bias", [filters], { initializer: biasInitializer });
      output = ops.add(output, ops.reshape(bias, [filters, 1, 1]));
    }
    if (activation === "softmax") output = ops.softmax(output, 1);
    else if (activation !== undefined) output = activations[activation](output);
    return fromChannelsFirst(output, this.dataFormat);
  }
}

class Conv2d extends Convolution {
  readonly #filters: number;
  readonly #window: WindowOptions;
  readonly #groups: number;

  constructor(filters: number, kernelSize: OneOrTwo, options: Conv2dLayerOptions, type = "conv2d") {
    super(type, options);
    const { strides = 1, dilationRate = 1, groups = 1 } = options;
    this.#filters = pairOf(type, "filters", filters)[0];
    this.#groups = pairOf(type, "groups", groups)[0];
    this.#window = {
      size: pairOf(type, "kernelSize", kernelSize),
      strides: pairOf(type, "strides", strides),
      dilations: pairOf(type, "dilationRate", dilationRate),
      padding: this.padding,
    };
    if (filters % groups !== 0) {
      throw new RangeError(`Cannot make ${type} layer: ${filters} filters do not fall into ${groups} groups`);
    }
  }

  protected filtersOf(): number {
    return this.#filters;
  }

  protected convolve(x: Sym): Sym {
    const groups = this.#groups;
    const channels = x.shape[1] ?? 0;
    if (channels % groups !== 0) {
      throw x.graph.misfit("conv2d", `the ${channels} channels of ${formatSpec(x)} do not fall into ${groups} groups`);
    }
    const window = placeWindow(planeOf(x.shape), this.#window);
    const kernel = this.kernelOf(window.size, [channels / groups, this.#filters]);
    return ops.conv2d(x, kernel, { window, groups });
  }

  protected kernelOf(size: Pair, channelsAndFilters: Pair): Sym {
    return this.kernel([...size, ...channelsAndFilters]);
  }
}

/** Over a sequence as a plane of one row. */
class Conv1d extends Conv2d {
  constructor(filters: number, kernelSize: number, options: Conv1dOptions) {
    const { strides = 1, dilationRate = 1 } = options;
    super(filters, [1, kernelSize], { ...options, strides: [1, strides], dilationRate: [1, dilationRate] }, "conv1d");
  }

  override call(x: Sym): Sym {
    const [batch = 0, second = 0, third = 0] = x.shape;
    const isLast = this.dataFormat === "channelsLast";
    if (x.shape.length !== 3 || x.dtype !== "float32") {
      const axes = isLast ? "length, channels" : "channels, length";
      throw x.graph.misfit("conv1d", `it takes float32 [batch, ${axes}], not ${formatSpec(x)}`);
    }
    const row = ops.reshape(x, isLast ? [batch, 1, second, third] : [batch, second, 1, third]);
    const output = this.overPlanes(row);
    return ops.reshape(output, output.shape.toSpliced(isLast ? 1 : 2, 1));
  }

  protected override kernelOf([, size]: Pair, channelsAndFilters: Pair): Sym {
    return ops.reshape(this.kernel([size, ...channelsAndFilters]), [1, size, ...channelsAndFilters]);
  }
}

class DepthwiseConv2d extends Convolution {
  readonly #multiplier: number;
  readonly #window: WindowOptions;

  constructor(kernelSize: OneOrTwo, options: DepthwiseConv2dOptions) {
    super("depthwiseConv2d", options);
    const { strides = 1, dilationRate = 1, depthMultiplier = 1 } = options;
    this.#multiplier = pairOf("depthwiseConv2d", "depthMultiplier", depthMultiplier)[0];
    this.#window = {
      size: pairOf("depthwiseConv2d", "kernelSize", kernelSize),
      strides: pairOf("depthwiseConv2d", "strides", strides),
      dilations: pairOf("depthwiseConv2d", "dilationRate", dilationRate),
      padding: this.padding,
    };
  }

  protected filtersOf(channels: number): number {
    return channels * this.#multiplier;
  }

  protected convolve(x: Sym): Sym {
    const channels = x.shape[1] ?? 0;
    const window = placeWindow(planeOf(x.shape), this.#window);
    const kernel = this.kernel([...window.size, channels, this.#multiplier]);
    const grouped = ops.reshape(kernel, [...window.size, 1, channels * this.#multiplier]);
    return ops.conv2d(x, grouped, { window, groups: channels });
  }
}

class Conv2dTranspose extends Convolution {
  readonly #filters: number;
  readonly #window: WindowOptions;

  constructor(filters: number, kernelSize: OneOrTwo, options: Conv2dTransposeOptions) {
    super("conv2dTranspose", options);
    this.#filters = pairOf("conv2dTranspose", "filters", filters)[0];
    this.#window = {
      size: pairOf("conv2dTranspose", "kernelSize", kernelSize),
      strides: pairOf("conv2dTranspose", "strides", options.strides ?? 1),
      dilations: [1, 1],
      padding: this.padding,
    };
  }

  protected filtersOf(): number {
    return this.#filters;
  }

  protected convolve(x: Sym): Sym {
    const { size, strides, padding } = this.#window;
    const [height, width] = planeOf(x.shape);
    const beyond: Pair =
      padding === "same" ? [0, 0] : [Math.max(size[0] - strides[0], 0), Math.max(size[1] - strides[1], 0)];
    const inputSize: Pair = [height * strides[0] + beyond[0], width * strides[1] + beyond[1]];
    const window = placeWindow(inputSize, this.#window);
    const results = slideOver(inputSize, window);
    if (results[0] !== height || results[1] !== width) {
      throw x.graph.misfit("conv2dTranspose", `no planes have ${formatSpec(x)} as their convolution`);
    }
    const kernel = this.kernel([...size, this.#filters, x.shape[1] ?? 0]);
    return ops.conv2dInputGradient(x, kernel, { window, inputSize });
  }
}
