// Multi-head attention: https://arxiv.org/abs/1706.03762, with grouped queries, https://arxiv.org/abs/2305.13245. Parameters
// have Keras' names and shapes: https://keras.io/api/layers/attention_layers/multi_head_attention/

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import { Sym } from "../graph.ts";
import type { Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import type { RotaryOptions } from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { checkRate } from "./dropout.ts";
import { einsumDense, type EinsumDense } from "./einsum-dense.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";

/** Settings of {@link multiHeadAttention}. */
export interface MultiHeadAttentionOptions extends LayerOptions {
  /** Heads of queries. */
  readonly numHeads: number;
  /** The size of a query and a key. */
  readonly keyDim: number;
  /** The size of a value. Default `keyDim`. */
  readonly valueDim?: number;
  /** Heads of keys and values, of which `numHeads` is a multiple. Default `numHeads`. */
  readonly numKeyValueHeads?: number;
  /** The size of the result. Default: that of the query's input. */
  readonly outputDim?: number;
  /** The part of the attention weights that drops out in training. Default 0. */
  readonly dropout?: number;
  /** Default true. */
  readonly useBias?: boolean;
  /** Each query sees the keys up to its own position. Default false. */
  readonly causal?: boolean;
  /** Turns queries and keys by their positions. Default false. */
  readonly rotary?: boolean | RotaryOptions;
  /** Keeps scores within `[-softCap, softCap]`. */
  readonly softCap?: number;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: Initializer;
  /** Default `zeros`. */
  readonly biasInitializer?: Initializer;
}

/** What an attention takes beside the one value that is everything at once. */
export interface AttentionInputs {
  /** Float32 `[batch, queries, n]`. */
  readonly query: Sym;
  /** Float32 `[batch, keys, m]`. Default `query`. */
  readonly value?: Sym;
  /** Float32 `[batch, keys, m]`. Default `value`. */
  readonly key?: Sym;
  /** Bool, true where a query sees a key: `[batch, queries, keys]`, or what broadcasts to `[batch, heads, queries, keys]`. */
  readonly mask?: Sym;
}

const optionNames: Readonly<Record<keyof MultiHeadAttentionOptions, true>> = {
  numHeads: true,
  keyDim: true,
  valueDim: true,
  numKeyValueHeads: true,
  outputDim: true,
  dropout: true,
  useBias: true,
  causal: true,
  rotary: true,
  softCap: true,
  kernelInitializer: true,
  biasInitializer: true,
  ...layerOptions,
};

/**
 * Makes a layer from float32 `[batch, length, n]`, or {@link AttentionInputs}, to `[batch, length, n]`.
 *
 * Parameters: `query/kernel` `[n, numHeads, keyDim]`, `key/kernel`, `value/kernel`, `attentionOutput/kernel`
 * `[numHeads, valueDim, n]`, and a `bias` each.
 *
 * @throws {RangeError} when a number is out of its range, or `numHeads` is no multiple of `numKeyValueHeads`.
 * @throws {KdataError} `usage` when there is no such option.
 */
export function multiHeadAttention(options: MultiHeadAttentionOptions): Layer<Sym | AttentionInputs> {
  return new MultiHeadAttention(options);
}

class MultiHeadAttention extends Layer<Sym | AttentionInputs> {
  readonly query: Layer;
  readonly key: Layer;
  readonly value: Layer;
  readonly attentionOutput: EinsumDense;
  readonly #options: MultiHeadAttentionOptions;

  constructor(options: MultiHeadAttentionOptions) {
    super(options);
    checkOptions(options);
    const { numHeads, keyDim, valueDim = keyDim, numKeyValueHeads = numHeads, outputDim } = options;
    this.#options = options;
    this.query = projection("abc,cde->abde", [null, numHeads, keyDim], options);
    this.key = projection("abc,cde->abde", [null, numKeyValueHeads, keyDim], options);
    this.value = projection("abc,cde->abde", [null, numKeyValueHeads, valueDim], options);
    this.attentionOutput = projection("abcd,cde->abe", [null, outputDim ?? null], options);
  }

  call(inputs: Sym | AttentionInputs): Sym {
    const { causal = false, softCap, rotary = false, dropout = 0 } = this.#options;
    const { query, value = query, key = value, mask } = inputs instanceof Sym ? { query: inputs } : inputs;
    for (const x of [query, key, value]) {
      if (x.shape.length === 3) continue;
      throw x.graph.misfit("multiHeadAttention", `it takes float32 [batch, length, n], not ${formatSpec(x)}`);
    }
    const turn = rotary === false ? undefined : rotary === true ? {} : rotary;
    const [q, k] = [this.query.apply(query), this.key.apply(key)].map((x) =>
      turn === undefined ? x : ops.rotaryEmbedding(x, turn),
    );
    if (q === undefined || k === undefined) return query;
    const attended = ops.attention(q, k, this.value.apply(value), {
      causal,
      mask,
      softCap,
      dropout: this.training ? dropout : 0,
    });
    return this.attentionOutput.applyTo(attended, [null, this.#options.outputDim ?? query.shape[2] ?? 1]);
  }
}

function checkOptions(options: MultiHeadAttentionOptions): void {
  const action = "Cannot make multiHeadAttention layer";
  checkOptionNames(action, options, Object.keys(optionNames));
  const { numHeads, keyDim, valueDim = keyDim, numKeyValueHeads = numHeads, dropout = 0 } = options;
  for (const [name, value] of Object.entries({ numHeads, keyDim, valueDim, numKeyValueHeads })) {
    checkWhole(action, name, value, 1);
  }
  if (numHeads % numKeyValueHeads !== 0) {
    throw new RangeError(`${action}: ${numHeads} heads do not share ${numKeyValueHeads} heads of keys evenly`);
  }
  checkRate(action, dropout);
}

function projection(
  equation: string,
  outputShape: readonly (number | null)[],
  { useBias = true, kernelInitializer, biasInitializer }: MultiHeadAttentionOptions,
): EinsumDense {
  const biasAxes = equation.endsWith("abde") ? "de" : "e";
  return einsumDense(equation, {
    outputShape,
    ...(useBias && { biasAxes }),
    ...(kernelInitializer && { kernelInitializer }),
    ...(biasInitializer && { biasInitializer }),
  });
}
