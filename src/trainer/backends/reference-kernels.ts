// Each primitive in plain TypeScript: the shortest way to the right number, for other backends to be held to.
//
// Values are stored in their dtype. Within one primitive everything is computed in float64 and rounded once: sums and products
// of matrices add up in float64, so their order does not show. int32 wraps around.

import { KdataError } from "../../core/errors.ts";
import { decodeHalf, encodeHalf } from "../../core/half-float.ts";
import { elementCount, tensor, zeros } from "../../core/tensor.ts";
import type { HostTensor } from "../backend.ts";
import type { OpKind, PlanNode, Relation } from "../plan.ts";
import { reduceShape } from "../shapes.ts";
import type { OpOf, Operands, ValueSpec } from "../primitives.ts";
import { erf } from "./reference-erf.ts";
import {
  conv2d,
  conv2dInputGradient,
  conv2dKernelGradient,
  maxPool2d,
  maxPool2dGradient,
  avgPool2d,
  avgPool2dGradient,
} from "./reference-windows.ts";

/** The primitives that are computed; inputs are given and constants known. */
type ComputedKind = Exclude<OpKind, "input" | "const">;

type Kernel<K extends OpKind> = (op: OpOf<K>, operands: Operands<K, HostTensor>, result: ValueSpec) => HostTensor;

const kernels: { readonly [K in ComputedKind]: Kernel<K> } = {
  neg: (_, operands, result) => elementwise(operands, result, (x) => -x),
  exp: (_, operands, result) => elementwise(operands, result, Math.exp),
  log: (_, operands, result) => elementwise(operands, result, Math.log),
  sqrt: (_, operands, result) => elementwise(operands, result, Math.sqrt),
  tanh: (_, operands, result) => elementwise(operands, result, Math.tanh),
  erf: (_, operands, result) => elementwise(operands, result, erf),
  sin: (_, operands, result) => elementwise(operands, result, Math.sin),
  cos: (_, operands, result) => elementwise(operands, result, Math.cos),
  floor: (_, operands, result) => elementwise(operands, result, Math.floor),
  add: (_, operands, result) => elementwise(operands, result, (a, b) => a + b),
  sub: (_, operands, result) => elementwise(operands, result, (a, b) => a - b),
  mul: (_, operands, result) => elementwise(operands, result, result.dtype === "int32" ? Math.imul : (a, b) => a * b),
  div: (_, operands, result) => elementwise(operands, result, (a, b) => a / b),
  max: (_, operands, result) => elementwise(operands, result, (a, b) => Math.max(a, b)),
  compare: ({ relation }, operands, result) => elementwise(operands, result, relations[relation]),
  where: (_, operands, result) => elementwise(operands, result, (condition, a, b) => (condition ? a : b)),
  stopGradient: (_, [x]) => x,
  sum: ({ axes }, [x], result) => reduce(x, axes, result, { start: 0, combine: (a, b) => a + b }),
  reduceMax: ({ axes }, [x], result) =>
    reduce(x, axes, result, { start: -Infinity, combine: (a, b) => Math.max(a, b) }),
  reshape: (_, [x], { shape }) => ({ ...x, shape }),
  broadcast: (_, [x], result) => readAt(x, result, offsets(result.shape, broadcastStrides(x.shape, result.shape))),
  transpose: ({ perm }, [x], result) => {
    const strides = stridesOf(x.shape);
    return readAt(
      x,
      result,
      offsets(
        result.shape,
        perm.map((axis) => at(strides, axis)),
      ),
    );
  },
  slice: ({ starts }, [x], result) => readAt(x, result, offsets(result.shape, stridesOf(x.shape), starts)),
  pad: ({ before }, [x], result) => {
    const padded = zeros(result.dtype, result.shape);
    writeAt(padded, offsets(x.shape, stridesOf(result.shape), before), x);
    return padded;
  },
  concat,
  gather,
  scatterAdd,
  matmul,
  cast: (_, operands, result) =>
    elementwise(operands, result, result.dtype === "bool" ? (x) => Number(x !== 0) : (x) => x),
  roundTo: ({ format }, operands, result) =>
    elementwise(operands, result, (x) => decodeHalf(format, encodeHalf(format, x))),
  argmax,
  iota: ({ axis }, _, result) => {
    const onlyAxis = result.shape.map(() => 0).with(axis, 1);
    return tensor(result.dtype, result.shape, offsets(result.shape, onlyAxis));
  },
  cumsum,
  conv2d,
  conv2dInputGradient,
  conv2dKernelGradient,
  maxPool2d,
  maxPool2dGradient,
  avgPool2d,
  avgPool2dGradient,
};

