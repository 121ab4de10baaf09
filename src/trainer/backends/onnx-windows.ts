// The primitives over windows as operators of the standard ONNX domain. ONNX has no gradients of its own: which operators
// compute them fastest was measured on the CPU kernels of ONNX Runtime, with two threads.
// https://onnx.ai/onnx/operators/onnx__Conv.html

import { isDeepStrictEqual } from "node:util";

import { bytesOf, elementCount } from "../../core/tensor.ts";
import type { Op, PlanNode } from "../plan.ts";
import type { OpOf } from "../primitives.ts";
import { leftOver, planeOf, type Window } from "../windows.ts";
import {
  int64s,
  integer,
  integers,
  refuseBatchAxes,
  sharedConstant,
  text,
  vectorOfOnes,
  type Emitter,
  type ModelDraft,
  type Operand,
} from "./onnx-draft.ts";
import { dataTypes, type AttributeProto } from "./onnx-proto.ts";

/** A primitive over windows. */
type WindowOp = Extract<Op, { readonly window: Window }>;

/** Axes of `[height, width, channels, filters]` in the order of ONNX: filters and channels come first. */
const KERNEL_ORDER = [3, 2, 0, 1];

/** Appends the operators of a primitive over windows. */
export function appendWindowNode(
  emit: Emitter,
  draft: ModelDraft,
  node: PlanNode,
  op: WindowOp,
  operands: readonly Operand[],
): void {
  const [first, second = first] = operands;
  if (first === undefined || second === undefined) return;
  switch (op.kind) {
    case "conv2d":
      emit.last(
        "Conv",
        [first.name, emit.step("Transpose", [second.name], [integers("perm", KERNEL_ORDER)])],
        convAttributes(op.window, op.groups),
      );
      return;
    case "conv2dInputGradient":
      appendInputGradient(emit, draft, op, first, second);
      return;
    case "conv2dKernelGradient":
      appendKernelGradient(emit, draft, node, op, first, second);
      return;
    case "maxPool2d":
      appendMaxPool(emit, draft, node, op, first);
      return;
    case "maxPool2dGradient":
      appendMaxPoolGradient(emit, draft, node, op, first, second);
      return;
    case "avgPool2d":
      emit.last("AveragePool", [first.name], [...windowAttributes(op.window), integer("count_include_pad", 1)]);
      return;
    case "avgPool2dGradient":
      appendAvgPoolGradient(emit, draft, op, first);
      return;
  }
}

/**
 * With strides of 1 a convolution of the gradient with the flipped kernel, 21 ms where ConvTranspose took 26 ms, for
 * [64, 64, 32, 32] and 3 x 3 x 32 x 64. With larger strides that would multiply zeros: 39 ms to 9 ms.
 */
function appendInputGradient(
  emit: Emitter,
  draft: ModelDraft,
  op: OpOf<"conv2dInputGradient">,
  gradient: Operand,
  kernel: Operand,
): void {
  const { window, groups, inputSize } = op;
  const reach = [0, 1].map((axis) => ((window.size[axis] ?? 1) - 1) * (window.dilations[axis] ?? 1));
  const before = reach.map((size, axis) => size - (window.before[axis] ?? 0));
  const after = reach.map((size, axis) => size - (window.after[axis] ?? 0));
  if (window.strides.every((stride) => stride === 1) && [...before, ...after].every((count) => count >= 0)) {
    emit.last(
      "Conv",
      [gradient.name, flippedKernel(emit, draft, kernel, groups)],
      [
        integers("kernel_shape", window.size),
        integers("dilations", window.dilations),
        integers("pads", [...before, ...after]),
        integer("group", groups),
      ],
    );
    return;
  }
  emit.last(
    "ConvTranspose",
    [gradient.name, emit.step("Transpose", [kernel.name], [integers("perm", KERNEL_ORDER)])],
    [...convAttributes(window, groups), integers("output_padding", leftOver(inputSize, window))],
  );
}

