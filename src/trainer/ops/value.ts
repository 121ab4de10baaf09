// What the functions of ops share: numbers as operands, axes counted from the end.

import type { Sym } from "../graph.ts";
import { formatSpec } from "../primitives.ts";

/** An operand: a value of the graph, or a number, which takes the dtype of the other operand. */
export type Operand = Sym | number;

/**
 * Makes both operands values of the graph.
 *
 * @throws {TypeError} when both are numbers: no graph to put the result in.
 * @throws {RangeError} when a number is not one of the other's dtype.
 */
export function lift(action: string, a: Operand, b: Operand): [Sym, Sym] {
  if (typeof a !== "number") return [a, typeof b === "number" ? a.graph.constant(b, a.dtype) : b];
  if (typeof b !== "number") return [b.graph.constant(a, b.dtype), b];
  throw new TypeError(`Cannot trace ${action}: one operand has to be a value of the graph`);
}

/** Brings axes counted from the end (-1 is the last) to axes counted from 0, in ascending order. */
export function resolveAxes(action: string, x: Sym, axes: number | readonly number[]): number[] {
  const list = typeof axes === "number" ? [axes] : axes;
  return list.map((axis) => resolveAxis(action, x, axis)).sort((a, b) => a - b);
}

/** Brings an axis counted from the end (-1 is the last) to one counted from 0. */
export function resolveAxis(action: string, x: Sym, axis: number): number {
  const rank = x.shape.length;
  const resolved = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(axis) && resolved >= 0 && resolved < rank) return resolved;
  throw x.graph.misfit(action, `${formatSpec(x)} has no axis ${axis}`);
}
