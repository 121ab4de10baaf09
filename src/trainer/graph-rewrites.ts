// Local simplifications while a graph is traced: what changes nothing makes no node. They keep later passes short,
// differentiation above all, which multiplies by one and adds to zero a lot.

import type { HalfDType } from "../core/half-float.ts";
import type { Op, OpKind } from "./plan.ts";
import { sameShape, type ValueSpec } from "./primitives.ts";

/** Operands that change nothing: on the right, or on either side. */
const neutralOperands: Partial<Record<OpKind, { readonly number: number; readonly eitherSide: boolean }>> = {
  add: { number: 0, eitherSide: true },
  sub: { number: 0, eitherSide: false },
  mul: { number: 1, eitherSide: true },
  div: { number: 1, eitherSide: false },
};

/** Operations that change shape or dtype alone, so nothing where both stay. */
const shapedOnlyKinds: ReadonlySet<OpKind> = new Set(["cast", "broadcast", "reshape", "slice", "pad", "concat"]);

/** Operations whose elements are those of their first operand, their negatives, or zeros. */
const movingKinds: ReadonlySet<OpKind> = new Set([
  "stopGradient",
  "neg",
  "reduceMax",
  "reshape",
  "broadcast",
  "transpose",
  "slice",
  "pad",
  "gather",
  "maxPool2d",
]);

/** A value and the operation that made it. */
interface Node<S> extends ValueSpec {
  readonly op: Op;
  readonly inputs: readonly S[];
}

/** A node that exists already, or a shorter way to make the value. */
export type Rewrite<S> = { readonly value: S } | { readonly op: Op; readonly inputs: readonly S[] };

/**
 * Looks for a simpler way to make a value of the given spec, in the same shape and dtype.
 *
 * The value is the same for finite numbers, and but for the sign of a zero. `0 * x` stays: x may be infinite or NaN.
 */
export function rewrite<S extends Node<S>>(op: Op, inputs: readonly S[], spec: ValueSpec): Rewrite<S> | undefined {
  const [a, b] = inputs;
  if (a === undefined) return undefined;
  if (b !== undefined) return rewriteBinary(op.kind, [a, b], spec);
  if (changesNothing(op, a) && fits(a, spec)) return { value: a };
  if (op.kind === "roundTo" && isRounded(a, op.format)) return { value: a };
  if (op.kind === "neg" && a.op.kind === "neg") return { value: first(a.inputs) };
  if (op.kind === "transpose" && a.op.kind === "transpose") {
    const { perm } = a.op;
    return { op: { kind: "transpose", perm: op.perm.map((axis) => perm[axis] ?? axis) }, inputs: a.inputs };
  }
  const shapedTwice = (op.kind === "reshape" || op.kind === "broadcast") && a.op.kind === op.kind;
  return shapedTwice ? { op, inputs: a.inputs } : undefined;
}

function rewriteBinary<S extends Node<S>>(
  kind: OpKind,
  [a, b]: readonly [S, S],
  spec: ValueSpec,
): Rewrite<S> | undefined {
  const neutral = neutralOperands[kind];
  if (neutral === undefined) return undefined;
  if (isFilledWith(b, neutral.number) && fits(a, spec)) return { value: a };
  return neutral.eitherSide && isFilledWith(a, neutral.number) && fits(b, spec) ? { value: b } : undefined;
}

/** Says whether an operation of one operand gives that operand, where shape and dtype agree. */
function changesNothing(op: Op, operand: { readonly op: Op }): boolean {
  if (op.kind === "transpose") return op.perm.every((axis, i) => axis === i);
  if (op.kind === "sum" || op.kind === "reduceMax") return op.axes.length === 0;
  if (op.kind === "stopGradient") return operand.op.kind === "stopGradient";
  return shapedOnlyKinds.has(op.kind);
}

function fits(value: ValueSpec, spec: ValueSpec): boolean {
  return value.dtype === spec.dtype && sameShape(value.shape, spec.shape);
}

function first<S>([value]: readonly S[]): S {
  if (value === undefined) throw new RangeError("Cannot rewrite graph: the operation has no operand");
  return value;
}

/** Says whether every element of a value is known to be a number of a 16-bit type: rounded to it, and no more than moved since. */
function isRounded<S extends Node<S>>({ op, inputs }: S, format: HalfDType): boolean {
  if (op.kind === "roundTo") return op.format === format;
  const [source] = inputs;
  if (source === undefined) return false;
  if (op.kind === "max" || op.kind === "concat") return inputs.every((input) => isRounded(input, format));
  return movingKinds.has(op.kind) && isRounded(source, format);
}

/** Says whether every element of a value is known to be one number. */
function isFilledWith<S extends Node<S>>({ op, inputs }: S, number: number): boolean {
  if (op.kind === "const") return op.value.data.length === 1 && op.value.data[0] === number;
  const [source] = inputs;
  return source !== undefined && (op.kind === "broadcast" || op.kind === "reshape") && isFilledWith(source, number);
}
