// The nodes of a plan by their ids.

import type { Plan, PlanNode } from "./plan.ts";

/**
 * Finds a node of a plan.
 *
 * @throws {RangeError} when the plan has none of that id.
 */
export function nodeOf(plan: Plan, id: number | undefined): PlanNode {
  const node = id === undefined ? undefined : plan.nodes[id];
  if (node === undefined) throw new RangeError(`Cannot read plan ${plan.name}: no node ${id ?? "of that name"}`);
  return node;
}
