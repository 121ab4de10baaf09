// Normalisation within a sample: over features (layerNormalization, rmsNormalization) or over groups of them
// (groupNormalization). Formulas and defaults are those of Keras 3.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import { ones, zeros, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";
import { alongAxes } from "./normalized-axes.ts";

/** Settings of {@link layerNormalization}. */
export interface LayerNormalizationOptions extends LayerOptions {
  /** One or more axes to normalise over. Default -1, the last. */
  readonly axis?: number | readonly number[];
  /** Added to the variance. Default 0.001. */
  readonly epsilon?: number;
  /** Adds a parameter `beta`. Default true. */
  readonly center?: boolean;
  /** Multiplies with a parameter `gamma`. Default true. */
  readonly scale?: boolean;
  readonly betaInitializer?: Initializer;
  readonly gammaInitializer?: Initializer;
}

/** Settings of {@link groupNormalization}. */
export interface GroupNormalizationOptions extends Omit<LayerNormalizationOptions, "axis"> {
  /** How many groups the features make; -1 for one each. Default 32. */
  readonly groups?: number;
  /** The axis of the features. Default -1, the last. */
  readonly axis?: number;
}

/** Settings of {@link rmsNormalization}. */
export interface RmsNormalizationOptions extends LayerOptions {
  /** One or more axes to normalise over. Default -1, the last. */
  readonly axis?: number | readonly number[];
  /** Added to the mean square. Default 0.000001. */
  readonly epsilon?: number;
  readonly scaleInitializer?: Initializer;
}

const layerOptionNames: Readonly<Record<keyof LayerNormalizationOptions, true>> = {
  axis: true,
  epsilon: true,
  center: true,
  scale: true,
  betaInitializer: true,
  gammaInitializer: true,
  ...layerOptions,
};

const rmsOptionNames: Readonly<Record<keyof RmsNormalizationOptions, true>> = {
  axis: true,
  epsilon: true,
  scaleInitializer: true,
  ...layerOptions,
};

/**
 * Makes a layer that brings each sample's mean and variance along the axes to 0 and 1, with the parameters `gamma` and `beta`
 * of the sizes of the axes.
 */
export function layerNormalization(options: LayerNormalizationOptions = {}): Layer {
  return new LayerNormalization(options);
}

/** Makes a layer that brings each sample's mean square along the axes to 1, with a parameter `scale` of the axes' sizes. */
export function rmsNormalization(options: RmsNormalizationOptions = {}): Layer {
  return new RmsNormalization(options);
}

/**
 * Makes a layer that brings mean and variance of each group of features in each sample to 0 and 1, with the parameters
 * `gamma` and `beta` `[features]`. https://arxiv.org/abs/1803.08494
 *
 * @throws {RangeError} when `groups` is neither -1 nor a whole number from 1 on.
 */
export function groupNormalization(options: GroupNormalizationOptions = {}): Layer {
  return new GroupNormalization(options);
}

class LayerNormalization extends Layer {
  readonly #options: LayerNormalizationOptions;

  constructor(options: LayerNormalizationOptions) {
    super(options);
    checkOptionNames("Cannot make layerNormalization layer", options, Object.keys(layerOptionNames));
    this.#options = options;
  }

  call(x: Sym): Sym {
    const { axis = -1, epsilon = 1e-3, center = true, scale = true } = this.#options;
    const { gammaInitializer = ones, betaInitializer = zeros } = this.#options;
    const { axes, shape, expand } = alongAxes("layerNormalization", x, axis);
    return ops.layerNorm(x, {
      axes,
      epsilon,
      gamma: scale ? expand(this.param("gamma", shape, { initializer: gammaInitializer })) : undefined,
      beta: center ? expand(this.param("beta", shape, { initializer: betaInitializer })) : undefined,
    });
  }
}

class RmsNormalization extends Layer {
  readonly #options: RmsNormalizationOptions;

  constructor(options: RmsNormalizationOptions) {
    super(options);
    checkOptionNames("Cannot make rmsNormalization layer", options, Object.keys(rmsOptionNames));
    this.#options = options;
  }

  call(x: Sym): Sym {
    const { axis = -1, epsilon = 1e-6, scaleInitializer = ones } = this.#options;
    const { axes, shape, expand } = alongAxes("rmsNormalization", x, axis);
    const gamma = expand(this.param("scale", shape, { initializer: scaleInitializer }));
    return ops.rmsNorm(x, { axes, epsilon, gamma });
  }
}

class GroupNormalization extends Layer {
  readonly #options: GroupNormalizationOptions;

  constructor(options: GroupNormalizationOptions) {
    super(options);
    checkOptionNames("Cannot make groupNormalization layer", options, [...Object.keys(layerOptionNames), "groups"]);
    const { groups = 32 } = options;
    if (groups !== -1) checkWhole("Cannot make groupNormalization layer", "groups", groups, 1);
    this.#options = options;
  }

  call(x: Sym): Sym {
    const { axis = -1, epsilon = 1e-3, center = true, scale = true, groups = 32 } = this.#options;
    const { gammaInitializer = ones, betaInitializer = zeros } = this.#options;
    const { axes, shape, expand } = alongAxes("groupNormalization", x, axis);
    const [place = 1] = axes;
    const [features = 1] = shape;
    const count = groups === -1 ? features : groups;
    if (features % count !== 0) {
      throw x.graph.misfit(
        "groupNormalization",
        `the ${features} features of ${formatSpec(x)} do not make ${count} groups`,
      );
    }
    const apart = ops.reshape(x, x.shape.toSpliced(place, 1, count, features / count));
    const within = apart.shape.flatMap((_, i) => (i === 0 || i === place ? [] : [i]));
    const normalized = ops.reshape(ops.layerNorm(apart, { axes: within, epsilon }), x.shape);
    const scaled = scale
      ? ops.mul(normalized, expand(this.param("gamma", shape, { initializer: gammaInitializer })))
      : normalized;
    return center ? ops.add(scaled, expand(this.param("beta", shape, { initializer: betaInitializer }))) : scaled;
  }
}
