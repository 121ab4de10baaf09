// Each primitive as operators of the standard ONNX domain (https://onnx.ai/onnx/operators/, opset 20).

import { bytesOf, elementCount } from "../../core/tensor.ts";
import type { OpKind, PlanNode, Relation } from "../plan.ts";
import { dependsOnBatch } from "./onnx-batch.ts";
import {
  constant,
  emitterFor,
  int64s,
  integer,
  integers,
  refuseBatchAxes,
  sharedConstant,
  tensorAttribute,
  text,
  vectorOfOnes,
  type Emitter,
  type ModelDraft,
  type Operand,
} from "./onnx-draft.ts";
import { dataTypes } from "./onnx-proto.ts";
import { appendWindowNode } from "./onnx-windows.ts";

/**
 * From this many elements on a sum over the leading axes is a product with a vector of ones: the matrix kernel reads the
 * rows in order and took 5 us where ReduceSum took 26 us, for [128, 128].
 */
const COLUMN_SUM_BY_PRODUCT = 4096;

const elementwiseOperators: Partial<Record<OpKind, string>> = {
  neg: "Neg",
  exp: "Exp",
  log: "Log",
  sqrt: "Sqrt",
  tanh: "Tanh",
  erf: "Erf",
  sin: "Sin",
  cos: "Cos",
  floor: "Floor",
  add: "Add",
  sub: "Sub",
  mul: "Mul",
  div: "Div",
  max: "Max",
};

const relationOperators: Record<Relation, string> = {
  equal: "Equal",
  greater: "Greater",
  greaterEqual: "GreaterOrEqual",
};

/**
 * Appends the operators that compute one node, the last of which makes the value `result`.
 *
 * Inputs of the plan are not computed: they are not for this function.
 */
export function appendNode(draft: ModelDraft, node: PlanNode, operands: readonly Operand[], result: string): void {
  const { op } = node;
  const names = operands.map(({ name }) => name);
  const [first = ""] = names;
  const emit = emitterFor(draft, node.scope, result);
  switch (op.kind) {
    case "input":
      throw new RangeError(`Cannot compute input ${op.name}`);
    case "const":
      draft.constants.set(result, constant(result, op.value));
      return;
    case "iota":
      appendIota(emit, draft, node, op.axis);
      return;
    case "neg":
    case "exp":
    case "log":
    case "sqrt":
    case "tanh":
    case "erf":
    case "sin":
    case "cos":
    case "floor":
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "max":
      emit.last(elementwiseOperators[op.kind] ?? "", names);
      return;
    case "compare":
      appendComparison(emit, op.relation, operands);
      return;
    case "where":
      appendChoice(emit, node, names);
      return;
    case "sum":
    case "reduceMax":
      appendReduction(emit, draft, node, operands);
      return;
    case "stopGradient":
      emit.last("Identity", names);
      return;
    case "reshape":
      emit.last("Reshape", [first, int64s(draft, reshapeSizes(draft, node))], [integer("allowzero", 1)]);
      return;
    case "broadcast":
      emit.last("Expand", [first, int64s(draft, expandSizes(draft, node, operands))]);
      return;
    case "transpose":
      emit.last("Transpose", names, [integers("perm", op.perm)]);
      return;
    case "slice":
      emit.last("Slice", [first, int64s(draft, op.starts), int64s(draft, sliceEnds(draft, op.ends, operands))]);
      return;
    case "pad":
      emit.last("Pad", [first, int64s(draft, [...op.before, ...op.after])]);
      return;
    case "concat":
      emit.last("Concat", names, [integer("axis", op.axis)]);
      return;
    case "gather":
      appendGather(emit, draft, node, operands);
      return;
    case "scatterAdd":
      appendScatter(emit, draft, node, operands);
      return;
    case "matmul":
      appendProduct(emit, operands, op.transposeA, op.transposeB);
      return;
    case "cast":
      emit.last("Cast", names, [integer("to", dataTypes[op.dtype])]);
      return;
    case "roundTo":
      // ONNX Runtime rounds in both casts' stead to nearest, ties to even, and does not take them for nothing.
      emit.last(
        "Cast",
        [emit.step("Cast", names, [integer("to", dataTypes[op.format])])],
        [integer("to", dataTypes.float32)],
      );
      return;
    case "argmax":
      // ArgMax counts in int64.
      emit.last(
        "Cast",
        [emit.step("ArgMax", names, [integer("axis", op.axis), integer("keepdims", 0)])],
        [integer("to", dataTypes.int32)],
      );
      return;
    case "cumsum":
      emit.last(
        "CumSum",
        [first, int64s(draft, [op.axis])],
        [integer("exclusive", op.exclusive ? 1 : 0), integer("reverse", op.reverse ? 1 : 0)],
      );
      return;
    case "conv2d":
    case "conv2dInputGradient":
    case "conv2dKernelGradient":
    case "maxPool2d":
    case "maxPool2dGradient":
    case "avgPool2d":
    case "avgPool2dGradient":
      appendWindowNode(emit, draft, node, op, operands);
      return;
  }
}

