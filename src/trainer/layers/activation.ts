// Activations: by name inside another layer, or as layers of their own.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { Layer } from "./layer.ts";

/** What follows a layer's own computation, element by element but for softmax, which goes along the last axis. */
export type Activation = keyof typeof activations;

/** The activations by name. */
export const activations = {
  relu: ops.relu,
  gelu: ops.gelu,
  tanh: ops.tanh,
  sigmoid: ops.sigmoid,
  softmax: (x: Sym) => ops.softmax(x),
} as const;

/** Makes a layer that takes `max(x, 0)`. */
export function relu(options: { readonly name?: string } = {}): Layer {
  return new Relu(options);
}

/** Makes a layer that takes `x` times the normal distribution function of `x`. */
export function gelu(options: { readonly name?: string } = {}): Layer {
  return new Gelu(options);
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
