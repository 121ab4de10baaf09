// Layers one after the other.

import type { Sym } from "../graph.ts";
import { Layer, typeOf, type LayerOptions } from "./layer.ts";

/**
 * Makes a layer that applies the given ones in turn.
 *
 * Those without a name are called by their class and counted: `dense`, `dense_1`, `flatten`.
 */
export function sequential(layers: readonly Layer[], options: LayerOptions = {}): Layer {
  return new Sequential(layers, options);
}

class Sequential extends Layer {
  readonly #layers: readonly Layer[];

  constructor(layers: readonly Layer[], options: LayerOptions) {
    super(options);
    this.#layers = layers;
  }

  call(x: Sym): Sym {
    return this.#layers.reduce((value, layer) => layer.apply(value), x);
  }

  override children(): readonly (readonly [string, Layer])[] {
    const counts = new Map<string, number>();
    return Array.from(new Set(this.#layers), (layer) => {
      if (layer.name !== undefined) return [layer.name, layer];
      const type = snakeCase(typeOf(layer));
      const count = counts.get(type) ?? 0;
      counts.set(type, count + 1);
      return [count === 0 ? type : `${type}_${count}`, layer];
    });
  }
}

/** `LayerNorm` becomes `layer_norm`. */
function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toLowerCase();
}
