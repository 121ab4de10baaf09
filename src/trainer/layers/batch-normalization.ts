// Batch normalisation: https://arxiv.org/abs/1502.03167, with the formulas and defaults of Keras 3.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import { ones, zeros, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";
import { alongAxes } from "./normalized-axes.ts";

/** Settings of {@link batchNormalization}. */
export interface BatchNormalizationOptions extends LayerOptions {
  /** The axis of the features, each of which has a mean and a variance of its own. Default -1, the last. */
  readonly axis?: number;
  /** How slowly the moving mean and variance change, in [0, 1]. Default 0.99. */
  readonly momentum?: number;
  /** Added to the variance. Default 0.001. */
  readonly epsilon?: number;
  /** Adds a parameter `beta`. Default true. */
  readonly center?: boolean;
  /** Multiplies with a parameter `gamma`. Default true. */
  readonly scale?: boolean;
  readonly betaInitializer?: Initializer;
  readonly gammaInitializer?: Initializer;
  readonly movingMeanInitializer?: Initializer;
  readonly movingVarianceInitializer?: Initializer;
}

const optionNames: Readonly<Record<keyof BatchNormalizationOptions, true>> = {
  axis: true,
  momentum: true,
  epsilon: true,
  center: true,
  scale: true,
  betaInitializer: true,
  gammaInitializer: true,
  movingMeanInitializer: true,
  movingVarianceInitializer: true,
  ...layerOptions,
};

/**
 * Makes a layer that brings each feature to mean 0 and variance 1: in a training step those of the batch, otherwise moving
 * averages of them. Parameters `gamma` and `beta`, state `movingMean` and `movingVariance`, all `[features]`.
 *
 * Frozen (`trainable: false`) it takes the moving averages in training too. A batch smaller than the others is normalised
 * by its own samples alone; samples that the loader padded it with count.
 *
 * @throws {RangeError} when the momentum or epsilon is out of its range.
 */
export function batchNormalization(options: BatchNormalizationOptions = {}): Layer {
  return new BatchNormalization(options);
}

class BatchNormalization extends Layer {
  readonly #options: BatchNormalizationOptions;

  constructor(options: BatchNormalizationOptions) {
    super(options);
    const action = "Cannot make batchNormalization layer";
    checkOptionNames(action, options, Object.keys(optionNames));
    const { momentum = 0.99, epsilon = 1e-3 } = options;
    if (!(momentum >= 0 && momentum <= 1)) throw new RangeError(`${action}: momentum is ${momentum}, not in [0, 1]`);
    if (!(epsilon >= 0)) throw new RangeError(`${action}: epsilon is ${epsilon}, not 0 or more`);
    this.#options = options;
  }

  call(x: Sym): Sym {
    const { axis = -1, epsilon = 1e-3, center = true, scale = true } = this.#options;
    const { gammaInitializer = ones, betaInitializer = zeros } = this.#options;
    const { shape, others, expand } = alongAxes("batchNormalization", x, axis);
    const gamma = scale ? this.param("gamma", shape, { initializer: gammaInitializer }) : undefined;
    const beta = center ? this.param("beta", shape, { initializer: betaInitializer }) : undefined;
    const movingMean = this.state("movingMean", shape, { initializer: this.#options.movingMeanInitializer ?? zeros });
    const movingVariance = this.state("movingVariance", shape, {
      initializer: this.#options.movingVarianceInitializer ?? ones,
    });
    if (!this.training || this.frozen) {
      const deviation = ops.sqrt(ops.add(movingVariance, epsilon));
      const factor = gamma === undefined ? ops.div(1, deviation) : ops.div(gamma, deviation);
      const shift = ops.neg(ops.mul(movingMean, factor));
      return ops.add(ops.mul(x, expand(factor)), expand(beta === undefined ? shift : ops.add(shift, beta)));
    }
    const mean = ops.mean(x, { axes: others });
    const centered = ops.sub(x, expand(mean));
    const variance = ops.mean(ops.square(centered), { axes: others });
    this.#move("movingMean", movingMean, mean);
    this.#move("movingVariance", movingVariance, variance);
    const deviation = ops.sqrt(ops.add(variance, epsilon));
    const factor = gamma === undefined ? ops.div(1, deviation) : ops.div(gamma, deviation);
    const normalized = ops.mul(centered, expand(factor));
    return beta === undefined ? normalized : ops.add(normalized, expand(beta));
  }

  #move(name: string, average: Sym, value: Sym): void {
    const { momentum = 0.99 } = this.#options;
    this.updateState(name, ops.add(ops.mul(average, momentum), ops.mul(value, 1 - momentum)));
  }
}
