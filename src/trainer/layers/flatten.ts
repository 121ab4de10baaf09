// The layer that turns each sample into one row.

import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { Layer, type LayerOptions } from "./layer.ts";

/** Makes a layer from `[batch, ...s]` to `[batch, n]`, `n` being the elements of one sample, in their row-major order. */
export function flatten(options: LayerOptions = {}): Layer {
  return new Flatten(options);
}

class Flatten extends Layer {
  call(x: Sym): Sym {
    const [batch, ...sample] = x.shape;
    if (batch === undefined) throw x.graph.misfit("flatten", `${formatSpec(x)} has no batch axis`);
    return ops.reshape(x, [batch, elementCount(sample)]);
  }
}
