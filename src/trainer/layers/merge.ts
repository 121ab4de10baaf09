// Layers that bring several values, or several ways of one value, together.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatSpec, sameShape } from "../primitives.ts";
import { Layer, type LayerOptions, type SymRecord, layerOptionNames } from "./layer.ts";

/** Which axis {@link concatenate} joins. */
export interface ConcatenateOptions extends LayerOptions {
  /** Default -1, the last. */
  readonly axis?: number;
}

/** Makes a layer that adds a record of values, which broadcast. */
export function add(options: LayerOptions = {}): Layer<SymRecord> {
  return new Add(options);
}

/** Makes a layer that joins a record of values along an axis, in the record's order. */
export function concatenate(options: ConcatenateOptions = {}): Layer<SymRecord> {
  return new Concatenate(options);
}

/** Makes a layer that adds its input to what a layer makes of it; the shape stays. */
export function residual(layer: Layer, options: LayerOptions = {}): Layer {
  return new Residual(layer, options);
}

class Add extends Layer<SymRecord> {
  call(x: SymRecord): Sym {
    const [first, ...rest] = values("add", x);
    return rest.reduce((sum, value) => ops.add(sum, value), first);
  }
}

class Concatenate extends Layer<SymRecord> {
  readonly #axis: number;

  constructor({ axis = -1, ...options }: ConcatenateOptions) {
    super(options);
    checkOptionNames("Cannot make concatenate layer", options, layerOptionNames);
    this.#axis = axis;
  }

  call(x: SymRecord): Sym {
    return ops.concat(values("concatenate", x), this.#axis);
  }
}

class Residual extends Layer {
  readonly inner: Layer;

  constructor(inner: Layer, options: LayerOptions) {
    super(options);
    this.inner = inner;
  }

  call(x: Sym): Sym {
    const change = this.inner.apply(x);
    if (!sameShape(change.shape, x.shape)) {
      throw x.graph.misfit("residual", `the layer makes ${formatSpec(change)} of ${formatSpec(x)}`);
    }
    return ops.add(x, change);
  }
}

function values(layer: string, x: SymRecord): readonly [Sym, ...Sym[]] {
  const [first, ...rest] = Object.values(x);
  if (first === undefined) throw new TypeError(`Cannot trace ${layer}: there is no value to bring together`);
  return [first, ...rest];
}
