// Layers that make planes larger: by repeating elements, or with zeros around.
// https://keras.io/api/layers/reshaping_layers/

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import type { Pair } from "../windows.ts";
import { Layer } from "./layer.ts";
import {
  checkWord,
  dataFormats,
  fromChannelsFirst,
  pairOf,
  toChannelsFirst,
  type DataFormat,
  type OneOrTwo,
} from "./planes.ts";

/** How often {@link upSampling2d} repeats. */
export interface UpSampling2dOptions {
  /** Default 2. */
  readonly size?: OneOrTwo;
  /** Default `channelsLast`. */
  readonly dataFormat?: DataFormat;
  readonly name?: string;
}

/** How much {@link zeroPadding2d} puts where. */
export interface ZeroPadding2dOptions {
  /** One number for every side, one each for height and width, or `[[top, bottom], [left, right]]`. Default 1. */
  readonly padding?: number | Pair | readonly [Pair, Pair];
  /** Default `channelsLast`. */
  readonly dataFormat?: DataFormat;
  readonly name?: string;
}

/**
 * Makes a layer that repeats the rows and columns of `[batch, height, width, channels]`.
 *
 * @throws {RangeError} when a size is not a whole number from 1 on, or the data format is not known.
 */
export function upSampling2d(options: UpSampling2dOptions = {}): Layer {
  return new UpSampling2d(options);
}

/**
 * Makes a layer that puts zeros around the planes of `[batch, height, width, channels]`.
 *
 * @throws {RangeError} when a padding is not a whole number from 0 on, or the data format is not known.
 */
export function zeroPadding2d(options: ZeroPadding2dOptions = {}): Layer {
  return new ZeroPadding2d(options);
}

class UpSampling2d extends Layer {
  readonly #size: Pair;
  readonly #format: DataFormat;

  constructor(options: UpSampling2dOptions) {
    super(options);
    const { size = 2, dataFormat = "channelsLast" } = options;
    checkWord("upSampling2d", "dataFormat", dataFormat, dataFormats);
    this.#size = pairOf("upSampling2d", "size", size);
    this.#format = dataFormat;
  }

  call(x: Sym): Sym {
    const planes = toChannelsFirst("upSampling2d", x, this.#format);
    const [batch = 0, channels = 0, height = 0, width = 0] = planes.shape;
    const [down, across] = this.#size;
    const apart = ops.reshape(planes, [batch, channels, height, 1, width, 1]);
    const repeated = ops.broadcastTo(apart, [batch, channels, height, down, width, across]);
    return fromChannelsFirst(ops.reshape(repeated, [batch, channels, height * down, width * across]), this.#format);
  }
}

class ZeroPadding2d extends Layer {
  readonly #padding: readonly [Pair, Pair];
  readonly #format: DataFormat;

  constructor(options: ZeroPadding2dOptions) {
    super(options);
    const { padding = 1, dataFormat = "channelsLast" } = options;
    checkWord("zeroPadding2d", "dataFormat", dataFormat, dataFormats);
    this.#padding = sidesOf(padding);
    this.#format = dataFormat;
    if (this.#padding.flat().some((count) => !Number.isSafeInteger(count) || count < 0)) {
      throw new RangeError("Cannot make zeroPadding2d layer: give whole numbers from 0 on");
    }
  }

  call(x: Sym): Sym {
    const planes = toChannelsFirst("zeroPadding2d", x, this.#format);
    const [[top, bottom], [left, right]] = this.#padding;
    return fromChannelsFirst(ops.pad(planes, [0, 0, top, left], [0, 0, bottom, right]), this.#format);
  }
}

function sidesOf(padding: number | Pair | readonly [Pair, Pair]): readonly [Pair, Pair] {
  if (typeof padding === "number") return sidesOf([padding, padding]);
  const [vertical, horizontal] = padding;
  return [
    typeof vertical === "number" ? [vertical, vertical] : vertical,
    typeof horizontal === "number" ? [horizontal, horizontal] : horizontal,
  ];
}