const relations: Record<Relation, (a: number, b: number) => number> = {
  equal: (a, b) => Number(a === b),
  greater: (a, b) => Number(a > b),
  greaterEqual: (a, b) => Number(a >= b),
};

/**
 * Computes one node of a plan. The result may share the memory of an operand.
 *
 * @throws {KdataError} `shape` when an index points outside its table.
 */
export function compute(node: PlanNode, operands: readonly HostTensor[]): HostTensor {
  const { op } = node;
  if (op.kind === "const") return op.value;
  if (op.kind === "input") throw new RangeError(`Cannot compute input '${op.name}': it is given`);
  // One entry of the table fits its own kind alone, which the compiler cannot follow through the look-up.
  const kernel = kernels[op.kind] as unknown as (
    op: PlanNode["op"],
    operands: readonly HostTensor[],
    result: ValueSpec,
  ) => HostTensor;
  return kernel(op, operands, node);
}

/** Applies a function of as many numbers as there are operands, which broadcast to the result. */
function elementwise(
  operands: readonly HostTensor[],
  result: ValueSpec,
  apply: (a: number, b: number, c: number) => number,
): HostTensor {
  const { dtype, shape } = result;
  const [a, b = a, c = a] = operands.map((operand) => ({
    data: operand.data,
    places: offsets(shape, broadcastStrides(operand.shape, shape)),
  }));
  const values = zeros(dtype, shape);
  if (!a || !b || !c) return values;
  for (let i = 0; i < values.data.length; i++) {
    values.data[i] = apply(a.data[a.places[i] ?? 0] ?? 0, b.data[b.places[i] ?? 0] ?? 0, c.data[c.places[i] ?? 0] ?? 0);
  }
  return values;
}

/** Combines the elements along axes in float64, in row-major order. */
function reduce(
  x: HostTensor,
  axes: readonly number[],
  { dtype, shape }: ValueSpec,
  { start, combine }: { readonly start: number; readonly combine: (a: number, b: number) => number },
): HostTensor {
  const sums = new Float64Array(elementCount(shape)).fill(start);
  const places = offsets(x.shape, reducedStrides(x.shape, axes));
  for (const [i, place] of places.entries()) sums[place] = combine(sums[place] ?? start, x.data[i] ?? 0);
  return { dtype, shape, data: dtype === "int32" ? Int32Array.from(sums, (sum) => sum | 0) : Float32Array.from(sums) };
}

function cumsum(
  { axis, exclusive, reverse }: OpOf<"cumsum">,
  [x]: Operands<"cumsum", HostTensor>,
  { dtype, shape }: ValueSpec,
): HostTensor {
  const sums = zeros(dtype, shape);
  const [size, step] = [at(shape, axis), at(stridesOf(shape), axis)];
  for (const start of offsets(shape.with(axis, 1), stridesOf(shape))) {
    let sum = 0;
    for (let i = 0; i < size; i++) {
      const place = start + (reverse ? size - 1 - i : i) * step;
      const next = sum + (x.data[place] ?? 0);
      sums.data[place] = exclusive ? sum : next;
      sum = next;
    }
  }
  return sums;
}

function argmax({ axis }: OpOf<"argmax">, [x]: Operands<"argmax", HostTensor>, { shape }: ValueSpec): HostTensor {
  const best = new Float64Array(elementCount(shape)).fill(-Infinity);
  const indices = new Int32Array(best.length);
  const places = offsets(x.shape, reducedStrides(x.shape, [axis]));
  const along = offsets(x.shape, x.shape.map(() => 0).with(axis, 1));
  for (const [i, place] of places.entries()) {
    const value = x.data[i] ?? 0;
    if (!(value > (best[place] ?? 0))) continue;
    best[place] = value;
    indices[place] = along[i] ?? 0;
  }
  return { dtype: "int32", shape, data: indices };
}

function concat({ axis }: OpOf<"concat">, operands: readonly HostTensor[], result: ValueSpec): HostTensor {
  const joined = zeros(result.dtype, result.shape);
  const starts = result.shape.map(() => 0);
  for (const operand of operands) {
    writeAt(joined, offsets(operand.shape, stridesOf(result.shape), starts), operand);
    starts[axis] = at(starts, axis) + at(operand.shape, axis);
  }
  return joined;
}

