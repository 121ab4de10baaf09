// Operations that move elements and compute none.

import { elementCount } from "../../core/tensor.ts";
import type { Graph, Sym } from "../graph.ts";
import { formatShape, formatSpec } from "../primitives.ts";
import { cast, equal } from "./elementwise.ts";
import { resolveAxis } from "./value.ts";

/**
 * Gives the elements another shape, in the same row-major order. One size may be -1: what is left of the elements.
 *
 * @throws {KdataError} `shape` when the elements do not fill the shape.
 */
export function reshape(x: Sym, shape: readonly number[]): Sym {
  const free = shape.indexOf(-1);
  if (free < 0) return x.graph.node({ kind: "reshape", shape }, [x]);
  const rest = elementCount(shape.toSpliced(free, 1));
  const size = elementCount(x.shape) / rest;
  if (!Number.isInteger(size)) {
    throw x.graph.misfit(
      "reshape",
      `the ${elementCount(x.shape)} elements of ${formatSpec(x)} do not fill ${formatShape(shape)}`,
    );
  }
  return x.graph.node({ kind: "reshape", shape: shape.with(free, size) }, [x]);
}

/** Reorders the axes: axis `i` of the result is axis `perm[i]` of `x`. Without `perm` their order is reversed. */
export function transpose(x: Sym, perm: readonly number[] = x.shape.map((_, axis) => x.shape.length - 1 - axis)): Sym {
  return x.graph.node({ kind: "transpose", perm: perm.map((axis) => resolveAxis("transpose", x, axis)) }, [x]);
}

/** Repeats along missing axes and axes of size 1 until the shape is reached, by numpy's rules. */
export function broadcastTo(x: Sym, shape: readonly number[]): Sym {
  return x.graph.node({ kind: "broadcast", shape }, [x]);
}

/** Cuts out `[starts[i], ends[i])` on each axis. */
export function slice(x: Sym, starts: readonly number[], ends: readonly number[]): Sym {
  return x.graph.node({ kind: "slice", starts, ends }, [x]);
}

/** Puts `before[i]` and `after[i]` zeros around the elements on each axis. */
export function pad(x: Sym, before: readonly number[], after: readonly number[]): Sym {
  return x.graph.node({ kind: "pad", before, after }, [x]);
}

/** Joins values along an axis; the other axes agree. */
export function concat(values: readonly [Sym, ...Sym[]], axis = -1): Sym {
  const [first] = values;
  return first.graph.node({ kind: "concat", axis: resolveAxis("concat", first, axis) }, values);
}

/**
 * Takes rows of a table `[rows, ...r]` by int32 indices `[...i]`: `[...i, ...r]`.
 *
 * An index outside `[0, rows)` is an error of the run on some backends and an undefined row on others.
 */
export function gather(table: Sym, indices: Sym): Sym {
  return table.graph.node({ kind: "gather" }, [table, indices]);
}

/** Adds values `[...i, ...r]` to rows of zeros `[rows, ...r]` at int32 indices `[...i]`, which may repeat. */
export function scatterAdd(indices: Sym, values: Sym, rows: number): Sym {
  return values.graph.node({ kind: "scatterAdd", rows }, [indices, values]);
}

/** Counts 0, 1, 2, ... along one axis of a shape, as int32. */
export function iota(graph: Graph, shape: readonly number[], axis = 0): Sym {
  return graph.node({ kind: "iota", shape, axis }, []);
}

/** Marks each int32 index `[...i]` with a 1 among `depth` zeros: float32 `[...i, depth]`. One outside `[0, depth)` has no 1. */
export function oneHot(indices: Sym, depth: number): Sym {
  const column = reshape(indices, [...indices.shape, 1]);
  return cast(equal(column, iota(indices.graph, [depth])), "float32");
}
