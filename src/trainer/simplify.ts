// A plan rewritten so that an engine does less for the same numbers, beyond what the tracer leaves out. The reference
// backend runs plans as they were traced, so the parity suite holds this file too.

import type { OpKind, Plan, PlanNode } from "./plan.ts";
import { sameShape } from "./primitives.ts";
import { broadcastShapes } from "./shapes.ts";

/** Primitives whose operands broadcast as numpy does. */
const broadcastingKinds: ReadonlySet<OpKind> = new Set(["add", "sub", "mul", "div", "max", "compare", "where"]);

/**
 * Rewrites a plan: no `stopGradient`, which computes nothing, no `broadcast` whose users broadcast anyway, no dead nodes.
 * Names, shapes and dtypes of feeds, state, updates and outputs stay.
 */
export function simplifyPlan(plan: Plan): Plan {
  const standsFor: number[] = [];
  const rewritten: PlanNode[] = [];
  for (const node of plan.nodes) {
    const inputs = node.inputs.map((id) => at(standsFor, id));
    const sources = inputs.map((id) => at(rewritten, id));
    const shortened = broadcastingKinds.has(node.op.kind) ? absorbBroadcasts(node, sources, rewritten) : inputs;
    rewritten.push({ ...node, inputs: shortened });
    standsFor.push(node.op.kind === "stopGradient" ? at(inputs, 0) : node.id);
  }
  return renumber(plan, rewritten, standsFor);
}

/** Reads past broadcasts while the operands left still broadcast to the node's shape. */
function absorbBroadcasts(node: PlanNode, sources: readonly PlanNode[], nodes: readonly PlanNode[]): number[] {
  let operands = [...sources];
  for (const [place, operand] of sources.entries()) {
    if (operand.op.kind !== "broadcast") continue;
    const candidate = operands.with(place, at(nodes, at(operand.inputs, 0)));
    const reached = broadcastShapes(...candidate.map(({ shape }) => shape));
    if (reached !== undefined && sameShape(reached, node.shape)) operands = candidate;
  }
  return operands.map(({ id }) => id);
}

/** Drops what no result needs (an input stays: its name is part of the plan) and numbers the rest from 0. */
function renumber(plan: Plan, rewritten: readonly PlanNode[], standsFor: readonly number[]): Plan {
  const results = [...plan.updates.values(), ...plan.outputs.values()].map((id) => at(standsFor, id));
  const live = new Set([...results, ...plan.feeds.values(), ...plan.state.values()]);
  for (const node of rewritten.toReversed()) {
    if (live.has(node.id)) for (const id of node.inputs) live.add(id);
  }
  const newIds: number[] = [];
  const nodes: PlanNode[] = [];
  for (const node of rewritten) {
    newIds.push(nodes.length);
    if (live.has(node.id)) {
      nodes.push({ ...node, id: nodes.length, inputs: node.inputs.map((id) => at(newIds, id)) });
    }
  }
  function renamed(names: ReadonlyMap<string, number>): Map<string, number> {
    return new Map(Array.from(names, ([name, id]) => [name, at(newIds, at(standsFor, id))]));
  }
  return {
    name: plan.name,
    nodes,
    feeds: renamed(plan.feeds),
    ...(plan.randoms && { randoms: plan.randoms }),
    ...(plan.composites && {
      composites: plan.composites
        .map((composite) => ({
          ...composite,
          inputs: composite.inputs.map((id) => at(standsFor, id)),
          output: at(standsFor, composite.output),
        }))
        .filter(({ inputs, output }) => [...inputs, output].every((id) => live.has(id)))
        .map((composite) => ({
          ...composite,
          inputs: composite.inputs.map((id) => at(newIds, id)),
          output: at(newIds, composite.output),
        })),
    }),
    state: renamed(plan.state),
    updates: renamed(plan.updates),
    outputs: renamed(plan.outputs),
  };
}

/** Reads an element of a plan, whose ids are dense and in order. */
function at<T>(items: readonly T[], place: number): T {
  const item = items[place];
  if (item === undefined) throw new RangeError(`Cannot read plan: no node ${place}`);
  return item;
}
