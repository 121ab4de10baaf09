// A model as a function of its inputs and its layers.

import type { Sym } from "../graph.ts";
import { Layer, listLayers, type AnyLayer, type LayerOptions } from "./layer.ts";

/** Layers of a model by name, alone or in arrays. */
export type Parts = Readonly<Record<string, AnyLayer | readonly AnyLayer[]>>;

/**
 * Makes a layer of a function: it gets its input (or a record of several) and the layers, whose names in `parts` make the
 * paths of their parameters. A layer may be applied more than once, and be a model of its own.
 *
 * @example
 * const { dense } = layers;
 * const towers = layers.model({ shared: dense(8), head: dense(1) }, (x: { left: Sym; right: Sym }, { shared, head }) =>
 *   head.apply(ops.mul(shared.apply(x.left), shared.apply(x.right))),
 * );
 */
export function model<Input, const P extends Parts>(
  parts: P,
  call: (x: Input, parts: P) => Sym,
  options: LayerOptions = {},
): Layer<Input> {
  return new FunctionalModel(parts, call, options);
}

class FunctionalModel<Input, P extends Parts> extends Layer<Input> {
  readonly #parts: P;
  readonly #call: (x: Input, parts: P) => Sym;

  constructor(parts: P, call: (x: Input, parts: P) => Sym, options: LayerOptions) {
    super(options);
    this.#parts = parts;
    this.#call = call;
  }

  call(x: Input): Sym {
    return this.#call(x, this.#parts);
  }

  override children(): readonly (readonly [string, AnyLayer])[] {
    return listLayers(this.#parts);
  }
}
