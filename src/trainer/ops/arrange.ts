// Operations that move elements, composed of the primitives. Axes may count from the end: -1 is the last.

import { elementCount } from "../../core/tensor.ts";
import type { Graph, Sym } from "../graph.ts";
import { formatSpec } from "../primitives.ts";
import { add, greaterEqual, mul } from "./elementwise.ts";
import { broadcastTo, concat, gather, iota, reshape, slice, transpose } from "./shape.ts";
import { resolveAxis } from "./value.ts";

/** Puts an axis of size 1 before axis `axis`; -1 puts it behind the last. */
export function expandDims(x: Sym, axis: number): Sym {
  const place = axis < 0 ? axis + x.shape.length + 1 : axis;
  if (!Number.isInteger(axis) || place < 0 || place > x.shape.length) {
    throw x.graph.misfit("expandDims", `${formatSpec(x)} has no place for an axis at ${axis}`);
  }
  return reshape(x, x.shape.toSpliced(place, 0, 1));
}

/**
 * Takes away an axis of size 1.
 *
 * @throws {KdataError} `shape` when its size is another.
 */
export function squeeze(x: Sym, axis: number): Sym {
  const place = resolveAxis("squeeze", x, axis);
  if (x.shape[place] !== 1) throw x.graph.misfit("squeeze", `axis ${axis} of ${formatSpec(x)} is not of size 1`);
  return reshape(x, x.shape.toSpliced(place, 1));
}

/** Exchanges two axes. */
export function swapAxes(x: Sym, a: number, b: number): Sym {
  const [first, second] = [resolveAxis("swapAxes", x, a), resolveAxis("swapAxes", x, b)];
  return transpose(
    x,
    x.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis)),
  );
}

/**
 * Cuts an axis into parts of the given sizes, or into so many equal ones.
 *
 * @throws {KdataError} `shape` when they do not make up the axis.
 */
export function split(x: Sym, parts: number | readonly number[], axis = -1): Sym[] {
  const place = resolveAxis("split", x, axis);
  const size = x.shape[place] ?? 0;
  const sizes = typeof parts === "number" ? new Array<number>(parts).fill(size / parts) : parts;
  const total = sizes.reduce((sum, part) => sum + part, 0);
  if (total !== size || !sizes.every(Number.isInteger)) {
    throw x.graph.misfit("split", `axis ${axis} of ${formatSpec(x)} is not made up of ${sizes.join(" + ")}`);
  }
  let start = 0;
  return sizes.map((part) => {
    const starts = x.shape.map((_, i) => (i === place ? start : 0));
    start += part;
    return slice(x, starts, x.shape.with(place, start));
  });
}

/** Puts values of one shape beside each other along a new axis. */
export function stack(values: readonly [Sym, ...Sym[]], axis = 0): Sym {
  const [first, ...rest] = values;
  const place = axis < 0 ? axis + first.shape.length + 1 : axis;
  return concat([expandDims(first, place), ...rest.map((value) => expandDims(value, place))], place);
}

/** Repeats each element along an axis `count` times: `[a, b]` becomes `[a, a, b, b]`. */
export function repeat(x: Sym, count: number, axis = -1): Sym {
  const place = resolveAxis("repeat", x, axis);
  const apart = expandDims(x, place + 1);
  const size = x.shape[place] ?? 0;
  return reshape(broadcastTo(apart, apart.shape.with(place + 1, count)), x.shape.with(place, size * count));
}

/**
 * Takes from each row along an axis the elements at int32 indices, whose shape is that of `x` but along the axis.
 *
 * An index outside the axis takes an undefined element or is an error of the run.
 */
export function takeAlongAxis(x: Sym, indices: Sym, axis = -1): Sym {
  const place = resolveAxis("takeAlongAxis", x, axis);
  const last = x.shape.length - 1;
  const fits =
    indices.shape.length === x.shape.length && x.shape.every((n, i) => i === place || n === indices.shape[i]);
  if (!fits) throw x.graph.misfit("takeAlongAxis", `${formatSpec(indices)} does not choose from ${formatSpec(x)}`);
  const [rows, chosen] = [swapAxes(x, place, last), swapAxes(indices, place, last)];
  const size = rows.shape[last] ?? 1;
  const rowCount = elementCount(rows.shape.slice(0, -1));
  const starts = mul(iota(x.graph, [rowCount, 1]), size);
  const places = add(reshape(chosen, [rowCount, chosen.shape[last] ?? 1]), starts);
  return swapAxes(reshape(gather(reshape(rows, [rowCount * size]), places), chosen.shape), place, last);
}

/** Says for each place of `rows` whether it sees each of `columns`: those up to its own. Bool `[rows, columns]`. */
export function causalMask(graph: Graph, rows: number, columns = rows): Sym {
  return greaterEqual(iota(graph, [rows, 1], 0), iota(graph, [1, columns], 1));
}
