// What the layers over planes share: where the channels are, windows in Keras' words, and the way to the graph's layout, which
// has channels first. Layers compute all they can there, bias and activation too: between two of them nothing is moved, because
// a transpose of a transpose makes no node.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import type { Pair, Window } from "../windows.ts";

/** Where the channels are: `[batch, height, width, channels]` or `[batch, channels, height, width]`. */
export type DataFormat = "channelsLast" | "channelsFirst";

/**
 * What happens at the edges. `valid`: windows lie inside. `same`: zeros around, half of them before, so that a stride of 1
 * keeps the size and a stride `s` gives `ceil(size / s)`.
 */
export type Padding = "valid" | "same";

/** One number for both axes, or one each. */
export type OneOrTwo = number | Pair;

/** A window as the options of a layer say it. */
export interface WindowOptions {
  readonly size: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly padding: Padding;
}

/**
 * Brings one number or two to a pair.
 *
 * @throws {RangeError} when one is not a whole number from 1 on.
 */
export function pairOf(layer: string, name: string, value: OneOrTwo): Pair {
  const pair: Pair = typeof value === "number" ? [value, value] : value;
  if (pair.every((size) => Number.isSafeInteger(size) && size >= 1)) return pair;
  throw new RangeError(
    `Cannot make ${layer} layer: ${name} is ${String(value)}; give one or two whole numbers from 1 on`,
  );
}

/**
 * Refuses a word that is not one of the allowed ones.
 *
 * @throws {RangeError} with those that are.
 */
export function checkWord(layer: string, name: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new RangeError(`Cannot make ${layer} layer: unknown ${name} '${value}' (known: ${allowed.join(", ")})`);
}

/** The values that {@link checkWord} takes for a data format. */
export const dataFormats: readonly DataFormat[] = ["channelsLast", "channelsFirst"];

/** The values that {@link checkWord} takes for a padding. */
export const paddings: readonly Padding[] = ["valid", "same"];

/** Places a window on planes of a size, with as much padding as TensorFlow and Keras give. */
export function placeWindow(input: Pair, { size, strides, dilations, padding }: WindowOptions): Window {
  function missing(axis: 0 | 1): number {
    if (padding === "valid") return 0;
    const results = Math.ceil(input[axis] / strides[axis]);
    const read = (results - 1) * strides[axis] + (size[axis] - 1) * dilations[axis] + 1;
    return Math.max(read - input[axis], 0);
  }
  const total: Pair = [missing(0), missing(1)];
  const before: Pair = [Math.floor(total[0] / 2), Math.floor(total[1] / 2)];
  return { size, strides, dilations, before, after: [total[0] - before[0], total[1] - before[1]] };
}

/**
 * Brings planes to the layout of the graph.
 *
 * @throws {KdataError} `shape` when the value is not float32 of four axes.
 */
export function toChannelsFirst(layer: string, x: Sym, format: DataFormat): Sym {
  if (x.shape.length !== 4 || x.dtype !== "float32") {
    const axes = format === "channelsLast" ? "height, width, channels" : "channels, height, width";
    throw x.graph.misfit(layer, `it takes float32 [batch, ${axes}], not ${formatSpec(x)}`);
  }
  return format === "channelsLast" ? ops.transpose(x, [0, 3, 1, 2]) : x;
}

/** Brings planes from the layout of the graph to the layer's. */
export function fromChannelsFirst(x: Sym, format: DataFormat): Sym {
  return format === "channelsLast" ? ops.transpose(x, [0, 2, 3, 1]) : x;
}

/** The axes of values along their length or planes, all but the batch and the channels. */
export function middleAxes(x: Sym, format: DataFormat): number[] {
  const first = format === "channelsLast" ? 1 : 2;
  return Array.from({ length: x.shape.length - 2 }, (_, axis) => first + axis);
}