/** Sizes for Reshape, which finds one by itself, the batch. */
function reshapeSizes(draft: ModelDraft, node: PlanNode): readonly number[] {
  const batchAxes = draft.batchAxes(node);
  if (batchAxes.size === 0) return node.shape;
  if (batchAxes.size > 1 || node.shape.includes(0)) {
    throw dependsOnBatch(draft.plan, node, "only one size of a new shape can be found at the run");
  }
  return node.shape.map((size, axis) => (batchAxes.has(axis) ? -1 : size));
}

/** Sizes for Expand, which keeps the operand's own where 1 is asked for: the batch. */
function expandSizes(draft: ModelDraft, node: PlanNode, [source]: readonly Operand[]): readonly number[] {
  const batchAxes = draft.batchAxes(node);
  const added = node.shape.length - (source?.node.shape.length ?? 0);
  const held = source === undefined ? undefined : draft.batchAxes(source.node);
  return node.shape.map((size, axis) => {
    if (!batchAxes.has(axis)) return size;
    if (held?.has(axis - added)) return 1;
    throw dependsOnBatch(draft.plan, node, "it repeats a value for each sample of the batch");
  });
}

/** Ends for Slice; those along the batch that are not its first samples' are beyond any end. */
function sliceEnds(draft: ModelDraft, ends: readonly number[], [source]: readonly Operand[]): readonly number[] {
  if (source === undefined) return ends;
  const batchAxes = draft.batchAxes(source.node);
  return ends.map((end, axis) => (batchAxes.has(axis) && end > 1 ? Number.MAX_SAFE_INTEGER : end));
}

function appendIota(emit: Emitter, draft: ModelDraft, node: PlanNode, axis: number): void {
  refuseBatchAxes(draft, node);
  const { shape } = node;
  const size = shape[axis] ?? 0;
  const countingShape = shape.map((_, place) => (place === axis ? size : 1));
  const data = Int32Array.from({ length: size }, (_, count) => count);
  const name = draft.uniqueName("iota");
  draft.constants.set(name, constant(name, { dtype: "int32", shape: countingShape, data }));
  emit.last("Expand", [name, int64s(draft, shape)]);
}

function appendComparison(emit: Emitter, relation: Relation, operands: readonly Operand[]): void {
  // Greater is not defined over bool.
  const comparable = operands.map(({ name, node }) =>
    node.dtype === "bool" && relation !== "equal" ? emit.step("Cast", [name], [integer("to", dataTypes.int32)]) : name,
  );
  emit.last(relationOperators[relation], comparable);
}

function appendChoice(emit: Emitter, node: PlanNode, [condition = "", ...values]: readonly string[]): void {
  if (node.dtype !== "bool") {
    emit.last("Where", [condition, ...values]);
    return;
  }
  // ONNX Runtime has no Where over bool.
  const numbers = values.map((value) => emit.step("Cast", [value], [integer("to", dataTypes.int32)]));
  emit.last("Cast", [emit.step("Where", [condition, ...numbers])], [integer("to", dataTypes.bool)]);
}

function appendReduction(emit: Emitter, draft: ModelDraft, node: PlanNode, operands: readonly Operand[]): void {
  const { op } = node;
  const [source] = operands;
  if (source === undefined || (op.kind !== "sum" && op.kind !== "reduceMax")) return;
  if (op.axes.length === 0) {
    emit.last("Identity", [source.name]); // no axes would mean all axes to ONNX
    return;
  }
  const ofAnyBatch = draft.batchAxes(source.node).size > 0;
  if (op.kind === "sum" && node.dtype === "float32" && !ofAnyBatch && isColumnSum(op.axes, node, source.node)) {
    appendColumnSum(emit, draft, node, source);
    return;
  }
  const operator = op.kind === "sum" ? "ReduceSum" : "ReduceMax";
  emit.last(operator, [source.name, int64s(draft, op.axes)], [integer("keepdims", op.keepDims ? 1 : 0)]);
}

