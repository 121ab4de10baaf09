// Activations: by name inside another layer, or as layers of their own.

import { checkName, checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { Layer, type LayerOptions, layerOptionNames } from "./layer.ts";

/** What follows a layer's own computation, element by element but for softmax, which goes along the last axis. */
export type Activation = keyof typeof activations;

/** The activations by name. `gelu` is the exact one, by erf. */
export const activations = {
  linear: (x: Sym) => x,
  relu: ops.relu,
  relu6: ops.relu6,
  leakyRelu: (x: Sym) => ops.leakyRelu(x),
  elu: (x: Sym) => ops.elu(x),
  selu: ops.selu,
  gelu: ops.gelu,
  geluTanh: ops.geluTanh,
  silu: ops.silu,
  hardSilu: ops.hardSilu,
  tanh: ops.tanh,
  sigmoid: ops.sigmoid,
  hardSigmoid: ops.hardSigmoid,
  logSigmoid: ops.logSigmoid,
  softplus: ops.softplus,
  softmax: (x: Sym) => ops.softmax(x),
  logSoftmax: (x: Sym) => ops.logSoftmax(x),
} as const;

/**
 * Refuses the name of no activation.
 *
 * @throws {KdataError} `usage` with the nearest name.
 */
export function checkActivation(action: string, activation: string | undefined): void {
  if (activation !== undefined) checkName(action, "activation", activation, Object.keys(activations));
}

/** Makes a layer of an activation. */
export function activation(name: Activation, options: LayerOptions = {}): Layer {
  checkActivation("Cannot make activation layer", name);
  return new ActivationLayer(name, options);
}

/** Makes a layer that takes `max(x, 0)`. */
export function relu(options: LayerOptions = {}): Layer {
  return new Relu(options);
}

/** Makes a layer that takes `x` times the normal distribution function of `x`. */
export function gelu(options: LayerOptions = {}): Layer {
  return new Gelu(options);
}

/** Which axis {@link softmax} goes along. */
export interface SoftmaxOptions extends LayerOptions {
  /** Default -1, the last. */
  readonly axis?: number;
}

/** Makes a layer that takes `exp(x)` divided by its sum along an axis. */
export function softmax(options: SoftmaxOptions = {}): Layer {
  checkOptionNames("Cannot make softmax layer", options, ["axis", ...layerOptionNames]);
  return new Softmax(options);
}

class ActivationLayer extends Layer {
  readonly #activation: Activation;

  constructor(name: Activation, options: LayerOptions) {
    super(options);
    this.#activation = name;
  }

  call(x: Sym): Sym {
    return activations[this.#activation](x);
  }
}

class Relu extends Layer {
  call(x: Sym): Sym {
    return ops.relu(x);
  }
}

class Gelu extends Layer {
  call(x: Sym): Sym {
    return ops.gelu(x);
  }
}

class Softmax extends Layer {
  readonly #axis: number;

  constructor({ axis = -1, ...options }: SoftmaxOptions) {
    super(options);
    this.#axis = axis;
  }

  call(x: Sym): Sym {
    return ops.softmax(x, this.#axis);
  }
}
