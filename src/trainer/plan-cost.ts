// What a plan costs: floating point operations, bytes moved, and the memory that its values take at the same time.

import { bytesPerElement, elementCount } from "../core/tensor.ts";
import type { Explanation } from "./backend.ts";
import { nodeOf } from "./plan-node.ts";
import type { OpKind, Plan, PlanNode } from "./plan.ts";
import { planeOf } from "./windows.ts";

/** What one run of a plan costs. A backend that fuses or copies may take less or more. */
export interface PlanCost {
  /** Floating point operations; a multiplication with an addition counts as two. */
  readonly flops: number;
  /** Bytes read and written, every operand and result once for each node. */
  readonly bytesMoved: number;
  /** The most bytes that values in between take at a time, without feeds, constants and state. */
  readonly peakBytes: number;
  /** Operations of the nodes of each scope, a layer's path. */
  readonly flopsByScope: ReadonlyMap<string, number>;
}

/** Primitives that give another view of their operand, or no value of their own. */
const costlessKinds: ReadonlySet<OpKind> = new Set(["input", "const", "iota", "reshape", "stopGradient"]);

/** Adds up the costs of a plan's nodes, each of which is computed once, in order, and let go after its last use. */
export function costOf(plan: Plan): PlanCost {
  const flopsByScope = new Map<string, number>();
  let [flops, bytesMoved] = [0, 0];
  for (const node of plan.nodes) {
    if (costlessKinds.has(node.op.kind)) continue;
    const operands = node.inputs.map((id) => nodeOf(plan, id));
    const own = flopsOf(node, operands);
    flops += own;
    flopsByScope.set(node.scope, (flopsByScope.get(node.scope) ?? 0) + own);
    bytesMoved += [node, ...operands].reduce((sum, value) => sum + bytesOf(value), 0);
  }
  return { flops, bytesMoved, peakBytes: peakOf(plan), flopsByScope };
}

/** Says of a plan what a program's explanation has of its cost. */
export function explainCost(plan: Plan): Explanation {
  const { flops, bytesMoved, peakBytes } = costOf(plan);
  return { flops, bytesMoved, peakBytes };
}

function flopsOf(node: PlanNode, operands: readonly PlanNode[]): number {
  const { op } = node;
  const [first = node, second = node] = operands;
  switch (op.kind) {
    case "matmul":
      return 2 * elementCount(node.shape) * (first.shape.at(op.transposeA ? -2 : -1) ?? 0);
    case "conv2d":
      return 2 * elementCount(node.shape) * elementCount(second.shape.slice(0, 3));
    case "conv2dInputGradient":
      return 2 * elementCount(first.shape) * elementCount(second.shape.slice(0, 3));
    case "conv2dKernelGradient":
      return 2 * (first.shape[0] ?? 0) * elementCount(planeOf(second.shape)) * elementCount(node.shape);
    case "maxPool2d":
    case "avgPool2d":
      return elementCount(node.shape) * elementCount(op.window.size);
    case "maxPool2dGradient":
      return elementCount(second.shape) * elementCount(op.window.size);
    case "avgPool2dGradient":
      return elementCount(first.shape) * elementCount(op.window.size);
    case "sum":
    case "reduceMax":
    case "argmax":
      return elementCount(first.shape);
    case "scatterAdd":
      return elementCount(second.shape);
    case "input":
    case "const":
    case "iota":
    case "reshape":
    case "stopGradient":
    case "transpose":
    case "broadcast":
    case "slice":
    case "pad":
    case "concat":
    case "gather":
    case "cast":
      return 0; // given, or moved
    case "neg":
    case "exp":
    case "log":
    case "sqrt":
    case "tanh":
    case "erf":
    case "sin":
    case "cos":
    case "floor":
    case "roundTo":
    case "add":
    case "sub":
    case "mul":
    case "div":
    case "max":
    case "compare":
    case "where":
    case "cumsum":
      return elementCount(node.shape);
  }
}

/** Walks through the plan in its order. A value is there from its node to its last use, a result to the end. */
function peakOf(plan: Plan): number {
  const owners = plan.nodes.map((node) => ownerOf(plan, node));
  const results = new Set([...plan.outputs.values(), ...plan.updates.values()].map((id) => owners[id]));
  const lastUse = new Map<number, number>();
  for (const node of plan.nodes) for (const id of node.inputs) lastUse.set(owners[id] ?? id, node.id);
  let [held, peak] = [0, 0];
  for (const node of plan.nodes) {
    if (!costlessKinds.has(node.op.kind)) held += bytesOf(node);
    peak = Math.max(peak, held);
    for (const id of new Set(node.inputs.map((input) => owners[input] ?? input))) {
      const owner = nodeOf(plan, id);
      const isHeld = !costlessKinds.has(owner.op.kind) && !results.has(id);
      if (isHeld && lastUse.get(id) === node.id) held -= bytesOf(owner);
    }
  }
  return peak;
}

/** The node whose memory a value has: its own, or that of what it is a view of. */
function ownerOf(plan: Plan, node: PlanNode): number {
  let owner = node;
  while (owner.op.kind === "reshape" || owner.op.kind === "stopGradient") owner = nodeOf(plan, owner.inputs[0]);
  return owner.id;
}

function bytesOf({ shape, dtype }: PlanNode): number {
  return elementCount(shape) * bytesPerElement(dtype);
}