function isColumnSum(axes: readonly number[], node: PlanNode, source: PlanNode): boolean {
  const leading = axes.every((axis, place) => axis === place);
  return leading && elementCount(node.shape) > 1 && elementCount(source.shape) >= COLUMN_SUM_BY_PRODUCT;
}

/** A vector of ones times the matrix of rows to add. */
function appendColumnSum(emit: Emitter, draft: ModelDraft, node: PlanNode, source: Operand): void {
  const columns = elementCount(node.shape);
  const rows = elementCount(source.node.shape) / columns;
  const isMatrix = source.node.shape.length === 2;
  const matrix = isMatrix ? source.name : emit.step("Reshape", [source.name, int64s(draft, [rows, columns])]);
  if (node.shape.length === 1) {
    emit.last("MatMul", [vectorOfOnes(draft, rows), matrix]);
    return;
  }
  emit.last("Reshape", [emit.step("MatMul", [vectorOfOnes(draft, rows), matrix]), int64s(draft, node.shape)]);
}

function appendGather(emit: Emitter, draft: ModelDraft, node: PlanNode, [table, indices]: readonly Operand[]): void {
  if (table === undefined || indices === undefined) return;
  if (draft.batchAxes(table.node).has(0)) throw dependsOnBatch(draft.plan, node, "its table is the batch");
  const places = refuseNegative(emit, draft, indices, table.node.shape[0] ?? 0);
  emit.last("Gather", [table.name, places], [integer("axis", 0)]);
}

/** To ONNX an index below 0 counts from the end. Here it becomes one beyond the end, which is refused. */
function refuseNegative(emit: Emitter, draft: ModelDraft, indices: Operand, rows: number): string {
  const negative = emit.step("Less", [indices.name, int32Scalar(draft, 0)]);
  return emit.step("Where", [negative, int32Scalar(draft, rows), indices.name]);
}

/**
 * Rows added where ScatterElements adds elements. ScatterND adds whole rows, but ONNX Runtime does so on several threads
 * without a lock, and loses additions to rows that are named twice.
 */
function appendScatter(emit: Emitter, draft: ModelDraft, node: PlanNode, operands: readonly Operand[]): void {
  const [indices, updates] = operands;
  const rows = node.shape[0] ?? 0;
  if (indices === undefined || updates === undefined) return;
  for (const sized of [indices.node, updates.node, node]) refuseBatchAxes(draft, node, sized);
  const count = elementCount(indices.node.shape);
  const width = elementCount(node.shape.slice(1));
  const wide = int64s(draft, [count, width]);
  const checked = refuseNegative(emit, draft, indices, rows);
  const data = node.dtype === "int32" ? Int32Array.of(0) : Float32Array.of(0);
  const zero = constant("", { dtype: node.dtype, shape: [1], data });
  const target = emit.step("ConstantOfShape", [int64s(draft, [rows, width])], [tensorAttribute("value", zero)]);
  const places = emit.step("Expand", [emit.step("Reshape", [checked, int64s(draft, [count, 1])]), wide]);
  const matrix = emit.step("Reshape", [updates.name, wide]);
  const attributes = [integer("axis", 0), text("reduction", "add")];
  const sums = emit.step("ScatterElements", [target, places, matrix], attributes);
  emit.last("Reshape", [sums, int64s(draft, node.shape)]);
}

function appendProduct(emit: Emitter, operands: readonly Operand[], transposeA: boolean, transposeB: boolean): void {
  const [a, b] = operands;
  if (a === undefined || b === undefined) return;
  if (a.node.shape.length === 2 && (transposeA || transposeB)) {
    emit.last("Gemm", [a.name, b.name], [integer("transA", transposeA ? 1 : 0), integer("transB", transposeB ? 1 : 0)]);
    return;
  }
  const left = transposeA
    ? emit.step("Transpose", [a.name], [integers("perm", swappedAxes(a.node.shape.length))])
    : a.name;
  const right = transposeB
    ? emit.step("Transpose", [b.name], [integers("perm", swappedAxes(b.node.shape.length))])
    : b.name;
  emit.last("MatMul", [left, right]);
}

/** The permutation that swaps the last two axes. */
function swappedAxes(rank: number): number[] {
  const axes = Array.from({ length: rank - 2 }, (_, axis) => axis);
  return [...axes, rank - 1, rank - 2];
}

function int32Scalar(draft: ModelDraft, value: number): string {
  return sharedConstant(draft, `int32/${value}`, () => {
    return { dims: [], dataType: dataTypes.int32, rawData: bytesOf(Int32Array.of(value)) };
  });
}