/** The kernel of the way back: turned by half a circle, with channels and filters of each group exchanged. */
function flippedKernel(emit: Emitter, draft: ModelDraft, kernel: Operand, groups: number): string {
  const [height = 1, width = 1, perGroup = 1, filters = 1] = kernel.node.shape;
  const turned =
    height * width === 1
      ? kernel.name
      : emit.step("Slice", [
          kernel.name,
          int64s(draft, [-1, -1]),
          int64s(draft, [-1 - height, -1 - width]),
          int64s(draft, [0, 1]),
          int64s(draft, [-1, -1]),
        ]);
  if (groups === 1) return emit.step("Transpose", [turned], [integers("perm", [2, 3, 0, 1])]);
  const filtersPerGroup = filters / groups;
  const grouped = int64s(draft, [height, width, perGroup, groups, filtersPerGroup]);
  const exchanged = emit.step(
    "Transpose",
    [emit.step("Reshape", [turned, grouped])],
    [integers("perm", [3, 2, 4, 0, 1])],
  );
  return emit.step("Reshape", [exchanged, int64s(draft, [groups * perGroup, filtersPerGroup, height, width])]);
}

/**
 * The windows as columns `[batch, groups, channels * elements, results]` times the gradient transposed, summed over the batch
 * by a product with ones. For [64, 32, 32, 32] and 3 x 3 x 32 x 64 this took 22 ms, columns cut out by slices 30 ms, gathered
 * with channels last 36 ms, one product an element 30 ms, and a convolution with batch and channels exchanged 60 ms.
 */
function appendKernelGradient(
  emit: Emitter,
  draft: ModelDraft,
  node: PlanNode,
  op: OpOf<"conv2dKernelGradient">,
  x: Operand,
  gradient: Operand,
): void {
  refuseBatchAxes(draft, node, x.node);
  const { window, groups } = op;
  const [batch = 0, channels = 0] = x.node.shape;
  const [, filters = 0] = gradient.node.shape;
  const [perGroup, filtersPerGroup] = [channels / groups, filters / groups];
  const [elements, results] = [elementCount(window.size), elementCount(planeOf(gradient.node.shape))];
  const groupAxis = groups === 1 ? [] : [groups];
  const leading = [batch, ...groupAxis];

  const columns = emit.step("Reshape", [
    windowColumns(emit, draft, window, x),
    int64s(draft, [...leading, perGroup * elements, results]),
  ]);
  const rows = emit.step("Reshape", [gradient.name, int64s(draft, [...leading, filtersPerGroup, results])]);
  const swapped = [...leading.keys(), leading.length + 1, leading.length];
  const perSample = emit.step("MatMul", [columns, emit.step("Transpose", [rows], [integers("perm", swapped)])]);
  const flat = emit.step("Reshape", [perSample, int64s(draft, [batch, elementCount(node.shape)])]);
  const sum = emit.step("MatMul", [vectorOfOnes(draft, batch), flat]);
  const split = emit.step("Reshape", [sum, int64s(draft, [groups, perGroup, elements, filtersPerGroup])]);
  const ordered = emit.step("Transpose", [split], [integers("perm", [2, 1, 0, 3])]);
  emit.last("Reshape", [ordered, int64s(draft, node.shape)]);
}

/** Each element of each window: a convolution in which every channel has one filter an element, which passes that on. */
function windowColumns(emit: Emitter, draft: ModelDraft, window: Window, x: Operand): string {
  const channels = x.node.shape[1] ?? 0;
  const elements = elementCount(window.size);
  const movesNothing =
    elements === 1 &&
    window.strides.every((stride) => stride === 1) &&
    [...window.before, ...window.after].every((count) => count === 0);
  if (movesNothing) return x.name;
  const selectors = sharedConstant(draft, `selectors/${channels}x${window.size.join("x")}`, () => {
    const data = new Float32Array(channels * elements * elements);
    for (let filter = 0; filter < channels * elements; filter++) data[filter * elements + (filter % elements)] = 1;
    return { dims: [channels * elements, 1, ...window.size], dataType: dataTypes.float32, rawData: bytesOf(data) };
  });
  return emit.step("Conv", [x.name, selectors], convAttributes(window, channels));
}

