// Scaled dot-product attention: https://arxiv.org/abs/1706.03762

import type { Sym } from "../graph.ts";
import { formatSpec } from "../primitives.ts";
import { softmax } from "./activation.ts";
import { causalMask, expandDims } from "./arrange.ts";
import { dropout } from "./dropout.ts";
import { mul, tanh, where } from "./elementwise.ts";
import { logicalAnd } from "./math.ts";
import { matmul } from "./reduction.ts";
import { reshape, transpose } from "./shape.ts";

/** The score of what is masked. It is finite, so that a row that sees nothing averages over everything and is not NaN. */
const MASKED_SCORE = -1e9;

/** How {@link attention} looks. */
export interface AttentionOptions {
  /** Each query sees the keys up to its own position. Default false. */
  readonly causal?: boolean;
  /** Bool, true where a query sees a key: `[queries, keys]`, `[batch, queries, keys]` or `[batch, heads, queries, keys]`, sizes of 1 broadcast. */
  readonly mask?: Sym | undefined;
  /** Multiplies the scores. Default `1 / sqrt(size)`. */
  readonly scale?: number;
  /** Keeps scores within `[-softCap, softCap]`, by tanh. */
  readonly softCap?: number | undefined;
  /** The part of the weights that drops out; for training steps alone. Default 0. */
  readonly dropout?: number;
}

/** Sizes of one attention. Each head of keys serves `group` heads of queries. */
interface Sizes {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly group: number;
}

/**
 * Averages values by how well their keys fit each query: `softmax(q k^T scale) v` for each head.
 *
 * It is the composite `attention`: a backend may have a kernel of its own for it.
 *
 * @param q - float32 `[batch, queries, heads, size]`
 * @param k - float32 `[batch, keys, keyHeads, size]`; `heads` is a multiple of `keyHeads`, each of which serves
 *   `heads / keyHeads` heads of queries, one after the other
 * @param v - float32 `[batch, keys, keyHeads, valueSize]`
 * @param options - mask, scale and the like
 * @returns float32 `[batch, queries, heads, valueSize]`
 * @throws {KdataError} `shape` when they do not fit.
 */
export function attention(q: Sym, k: Sym, v: Sym, options: AttentionOptions = {}): Sym {
  function expand(): Sym {
    const sizes = measure(q, k, v);
    const { batch, queries, heads, group } = sizes;
    const size = q.shape[3] ?? 1;
    const { scale = 1 / Math.sqrt(size), softCap, dropout: rate = 0 } = options;
    const keyHeads = heads / group;
    // The queries of a group are rows of one product, so that keys and values are not repeated. The scale goes to the
    // queries: they are fewer than the scores.
    const rows = reshape(transpose(mul(q, scale), [0, 2, 1, 3]), [batch, keyHeads, group * queries, size]);
    const scores = matmul(rows, transpose(k, [0, 2, 1, 3]), { transposeB: true });
    const capped = softCap === undefined ? scores : mul(tanh(mul(scores, 1 / softCap)), softCap);
    const weights = dropout(softmax(masked(capped, sizes, options)), rate);
    const averages = matmul(weights, transpose(v, [0, 2, 1, 3]));
    return transpose(reshape(averages, [batch, heads, queries, v.shape[3] ?? 1]), [0, 2, 1, 3]);
  }
  const { causal = false, mask, softCap = 0, dropout: rate = 0, scale = 1 / Math.sqrt(q.shape[3] ?? 1) } = options;
  return q.graph.composite("attention", expand, {
    inputs: [q, k, v, ...(mask ? [mask] : [])],
    attributes: { causal, softCap, dropout: rate, scale },
  });
}

function measure(q: Sym, k: Sym, v: Sym): Sizes {
  const [batch = 0, queries = 0, heads = 0, size] = q.shape;
  const [, keys = 0, keyHeads = 0] = k.shape;
  const fits =
    [q, k, v].every(({ shape, dtype }) => shape.length === 4 && shape[0] === batch && dtype === "float32") &&
    k.shape[3] === size &&
    v.shape[1] === keys &&
    v.shape[2] === keyHeads &&
    heads % keyHeads === 0;
  if (!fits) {
    const reason = `queries ${formatSpec(q)}, keys ${formatSpec(k)} and values ${formatSpec(v)} do not fit`;
    throw q.graph.misfit("attention", reason);
  }
  return { batch, queries, keys, heads, group: heads / keyHeads };
}

/** Brings a mask to `[batch, heads, queries, keys]`, where sizes may be 1. */
function withHeads(mask: Sym, { batch, queries, keys, heads }: Sizes): Sym {
  const full = mask.shape.length === 3 ? expandDims(mask, 1) : mask;
  const wanted = [batch, heads, queries, keys].slice(-full.shape.length);
  const fits =
    (full.shape.length === 2 || full.shape.length === 4) &&
    full.shape.every((size, axis) => size === 1 || size === wanted[axis]);
  if (fits && mask.dtype === "bool") return full;
  throw mask.graph.misfit(
    "attention",
    `the mask ${formatSpec(mask)} is not bool over ${queries} queries and ${keys} keys`,
  );
}

/** Gives what a query does not see a score that leaves it no weight. */
function masked(scores: Sym, sizes: Sizes, { causal = false, mask }: AttentionOptions): Sym {
  const { batch, queries, keys, heads } = sizes;
  const given = mask && withHeads(mask, sizes);
  const past = causal ? causalMask(scores.graph, queries, keys) : undefined;
  const seen = given && past ? logicalAnd(given, past) : (given ?? past);
  if (seen === undefined) return scores;
  const apart = reshape(scores, [batch, heads, queries, keys]);
  return reshape(where(seen, apart, MASKED_SCORE), scores.shape);
}
