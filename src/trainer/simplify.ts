// A plan rewritten so that an engine does less for the same numbers: what copies without change is gone, and a broadcast
// goes where the operator that reads it would broadcast by itself. The reference backend runs plans as they were traced,
// so the parity suite holds this file too.

import type { OpKind, Plan, PlanNode } from "./plan.ts";

/** Primitives whose operands broadcast as numpy does. */
const broadcastingKinds: ReadonlySet<OpKind> = new Set(["add", "sub", "mul", "div", "max", "compare", "where"]);

/** Primitives that change nothing where they keep the shape. */
const shapedOnlyKinds: ReadonlySet<OpKind> = new Set(["stopGradient", "reshape", "broadcast", "slice", "pad"]);

/**
 * Rewrites a plan: no `stopGradient`, no reshape, cast, slice, ... that changes nothing, no reshape of a reshape, no
 * `broadcast` whose users broadcast anyway, no dead nodes. Names, shapes and dtypes of feeds, state, updates and outputs
 * stay.
 */
export function simplifyPlan(plan: Plan): Plan {
  const standsFor: number[] = [];
  const rewritten: PlanNode[] = [];
  for (const node of plan.nodes) {
    const inputs = node.inputs.map((id) => at(standsFor, id));
    const sources = inputs.map((id) => at(rewritten, id));
    rewritten.push({ ...node, inputs: shortenInputs(node, sources, rewritten) });
    const [source] = sources;
    standsFor.push(source !== undefined && changesNothing(node, source) ? source.id : node.id);
  }
  return renumber(plan, rewritten, standsFor);
}

/** Says whether a node's value is its first operand's, in the same shape and dtype. */
function changesNothing({ op, shape, dtype }: PlanNode, source: PlanNode): boolean {
  if (!sameShape(shape, source.shape)) return false;
  if (op.kind === "cast") return dtype === source.dtype;
  if (op.kind === "transpose") return op.perm.every((axis, place) => axis === place);
  if (op.kind === "sum" || op.kind === "reduceMax") return op.axes.length === 0;
  return shapedOnlyKinds.has(op.kind);
}

function shortenInputs(node: PlanNode, sources: readonly PlanNode[], nodes: readonly PlanNode[]): number[] {
  if (broadcastingKinds.has(node.op.kind)) return absorbBroadcasts(node, sources, nodes);
  const [source] = sources;
  if (node.op.kind === "reshape" && source?.op.kind === "reshape") return [at(source.inputs, 0)];
  return sources.map(({ id }) => id);
}

/** Reads past broadcasts while the operands left still broadcast to the node's shape. */
function absorbBroadcasts(node: PlanNode, sources: readonly PlanNode[], nodes: readonly PlanNode[]): number[] {
  const operands = [...sources];
  for (const [place, operand] of sources.entries()) {
    if (operand.op.kind !== "broadcast") continue;
    const candidate = operands.with(place, at(nodes, at(operand.inputs, 0)));
    if (sameShape(broadcastShape(candidate.map(({ shape }) => shape)), node.shape))
      operands.splice(0, operands.length, ...candidate);
  }
  return operands.map(({ id }) => id);
}

/** The shape that compatible shapes broadcast to. */
function broadcastShape(shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - (rank - shape.length)] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** Drops what no result needs (an input stays: its name is part of the plan) and numbers the rest from 0. */
function renumber(plan: Plan, rewritten: readonly PlanNode[], standsFor: readonly number[]): Plan {
  const results = [...plan.updates.values(), ...plan.outputs.values()].map((id) => at(standsFor, id));
  const live = new Set([...results, ...plan.feeds.values(), ...plan.state.values()]);
  for (const node of rewritten.toReversed()) {
    if (live.has(node.id)) for (const id of node.inputs) live.add(id);
  }
  const newIds = new Map<number, number>();
  const nodes: PlanNode[] = [];
  for (const node of rewritten) {
    if (!live.has(node.id)) continue;
    newIds.set(node.id, nodes.length);
    nodes.push({ ...node, id: nodes.length, inputs: node.inputs.map((id) => newIds.get(id) ?? -1) });
  }
  function renamed(names: ReadonlyMap<string, number>): Map<string, number> {
    return new Map(Array.from(names, ([name, id]) => [name, newIds.get(at(standsFor, id)) ?? -1]));
  }
  return {
    name: plan.name,
    nodes,
    feeds: renamed(plan.feeds),
    state: renamed(plan.state),
    updates: renamed(plan.updates),
    outputs: renamed(plan.outputs),
  };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Reads an element of a plan whose ids are known to be dense and in order. */
function at<T>(items: readonly T[], place: number): T {
  const item = items[place];
  if (item === undefined) throw new RangeError(`Cannot read plan: no node ${place}`);
  return item;
}
