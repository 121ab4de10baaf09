// The end of a training step apart from its model: what an optimizer computes element by element, from a gradient and the state, to the
// new state. ONNX Runtime has no operator for it and fuses none, so each of its dozen operators would read and write whole tensors, and
// the new state would be copied out of the engine. Here it is one loop over each parameter, in place (onnx-update-kernel.ts).

import { elementCount } from "../../core/tensor.ts";
import type { Plan, PlanNode } from "../plan.ts";
import { nodeOf } from "../plan-node.ts";
import { sameShape } from "../primitives.ts";
import { simplifyPlan } from "../simplify.ts";

/** Their results are the same to the bit everywhere, because IEEE 754 defines them. */
const loopKinds = ["add", "sub", "mul", "div", "neg", "sqrt"] as const;

/** What a loop can compute. */
export type LoopKind = (typeof loopKinds)[number];

/** Tensors below this many elements are not worth a loop of their own, and scalars are not arrays. */
const LEAST_ELEMENTS = 2;

/** A value in a loop: the n-th tensor, scalar or result of a step. */
export type LoopValue = readonly [from: "tensor" | "scalar" | "step", place: number];

/** What is computed for each element, in order. */
export interface LoopStep {
  readonly kind: LoopKind;
  readonly operands: readonly LoopValue[];
}

/** One loop over tensors of one size. */
export interface UpdateLoop {
  readonly elements: number;
  /** What it reads: a state tensor by name, or an output of the model. */
  readonly tensors: readonly ({ readonly state: string } | { readonly output: string })[];
  /** Outputs of the model with one element each, or numbers that are known. */
  readonly scalars: readonly (number | { readonly output: string })[];
  readonly steps: readonly LoopStep[];
  /** State tensors that a step's result replaces. */
  readonly results: ReadonlyMap<string, number>;
}

/** A plan in two parts: `plan` runs first and gives what the loops read. */
export interface SplitPlan {
  readonly plan: Plan;
  readonly loops: readonly UpdateLoop[];
}

/** Splits the element by element end off a plan. Without such an end the plan stays whole and there are no loops. */
export function splitUpdates(traced: Plan): SplitPlan {
  if (traced.updates.size === 0) return { plan: traced, loops: [] };
  const plan = simplifyPlan(traced);
  const groups = groupsOf(plan, endOf(plan)).filter((group) => isInPlace(plan, group));
  if (groups.length === 0) return { plan: traced, loops: [] };
  const outputs = new Map(plan.outputs);
  const loops = groups.map((group) => loopOf(plan, group, outputs));
  const taken = new Set(groups.flatMap(({ nodes }) => nodes.map(({ id }) => id)));
  const updates = new Map([...plan.updates].filter(([, id]) => !taken.has(id)));
  const needed = new Set([...outputs.values(), ...updates.values()]);
  for (const node of plan.nodes) if (!taken.has(node.id)) for (const id of node.inputs) needed.add(id);
  const state = new Map([...plan.state].filter(([, id]) => needed.has(id)));
  return { plan: { ...plan, outputs, updates, state }, loops };
}

/** Steps and tensors that belong together because they read the same. */
interface Group {
  readonly nodes: readonly PlanNode[];
  /** Whole tensors that it reads and does not compute. */
  readonly leaves: readonly number[];
}

/** The nodes that only updates need, computed element by element of one shape. */
function endOf(plan: Plan): Set<number> {
  const handedOut = new Set(plan.outputs.values());
  const candidates = plan.nodes.filter((node) => !handedOut.has(node.id) && isLoopStep(plan, node));
  const end = closed(plan, new Set(candidates.map(({ id }) => id)));
  return closed(plan, withoutSums(plan, end)); // what a node that was left out needs is left out with it
}

/** Of some nodes those that updates and such nodes alone need, in their own shape. */
function closed(plan: Plan, nodes: ReadonlySet<number>): Set<number> {
  const updated = new Set(plan.updates.values());
  const end = new Set<number>();
  const users = new Map<number, PlanNode[]>();
  for (const node of plan.nodes) for (const id of node.inputs) users.set(id, [...(users.get(id) ?? []), node]);
  for (const node of plan.nodes.toReversed()) {
    const used = users.get(node.id) ?? [];
    const isForUpdates = used.every((user) => end.has(user.id) && sameShape(user.shape, node.shape));
    if (nodes.has(node.id) && isForUpdates && (used.length > 0 || updated.has(node.id))) end.add(node.id);
  }
  return end;
}

function isLoopStep(plan: Plan, { op, dtype, shape, inputs }: PlanNode): boolean {
  if (dtype !== "float32" || loopKindOf(op.kind) === undefined || elementCount(shape) < LEAST_ELEMENTS) return false;
  return inputs.every((id) => isScalar(nodeOf(plan, id)) || sameShape(nodeOf(plan, id).shape, shape));
}

