// From numbers of words to vectors, and back.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import { randomUniform, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";

/** How an embedding starts. */
export interface EmbeddingOptions extends LayerOptions {
  /** Default `randomUniform()`, within 0.05 of 0. */
  readonly embeddingsInitializer?: Initializer;
}

const optionNames: Readonly<Record<keyof EmbeddingOptions, true>> = {
  embeddingsInitializer: true,
  ...layerOptions,
};

/**
 * Makes a layer from int32 `[batch, ...]` in `[0, inputDim)` to float32 `[batch, ..., outputDim]`, with the parameter
 * `embeddings` `[inputDim, outputDim]`.
 *
 * @throws {RangeError} when a size is not a whole number from 1 on.
 */
export function embedding(inputDim: number, outputDim: number, options: EmbeddingOptions = {}): Embedding {
  return new Embedding(inputDim, outputDim, options);
}

/** A table of vectors: see {@link embedding}. */
export class Embedding extends Layer {
  readonly #shape: readonly [number, number];
  readonly #initializer: Initializer;

  constructor(inputDim: number, outputDim: number, options: EmbeddingOptions) {
    super(options);
    checkOptionNames("Cannot make embedding layer", options, Object.keys(optionNames));
    checkWhole("Cannot make embedding layer", "inputDim", inputDim, 1);
    checkWhole("Cannot make embedding layer", "outputDim", outputDim, 1);
    this.#shape = [inputDim, outputDim];
    this.#initializer = options.embeddingsInitializer ?? randomUniform();
  }

  override get matrix(): string {
    return "embeddings";
  }

  call(x: Sym): Sym {
    if (x.dtype !== "int32") throw x.graph.misfit("embedding", `it takes int32, not ${formatSpec(x)}`);
    return ops.gather(this.#table(), x);
  }

  /** Scores each vector of the table against float32 `[batch, ..., outputDim]`: `[batch, ..., inputDim]`, with the same parameter. */
  attend(x: Sym): Sym {
    return this.within(x, (taken) => ops.matmul(taken, this.#table(), { transposeB: true }));
  }

  #table(): Sym {
    return this.param("embeddings", this.#shape, { initializer: this.#initializer });
  }
}
