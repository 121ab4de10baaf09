// Shape inference: what shape and dtype each primitive gives, or why its operands do not fit.

import { elementCount } from "../core/tensor.ts";
import type { GraphDType, Op, OpKind } from "./plan.ts";
import { formatShape, formatSpec, sameShape, type OpOf, type Operands, type ValueSpec } from "./primitives.ts";
import {
  inferConv2d,
  inferConv2dInputGradient,
  inferConv2dKernelGradient,
  inferMaxPool2dGradient,
  inferPool2d,
  inferAvgPool2dGradient,
} from "./window-shapes.ts";

/** The result's spec, or the reason why there is none. */
type Inference = ValueSpec | string;

/** The primitives whose result follows from the operation and its operands; an input's is declared. */
type InferredKind = Exclude<OpKind, "input">;

type Rule<K extends OpKind> = (op: OpOf<K>, operands: Operands<K, ValueSpec>) => Inference;

const rules: { readonly [K in InferredKind]: Rule<K> } = {
  const: ({ value }) => ({ shape: value.shape, dtype: value.dtype }),
  iota: inferIota,
  neg: inferUnary,
  exp: inferUnary,
  log: inferUnary,
  sqrt: inferUnary,
  tanh: inferUnary,
  erf: inferUnary,
  sin: inferUnary,
  cos: inferUnary,
  floor: inferUnary,
  roundTo: inferUnary,
  add: (_, operands) => inferBinary(operands, ["float32", "int32"]),
  sub: (_, operands) => inferBinary(operands, ["float32", "int32"]),
  mul: (_, operands) => inferBinary(operands, ["float32", "int32"]),
  div: (_, operands) => inferBinary(operands, ["float32"]),
  max: (_, operands) => inferBinary(operands, ["float32", "int32"]),
  compare: inferCompare,
  where: inferWhere,
  stopGradient: (_, [x]) => x,
  sum: (op, [x]) => inferReduction(op, x),
  reduceMax: (op, [x]) => inferReduceMax(op, x),
  reshape: inferReshape,
  broadcast: inferBroadcast,
  transpose: inferTranspose,
  slice: inferSlice,
  pad: inferPad,
  concat: inferConcat,
  gather: inferGather,
  scatterAdd: inferScatterAdd,
  matmul: inferMatmul,
  cast: ({ dtype }, [x]) => ({ shape: x.shape, dtype }),
  argmax: inferArgmax,
  cumsum: inferCumsum,
  conv2d: inferConv2d,
  conv2dInputGradient: inferConv2dInputGradient,
  conv2dKernelGradient: inferConv2dKernelGradient,
  maxPool2d: inferPool2d,
  maxPool2dGradient: inferMaxPool2dGradient,
  avgPool2d: inferPool2d,
  avgPool2dGradient: inferAvgPool2dGradient,
};

/**
 * Infers shape and dtype of what an operation gives, or says in words why its operands or attributes do not fit.
 *
 * The number of operands is taken as checked.
 */
export function inferSpec(op: Exclude<Op, { kind: "input" }>, operands: readonly ValueSpec[]): ValueSpec | string {
  // One entry of the table fits its own kind alone, which the compiler cannot follow through the look-up.
  const rule = rules[op.kind] as unknown as (op: Op, operands: readonly ValueSpec[]) => Inference;
  return rule(op, operands);
}

/** Finds the shape that shapes broadcast to by numpy's rules, or nothing when they do not. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): readonly number[] | undefined {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (const [i, size] of shape.entries()) {
      const axis = rank - shape.length + i;
      if (size === 1) continue;
      if (result[axis] !== 1 && result[axis] !== size) return undefined;
      result[axis] = size;
    }
  }
  return result;
}

/** Removes the given axes of a shape, or leaves them with size 1. */
export function reduceShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): readonly number[] {
  return keepDims
    ? shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    : shape.filter((_, axis) => !axes.includes(axis));
}