function loopKindOf(kind: string): LoopKind | undefined {
  return loopKinds.find((known) => known === kind);
}

function isScalar({ shape }: PlanNode): boolean {
  return elementCount(shape) === 1;
}

/** Leaves what joins several tensors that are no state, such as two parts of a gradient: one tensor to hand over is less than two. */
function withoutSums(plan: Plan, end: ReadonlySet<number>): Set<number> {
  const states = new Set(plan.state.values());
  const kept = new Set<number>();
  const computed = new Map<number, ReadonlySet<number>>(); // of a kept node without state: the tensors under it
  for (const node of plan.nodes) {
    if (!end.has(node.id)) continue;
    const under = new Set<number>();
    let readsState = false;
    for (const id of node.inputs) {
      if (isScalar(nodeOf(plan, id))) continue;
      const parts = computed.get(id);
      if (states.has(id) || (kept.has(id) && parts === undefined)) readsState = true;
      else for (const part of parts ?? [id]) under.add(part);
    }
    if (!readsState && under.size > 1) continue;
    kept.add(node.id);
    if (!readsState) computed.set(node.id, under);
  }
  return kept;
}

/** Puts nodes that share a tensor or a step together. */
function groupsOf(plan: Plan, end: ReadonlySet<number>): Group[] {
  const leader = new Map<number, number>();
  function find(id: number): number {
    const above = leader.get(id) ?? id;
    return above === id ? id : find(above);
  }
  const nodes = plan.nodes.filter(({ id }) => end.has(id));
  for (const node of nodes) for (const id of tensorsOf(plan, node)) leader.set(find(id), find(node.id));
  const groups = new Map<number, PlanNode[]>();
  for (const node of nodes) groups.set(find(node.id), [...(groups.get(find(node.id)) ?? []), node]);
  return [...groups.values()].map((members) => {
    const leaves = members.flatMap((node) => tensorsOf(plan, node)).filter((id) => !end.has(id));
    return { nodes: members, leaves: [...new Set(leaves)] };
  });
}

function tensorsOf(plan: Plan, { inputs }: PlanNode): number[] {
  return inputs.filter((id) => !isScalar(nodeOf(plan, id)));
}

/** Every state tensor that is read is replaced by the same loop, and no other: so it may be overwritten as the loop goes on. */
function isInPlace(plan: Plan, { nodes, leaves }: Group): boolean {
  const own = new Set(nodes.map(({ id }) => id));
  const replaced = new Set([...plan.updates].filter(([, id]) => own.has(id)).map(([name]) => plan.state.get(name)));
  const states = new Set(plan.state.values());
  return leaves.every((id) => !states.has(id) || replaced.has(id));
}

function loopOf(plan: Plan, { nodes, leaves }: Group, outputs: Map<string, number>): UpdateLoop {
  const stateNames = new Map(Array.from(plan.state, ([name, id]) => [id, name]));
  function outputOf(id: number): { readonly output: string } {
    const output = `update/${id}`;
    outputs.set(output, id);
    return { output };
  }
  const scalars = [...new Set(nodes.flatMap(({ inputs }) => inputs.filter((id) => isScalar(nodeOf(plan, id)))))];
  const places = new Map<number, LoopValue>([
    ...leaves.map((id, place): [number, LoopValue] => [id, ["tensor", place]]),
    ...scalars.map((id, place): [number, LoopValue] => [id, ["scalar", place]]),
    ...nodes.map(({ id }, place): [number, LoopValue] => [id, ["step", place]]),
  ]);
  return {
    elements: elementCount(nodes[0]?.shape ?? []),
    tensors: leaves.map((id) => {
      const state = stateNames.get(id);
      return state === undefined ? outputOf(id) : { state };
    }),
    scalars: scalars.map((id) => {
      const { op } = nodeOf(plan, id);
      return op.kind === "const" ? Number(op.value.data[0]) : outputOf(id);
    }),
    steps: nodes.map((node): LoopStep => {
      const kind = loopKindOf(node.op.kind);
      if (kind === undefined) throw new RangeError(`Cannot loop over ${node.op.kind}`);
      return { kind, operands: node.inputs.map((id) => placeOf(places, id)) };
    }),
    results: new Map(
      Array.from(plan.updates).flatMap(([name, id]): [string, number][] => {
        const [from, place] = places.get(id) ?? ["scalar", 0];
        return from === "step" ? [[name, place]] : [];
      }),
    ),
  };
}

function placeOf(places: ReadonlyMap<number, LoopValue>, id: number): LoopValue {
  const place = places.get(id);
  if (place === undefined) throw new RangeError(`Cannot read plan: node ${id} is used before it is made`);
  return place;
}