function appendMaxPool(emit: Emitter, draft: ModelDraft, node: PlanNode, op: OpOf<"maxPool2d">, x: Operand): void {
  const hasGradient = draft.plan.nodes.some(
    (other) =>
      other.op.kind === "maxPool2dGradient" &&
      other.inputs[0] === node.inputs[0] &&
      isDeepStrictEqual(other.op.window, op.window),
  );
  const indices = hasGradient ? draft.uniqueName(`${x.name}_indices`) : undefined;
  if (indices !== undefined) draft.sharedNames.set(indicesKey(x, op.window), indices);
  emit.last("MaxPool", [x.name], windowAttributes(op.window), indices); // slower with indices: 4.6 ms to 3.3 ms
}

/**
 * Each gradient put where MaxPool found the greatest element: by MaxUnpool where no two windows overlap, 12 ms where
 * ScatterElements took 17 ms, for [128, 32, 28, 28] and 2 x 2. Comparing each element with the greatest took 57 ms.
 */
function appendMaxPoolGradient(
  emit: Emitter,
  draft: ModelDraft,
  node: PlanNode,
  op: OpOf<"maxPool2dGradient">,
  x: Operand,
  gradient: Operand,
): void {
  refuseBatchAxes(draft, node, x.node);
  const { window } = op;
  let indices = draft.sharedNames.get(indicesKey(x, window));
  if (indices === undefined) {
    indices = draft.uniqueName(`${x.name}_indices`);
    emit.step("MaxPool", [x.name], windowAttributes(window), indices);
  }
  // MaxPool finds nothing greatest in a window of NaN, and gives an index before the plane; MaxUnpool would write there.
  const inside = emit.step("Max", [indices, int64s(draft, [0])]);
  if (window.size.every((size, axis) => size <= (window.strides[axis] ?? 0))) {
    emit.last("MaxUnpool", [gradient.name, inside, int64s(draft, node.shape)], windowAttributes(window));
    return;
  }
  const zeros = emit.step("Expand", [zero(draft), int64s(draft, [elementCount(node.shape)])]);
  const places = emit.step("Reshape", [inside, int64s(draft, [-1])]);
  const values = emit.step("Reshape", [gradient.name, int64s(draft, [-1])]);

  const sums = emit.step("ScatterElements", [zeros, places, values], [integer("axis", 0), text("reduction", "add")]);
  emit.last("Reshape", [sums, int64s(draft, node.shape)]);
}

function indicesKey(x: Operand, window: Window): string {
  return `indices/${x.name}/${JSON.stringify(window)}`;
}

/** A transposed convolution of each channel with a kernel of equal elements. */
function appendAvgPoolGradient(
  emit: Emitter,
  draft: ModelDraft,
  op: OpOf<"avgPool2dGradient">,
  gradient: Operand,
): void {
  const { window, inputSize } = op;
  const channels = gradient.node.shape[1] ?? 0;
  const elements = elementCount(window.size);
  const kernel = sharedConstant(draft, `average/${channels}x${window.size.join("x")}`, () => {
    const data = new Float32Array(channels * elements).fill(1 / elements);
    return { dims: [channels, 1, ...window.size], dataType: dataTypes.float32, rawData: bytesOf(data) };
  });
  emit.last(
    "ConvTranspose",
    [gradient.name, kernel],
    [...convAttributes(window, channels), integers("output_padding", leftOver(inputSize, window))],
  );
}

function zero(draft: ModelDraft): string {
  return sharedConstant(draft, "float32/0", () => {
    return { dims: [1], dataType: dataTypes.float32, rawData: bytesOf(Float32Array.of(0)) };
  });
}

function convAttributes(window: Window, groups: number): AttributeProto[] {
  return [...windowAttributes(window), integers("dilations", window.dilations), integer("group", groups)];
}

function windowAttributes({ size, strides, before, after }: Window): AttributeProto[] {
  return [integers("kernel_shape", size), integers("strides", strides), integers("pads", [...before, ...after])];
}
