// Where a place of a sequence is: learned, or by sines.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import { tensor } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import { glorotUniform, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { Layer, type LayerOptions, layerOptionNames } from "./layer.ts";

/** Settings of {@link positionEmbedding}. */
export interface PositionEmbeddingOptions extends LayerOptions {
  /** Default `glorotUniform`. */
  readonly initializer?: Initializer;
}

/** Settings of {@link sinePositionEncoding}. */
export interface SinePositionOptions extends LayerOptions {
  /** The longest wavelength, in units of 2 pi. Default 10000. */
  readonly maxWavelength?: number;
}

/**
 * Makes a layer that adds a learned vector for each position to float32 `[batch, length, n]`, with the parameter
 * `positionEmbeddings` `[sequenceLength, n]`, of which a shorter sequence takes the first.
 *
 * @throws {RangeError} when `sequenceLength` is not a whole number from 1 on.
 */
export function positionEmbedding(sequenceLength: number, options: PositionEmbeddingOptions = {}): Layer {
  return new PositionEmbedding(sequenceLength, options);
}

/**
 * Makes a layer that adds sines (even features) and cosines (odd ones) of each position to float32 `[batch, length, n]`.
 * Features `2 i` and `2 i + 1` have the frequency `maxWavelength ** (-2 i / n)`. https://arxiv.org/abs/1706.03762
 *
 * @throws {RangeError} when the wavelength is not above 0.
 */
export function sinePositionEncoding(options: SinePositionOptions = {}): Layer {
  return new SinePositionEncoding(options);
}

class PositionEmbedding extends Layer {
  readonly #length: number;
  readonly #initializer: Initializer;

  constructor(sequenceLength: number, { initializer = glorotUniform, ...options }: PositionEmbeddingOptions) {
    super(options);
    checkOptionNames("Cannot make positionEmbedding layer", options, layerOptionNames);
    checkWhole("Cannot make positionEmbedding layer", "sequenceLength", sequenceLength, 1);
    this.#length = sequenceLength;
    this.#initializer = initializer;
  }

  call(x: Sym): Sym {
    const [length, size] = sequenceSizes("positionEmbedding", x);
    if (length > this.#length) {
      throw x.graph.misfit("positionEmbedding", `${formatSpec(x)} is longer than the ${this.#length} positions`);
    }
    const table = this.param("positionEmbeddings", [this.#length, size], { initializer: this.#initializer });
    return ops.add(x, ops.slice(table, [0, 0], [length, size]));
  }
}

class SinePositionEncoding extends Layer {
  readonly #maxWavelength: number;

  constructor({ maxWavelength = 10_000, ...options }: SinePositionOptions) {
    super(options);
    checkOptionNames("Cannot make sinePositionEncoding layer", options, layerOptionNames);
    if (!(maxWavelength > 0)) {
      throw new RangeError(`Cannot make sinePositionEncoding layer: maxWavelength is ${maxWavelength}, not above 0`);
    }
    this.#maxWavelength = maxWavelength;
  }

  call(x: Sym): Sym {
    const [length, size] = sequenceSizes("sinePositionEncoding", x);
    const data = Float32Array.from({ length: length * size }, (_, i) => {
      const feature = i % size;
      const angle = Math.floor(i / size) * this.#maxWavelength ** (-2 * Math.floor(feature / 2) * (1 / size));
      return feature % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    return ops.add(x, x.graph.constant(tensor("float32", [length, size], data)));
  }
}

function sequenceSizes(layer: string, x: Sym): [length: number, size: number] {
  const [, length, size] = x.shape;
  if (x.shape.length === 3 && length !== undefined && size !== undefined && x.dtype === "float32")
    return [length, size];
  throw x.graph.misfit(layer, `it takes float32 [batch, length, n], not ${formatSpec(x)}`);
}