function gather(_op: OpOf<"gather">, [table, indices]: Operands<"gather", HostTensor>, result: ValueSpec): HostTensor {
  const rowLength = elementCount(table.shape.slice(1));
  const rows = zeros(result.dtype, result.shape);
  for (const [i, index] of indices.data.entries()) {
    const row = checkRow("gather", index, at(table.shape, 0));
    rows.data.set(table.data.subarray(row * rowLength, (row + 1) * rowLength), i * rowLength);
  }
  return rows;
}

function scatterAdd(
  { rows }: OpOf<"scatterAdd">,
  [indices, values]: Operands<"scatterAdd", HostTensor>,
  { dtype, shape }: ValueSpec,
): HostTensor {
  const sums = new Float64Array(elementCount(shape));
  const rowLength = elementCount(shape.slice(1));
  for (const [i, index] of indices.data.entries()) {
    const start = checkRow("scatterAdd", index, rows) * rowLength;
    for (let j = 0; j < rowLength; j++) {
      sums[start + j] = (sums[start + j] ?? 0) + (values.data[i * rowLength + j] ?? 0);
    }
  }
  return { dtype, shape, data: dtype === "int32" ? Int32Array.from(sums, (sum) => sum | 0) : Float32Array.from(sums) };
}

function checkRow(kind: "gather" | "scatterAdd", row: number, rows: number): number {
  if (row >= 0 && row < rows) return row;
  throw new KdataError("shape", `Cannot compute ${kind}: index ${row} is outside the ${rows} rows`);
}

function matmul(
  { transposeA, transposeB }: OpOf<"matmul">,
  [a, b]: Operands<"matmul", HostTensor>,
  { shape }: ValueSpec,
): HostTensor {
  const [rows, columns] = [at(shape, shape.length - 2), at(shape, shape.length - 1)];
  const inner = at(a.shape, a.shape.length - (transposeA ? 2 : 1));
  const [aRow, aInner] = transposeA ? [1, rows] : [inner, 1];
  const [bInner, bColumn] = transposeB ? [1, inner] : [columns, 1];
  const [aData, bData] = [Float64Array.from(a.data), Float64Array.from(b.data)];
  const data = new Float32Array(elementCount(shape));
  const sums = new Float64Array(columns);
  for (let row = 0; row < elementCount(shape.slice(0, -1)); row++) {
    const matrix = Math.floor(row / rows);
    sums.fill(0);
    for (let k = 0; k < inner; k++) {
      const factor = aData[matrix * rows * inner + (row % rows) * aRow + k * aInner] ?? 0;
      const start = matrix * inner * columns + k * bInner;
      for (let column = 0; column < columns; column++) {
        sums[column] = (sums[column] ?? 0) + factor * (bData[start + column * bColumn] ?? 0);
      }
    }
    data.set(sums, row * columns);
  }
  return { dtype: "float32", shape, data };
}

function readAt(source: HostTensor, { dtype, shape }: ValueSpec, places: Int32Array): HostTensor {
  const result = zeros(dtype, shape);
  for (const [i, place] of places.entries()) result.data[i] = source.data[place] ?? 0;
  return result;
}

function writeAt(target: HostTensor, places: Int32Array, source: HostTensor): void {
  for (const [i, place] of places.entries()) target.data[place] = source.data[i] ?? 0;
}

/** Lists where each element of a shape lies, in row-major order, when one step along axis `i` moves by `strides[i]`. */
function offsets(shape: readonly number[], strides: readonly number[], starts: readonly number[] = []): Int32Array {
  let start = 0;
  for (const [axis, index] of starts.entries()) start += index * at(strides, axis);
  let places = Int32Array.of(start);
  for (const [axis, size] of shape.entries()) {
    const stride = at(strides, axis);
    const finer = new Int32Array(places.length * size);
    let count = 0;
    for (const place of places) for (let index = 0; index < size; index++) finer[count++] = place + index * stride;
    places = finer;
  }
  return places;
}

function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
}

/** Strides that read a shape as if it were broadcast to another: an axis that is repeated does not move. */
function broadcastStrides(shape: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(shape);
  const missing = to.length - shape.length;
  return to.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : at(strides, axis - missing)));
}

/** Strides that lead each element of a shape to its place among the results of a reduction. */
function reducedStrides(shape: readonly number[], axes: readonly number[]): number[] {
  const strides = stridesOf(reduceShape(shape, axes, true));
  return strides.map((stride, axis) => (axes.includes(axis) ? 0 : stride));
}

/** Reads a size or a stride that shape inference has shown to be there. */
function at(sizes: readonly number[], axis: number): number {
  const size = sizes[axis];
  if (size === undefined) throw new RangeError(`Cannot compute: ${sizes.length} axes have no axis ${axis}`);
  return size;
}
