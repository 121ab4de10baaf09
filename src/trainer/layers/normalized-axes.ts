// The axes of a normalisation: those of its parameters, those that it averages over.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";

/** Axes of a value and what is not among them. */
export interface NormalizedAxes {
  /** Counted from 0, ascending. */
  readonly axes: readonly number[];
  readonly others: readonly number[];
  /** The sizes along `axes`: the shape of a parameter. */
  readonly shape: readonly number[];
  /** Gives a value of that shape the axes in between, with size 1, so that it broadcasts to the input. */
  readonly expand: (value: Sym) => Sym;
}

/**
 * Finds the axes of a float32 value that a layer names, from the end or from the front.
 *
 * @throws {KdataError} `shape` when it has no such axis, or the axis is the batch's.
 */
export function alongAxes(layer: string, x: Sym, axis: number | readonly number[]): NormalizedAxes {
  const rank = x.shape.length;
  const named = (typeof axis === "number" ? [axis] : axis).map((place) => (place < 0 ? place + rank : place));
  const axes = [...new Set(named)].sort((a, b) => a - b);
  const [first] = axes;
  const fits = first !== undefined && axes.every((place) => Number.isInteger(place) && place > 0 && place < rank);
  if (!fits || x.dtype !== "float32") {
    throw x.graph.misfit(
      layer,
      `it takes float32 [batch, ...] along axis ${[axis].flat().join(", ")}, not ${formatSpec(x)}`,
    );
  }
  const broadcastShape = x.shape.map((size, place) => (axes.includes(place) ? size : 1)).slice(first);
  return {
    axes,
    others: x.shape.flatMap((_, place) => (axes.includes(place) ? [] : [place])),
    shape: axes.map((place) => x.shape[place] ?? 1),
    expand: (value) => ops.reshape(value, broadcastShape),
  };
}
