// Rotary position embedding: https://arxiv.org/abs/2104.09864

import { tensor } from "../../core/tensor.ts";
import type { Graph, Sym } from "../graph.ts";
import { formatSpec } from "../primitives.ts";
import { add, mul, sub } from "./elementwise.ts";
import { split } from "./arrange.ts";
import { concat } from "./shape.ts";

/** How {@link rotaryEmbedding} turns. */
export interface RotaryOptions {
  /** The longest wavelength, in units of 2 pi. Default 10000. */
  readonly base?: number;
  /** The position of the first element. Default 0. */
  readonly offset?: number;
}

/** The turns are constants of a graph; layers of one size share them. */
const tables = new WeakMap<Graph, Map<string, readonly [Sym, Sym]>>();

/**
 * Turns pairs of features by an angle that grows with the position: `[batch, length, heads, size]`, float32.
 *
 * Feature `i` of the first half pairs with feature `i` of the second, as in LLaMA's published weights; pair `i` turns by
 * `position * base ** (-2 i / size)`.
 *
 * @throws {KdataError} `shape` when `x` has not four axes or an odd size.
 */
export function rotaryEmbedding(x: Sym, { base = 10_000, offset = 0 }: RotaryOptions = {}): Sym {
  const [, length, , size] = x.shape;
  if (length === undefined || size === undefined || size % 2 === 1 || x.shape.length !== 4) {
    throw x.graph.misfit("rotaryEmbedding", `it takes [batch, length, heads, an even size], not ${formatSpec(x)}`);
  }
  const [cos, sin] = turns(x.graph, length, size / 2, { base, offset });
  const [first, second] = split(x, 2);
  if (first === undefined || second === undefined) return x;
  return concat([sub(mul(first, cos), mul(second, sin)), add(mul(second, cos), mul(first, sin))]);
}

/** Cosines and sines `[length, 1, half]` of all angles. */
function turns(graph: Graph, length: number, half: number, options: Required<RotaryOptions>): readonly [Sym, Sym] {
  const known = tables.get(graph) ?? new Map<string, readonly [Sym, Sym]>();
  tables.set(graph, known);
  const key = JSON.stringify([length, half, options]);
  const found = known.get(key);
  if (found !== undefined) return found;
  function table(turn: (angle: number) => number): Sym {
    const data = Float32Array.from({ length: length * half }, (_, i) => {
      const position = options.offset + Math.floor(i / half);
      return turn(position * options.base ** (-(i % half) / half));
    });
    return graph.constant(tensor("float32", [length, 1, half], data));
  }
  const made = [table(Math.cos), table(Math.sin)] as const;
  known.set(key, made);
  return made;
}
