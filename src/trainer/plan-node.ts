// The nodes of a plan by their ids.

import { elementCount } from "../core/tensor.ts";
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

/** Says whether a node adds up nothing at all: its elements are zeros then, and there are some. */
export function addsNothing({ op, shape }: PlanNode, sources: readonly PlanNode[]): boolean {
  if (op.kind !== "sum" && op.kind !== "matmul" && op.kind !== "scatterAdd") return false;
  return elementCount(shape) > 0 && sources.some((source) => elementCount(source.shape) === 0);
}
