// The fully connected layer: activation(x kernel + bias).

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import { glorotUniform, zeros, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { activations, checkActivation, type Activation } from "./activation.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";

/** How a dense layer differs from a plain matrix product with a bias. */
export interface DenseOptions extends LayerOptions {
  /** None by default. */
  readonly activation?: Activation;
  /** Default true. */
  readonly useBias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: Initializer;
  /** Default `zeros`. */
  readonly biasInitializer?: Initializer;
}

const optionNames: Readonly<Record<keyof DenseOptions, true>> = {
  activation: true,
  useBias: true,
  kernelInitializer: true,
  biasInitializer: true,
  ...layerOptions,
};

/**
 * Makes a layer from `[batch, ..., n]` to `[batch, ..., units]`, with the parameters `kernel` `[n, units]` and `bias` `[units]`.
 *
 * @throws {RangeError} when `units` is not a whole number from 1 on.
 * @throws {KdataError} `usage` when there is no such option or activation.
 */
export function dense(units: number, options: DenseOptions = {}): Layer {
  return new Dense(units, options);
}

class Dense extends Layer {
  readonly #units: number;
  readonly #options: DenseOptions;

  constructor(units: number, options: DenseOptions) {
    super(options);
    if (!Number.isSafeInteger(units) || units < 1) {
      throw new RangeError(`Cannot make dense layer: ${units} units; give a whole number from 1 on`);
    }
    checkOptionNames("Cannot make dense layer", options, Object.keys(optionNames));
    checkActivation("Cannot make dense layer", options.activation);
    this.#units = units;
    this.#options = options;
  }

  override get matrix(): string {
    return "kernel";
  }

  call(x: Sym): Sym {
    const { useBias = true, kernelInitializer = glorotUniform, biasInitializer = zeros } = this.#options;
    const size = x.shape.at(-1);
    if (size === undefined || x.shape.length < 2 || x.dtype !== "float32") {
      throw x.graph.misfit("dense", `it takes float32 [batch, ..., n], not ${formatSpec(x)}`);
    }
    const product = ops.matmul(x, this.param("kernel", [size, this.#units], { initializer: kernelInitializer }));
    const output = useBias
      ? ops.add(product, this.param("bias", [this.#units], { initializer: biasInitializer }))
      : product;
    return activations[this.#options.activation ?? "linear"](output);
  }
}