/** Says whether every size is a whole number from 0 on. */
export function isShape(shape: readonly number[]): boolean {
  return shape.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function inferUnary(_op: Op, [x]: readonly [ValueSpec]): Inference {
  return x.dtype === "float32" ? x : `it takes float32, not ${formatSpec(x)}`;
}

function inferBinary([a, b]: readonly [ValueSpec, ValueSpec], dtypes: readonly GraphDType[]): Inference {
  const shape = broadcastShapes(a.shape, b.shape);
  if (shape === undefined) return `${formatSpec(a)} and ${formatSpec(b)} do not broadcast`;
  if (a.dtype !== b.dtype) return `${formatSpec(a)} and ${formatSpec(b)} differ in dtype`;
  return dtypes.includes(a.dtype) ? { shape, dtype: a.dtype } : `it takes ${dtypes.join(" or ")}, not ${formatSpec(a)}`;
}

function inferCompare(_op: Op, operands: readonly [ValueSpec, ValueSpec]): Inference {
  const compared = inferBinary(operands, ["float32", "int32"]);
  return typeof compared === "string" ? compared : { shape: compared.shape, dtype: "bool" };
}

function inferWhere(_op: Op, [condition, a, b]: readonly [ValueSpec, ValueSpec, ValueSpec]): Inference {
  if (condition.dtype !== "bool") return `the condition is ${formatSpec(condition)}, not bool`;
  if (a.dtype !== b.dtype) return `${formatSpec(a)} and ${formatSpec(b)} differ in dtype`;
  const shape = broadcastShapes(condition.shape, a.shape, b.shape);
  if (shape === undefined) {
    return `${formatSpec(condition)}, ${formatSpec(a)} and ${formatSpec(b)} do not broadcast`;
  }
  return { shape, dtype: a.dtype };
}

function inferReduction({ axes, keepDims }: OpOf<"sum">, x: ValueSpec): Inference {
  if (x.dtype === "bool") return `it takes float32 or int32, not ${formatSpec(x)}`;
  const ascending = axes.every((axis, i) => isAxis(axis, x) && (i === 0 || axis > (axes[i - 1] ?? axis)));
  if (!ascending) return `${formatShape(axes)} are not ascending axes of ${formatSpec(x)}`;
  return { shape: reduceShape(x.shape, axes, keepDims), dtype: x.dtype };
}

function inferReduceMax(op: OpOf<"reduceMax">, x: ValueSpec): Inference {
  const empty = op.axes.some((axis) => x.shape[axis] === 0);
  return empty ? `${formatSpec(x)} has no elements to take the greatest of` : inferReduction(op, x);
}

function inferReshape({ shape }: OpOf<"reshape">, [x]: readonly [ValueSpec]): Inference {
  if (!isShape(shape)) return `${formatShape(shape)} is not a shape`;
  if (elementCount(shape) !== elementCount(x.shape)) {
    return `${formatSpec(x)} has ${elementCount(x.shape)} elements, ${formatShape(shape)} has ${elementCount(shape)}`;
  }
  return { shape, dtype: x.dtype };
}

function inferBroadcast({ shape }: OpOf<"broadcast">, [x]: readonly [ValueSpec]): Inference {
  const reached = isShape(shape) ? broadcastShapes(x.shape, shape) : undefined;
  if (!reached || !sameShape(reached, shape)) return `${formatSpec(x)} does not broadcast to ${formatShape(shape)}`;
  return { shape, dtype: x.dtype };
}

function inferTranspose({ perm }: OpOf<"transpose">, [x]: readonly [ValueSpec]): Inference {
  const isPermutation =
    perm.length === x.shape.length && new Set(perm).size === perm.length && perm.every((axis) => isAxis(axis, x));
  if (!isPermutation) return `${formatShape(perm)} does not order the axes of ${formatSpec(x)}`;
  return { shape: perm.map((axis) => x.shape[axis] ?? 1), dtype: x.dtype };
}

function inferSlice({ starts, ends }: OpOf<"slice">, [x]: readonly [ValueSpec]): Inference {
  const fits =
    starts.length === x.shape.length &&
    ends.length === x.shape.length &&
    isShape(starts) &&
    isShape(ends) &&
    x.shape.every((size, axis) => (starts[axis] ?? 0) <= (ends[axis] ?? 0) && (ends[axis] ?? 0) <= size);
  if (!fits) return `from ${formatShape(starts)} to ${formatShape(ends)} is not a part of ${formatSpec(x)}`;
  return { shape: ends.map((end, axis) => end - (starts[axis] ?? 0)), dtype: x.dtype };
}

function inferPad({ before, after }: OpOf<"pad">, [x]: readonly [ValueSpec]): Inference {
  const fits = before.length === x.shape.length && after.length === x.shape.length && isShape(before) && isShape(after);
  if (!fits) return `${formatShape(before)} before and ${formatShape(after)} after do not pad ${formatSpec(x)}`;
  return { shape: x.shape.map((size, axis) => size + (before[axis] ?? 0) + (after[axis] ?? 0)), dtype: x.dtype };
}

function inferConcat({ axis }: OpOf<"concat">, operands: readonly [ValueSpec, ...ValueSpec[]]): Inference {
  const [first] = operands;
  if (!isAxis(axis, first)) return `${formatSpec(first)} has no axis ${axis}`;
  const odd = operands.find(
    (x) => x.dtype !== first.dtype || !sameShape(x.shape.with(axis, 0), first.shape.with(axis, 0)),
  );
  if (odd) return `${formatSpec(odd)} does not continue ${formatSpec(first)} along axis ${axis}`;
  const size = operands.reduce((sum, { shape }) => sum + (shape[axis] ?? 0), 0);
  return { shape: first.shape.with(axis, size), dtype: first.dtype };
}

function inferGather(_op: Op, [table, indices]: readonly [ValueSpec, ValueSpec]): Inference {
  if (indices.dtype !== "int32") return `the indices are ${formatSpec(indices)}, not int32`;
  if (table.shape.length === 0) return "the table is a scalar and has no rows";
  return { shape: [...indices.shape, ...table.shape.slice(1)], dtype: table.dtype };
}

function inferScatterAdd(
  { rows }: OpOf<"scatterAdd">,
  [indices, rowsToAdd]: readonly [ValueSpec, ValueSpec],
): Inference {
  if (indices.dtype !== "int32") return `the indices are ${formatSpec(indices)}, not int32`;
  if (rowsToAdd.dtype === "bool") return `it adds float32 or int32, not ${formatSpec(rowsToAdd)}`;
  if (!isShape([rows])) return `${rows} is not a number of rows`;
  const rank = indices.shape.length;
  if (!sameShape(rowsToAdd.shape.slice(0, rank), indices.shape)) {
    return `${formatSpec(rowsToAdd)} has no row for each index of ${formatSpec(indices)}`;
  }
  return { shape: [rows, ...rowsToAdd.shape.slice(rank)], dtype: rowsToAdd.dtype };
}

function inferMatmul({ transposeA, transposeB }: OpOf<"matmul">, [a, b]: readonly [ValueSpec, ValueSpec]): Inference {
  const operands = `${formatSpec(a)}${transposeA ? " (transposed)" : ""} and ${formatSpec(b)}${transposeB ? " (transposed)" : ""}`;
  const [aRows, aColumns] = matrixSizes(a.shape, transposeA);
  const [bRows, bColumns] = matrixSizes(b.shape, transposeB);
  if (aRows === undefined || aColumns === undefined || bRows === undefined || bColumns === undefined) {
    return `${operands} are not both matrices`;
  }
  if (a.dtype !== "float32" || b.dtype !== "float32") return `${operands} are not both float32`;
  if (aColumns !== bRows) return `${operands} do not multiply: ${aColumns} columns meet ${bRows} rows`;
  const leading = a.shape.slice(0, -2);
  if (!sameShape(leading, b.shape.slice(0, -2))) return `${operands} differ in their leading axes`;
  return { shape: [...leading, aRows, bColumns], dtype: "float32" };
}

/** Rows and columns of the last two axes, after the transposition that is asked for. */
function matrixSizes(shape: readonly number[], transposed: boolean): [number | undefined, number | undefined] {
  const [rows, columns] = [shape.at(-2), shape.at(-1)];
  if (shape.length < 2) return [undefined, undefined];
  return transposed ? [columns, rows] : [rows, columns];
}

function inferArgmax({ axis }: OpOf<"argmax">, [x]: readonly [ValueSpec]): Inference {
  if (x.dtype === "bool") return `it takes float32 or int32, not ${formatSpec(x)}`;
  if (!isAxis(axis, x)) return `${formatSpec(x)} has no axis ${axis}`;
  if (x.shape[axis] === 0) return `${formatSpec(x)} has no elements to take the greatest of`;
  return { shape: reduceShape(x.shape, [axis], false), dtype: "int32" };
}

function inferCumsum({ axis }: OpOf<"cumsum">, [x]: readonly [ValueSpec]): Inference {
  if (x.dtype === "bool") return `it takes float32 or int32, not ${formatSpec(x)}`;
  return isAxis(axis, x) ? x : `${formatSpec(x)} has no axis ${axis}`;
}

function inferIota({ shape, axis }: OpOf<"iota">): Inference {
  if (!isShape(shape)) return `${formatShape(shape)} is not a shape`;
  return isAxis(axis, { shape, dtype: "int32" })
    ? { shape, dtype: "int32" }
    : `${formatShape(shape)} has no axis ${axis}`;
}

function isAxis(axis: number, { shape }: ValueSpec): boolean {
  return Number.isInteger(axis) && axis >= 0 && axis < shape.length;
}
