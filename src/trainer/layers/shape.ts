// Layers that move elements and compute none. Shapes are those of one sample, without the batch.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatShape, formatSpec } from "../primitives.ts";
import { Layer, type LayerOptions, layerOptionNames } from "./layer.ts";

const optionNames = layerOptionNames;

/** Makes a layer that changes nothing. */
export function identity(options: LayerOptions = {}): Layer {
  return new Identity(options);
}

/** Makes a layer from `[batch, ...s]` to `[batch, ...targetShape]`, in row-major order; one size may be -1: what is left. */
export function reshape(targetShape: readonly number[], options: LayerOptions = {}): Layer {
  return new Reshape(targetShape, options);
}

/**
 * Makes a layer that reorders the axes of a sample: axis `i` of the result is axis `dims[i - 1]`, both counted from 1, the
 * batch being axis 0.
 *
 * @throws {RangeError} when `dims` does not order 1, 2, ...
 */
export function permute(dims: readonly number[], options: LayerOptions = {}): Layer {
  return new Permute(dims, options);
}

/**
 * Makes a layer from `[batch, n]` to `[batch, count, n]`.
 *
 * @throws {RangeError} when `count` is not a whole number from 1 on.
 */
export function repeatVector(count: number, options: LayerOptions = {}): Layer {
  return new RepeatVector(count, options);
}

class Identity extends Layer {
  call(x: Sym): Sym {
    return x;
  }
}

class Reshape extends Layer {
  readonly #targetShape: readonly number[];

  constructor(targetShape: readonly number[], options: LayerOptions) {
    super(options);
    checkOptionNames("Cannot make reshape layer", options, optionNames);
    this.#targetShape = targetShape;
  }

  call(x: Sym): Sym {
    const [batch = 1, ...sample] = x.shape;
    return ops.reshape(x, [batch, ...this.#known(sample, x)]);
  }

  /** The shape without a -1: the batch must not become part of what is left. */
  #known(sample: readonly number[], x: Sym): readonly number[] {
    const free = this.#targetShape.indexOf(-1);
    if (free < 0) return this.#targetShape;
    const size = elementCount(sample) / elementCount(this.#targetShape.toSpliced(free, 1));
    if (Number.isInteger(size)) return this.#targetShape.with(free, size);
    throw x.graph.misfit("reshape", `the samples of ${formatSpec(x)} do not fill ${formatShape(this.#targetShape)}`);
  }
}

class Permute extends Layer {
  readonly #dims: readonly number[];

  constructor(dims: readonly number[], options: LayerOptions) {
    super(options);
    checkOptionNames("Cannot make permute layer", options, optionNames);
    if ([...dims].sort((a, b) => a - b).some((axis, i) => axis !== i + 1)) {
      throw new RangeError(`Cannot make permute layer: ${formatShape(dims)} does not order the axes from 1 on`);
    }
    this.#dims = dims;
  }

  call(x: Sym): Sym {
    return ops.transpose(x, [0, ...this.#dims]);
  }
}

class RepeatVector extends Layer {
  readonly #count: number;

  constructor(count: number, options: LayerOptions) {
    super(options);
    checkOptionNames("Cannot make repeatVector layer", options, optionNames);
    checkWhole("Cannot make repeatVector layer", "count", count, 1);
    this.#count = count;
  }

  call(x: Sym): Sym {
    const [batch, size] = x.shape;
    if (batch === undefined || size === undefined || x.shape.length !== 2) {
      throw x.graph.misfit("repeatVector", `it takes [batch, n], not ${formatSpec(x)}`);
    }
    return ops.broadcastTo(ops.expandDims(x, 1), [batch, this.#count, size]);
  }
}
