// Which axes of a plan hold the batch: found by comparing the plans of two batch sizes, so that a model can take any.

import { isDeepStrictEqual } from "node:util";

import { KdataError } from "../../core/errors.ts";
import { sameShape } from "../../core/tensor.ts";
import type { Op, Plan, PlanNode } from "../plan.ts";
import { nodeOf } from "../plan-node.ts";
import { simplifyPlan } from "../simplify.ts";

/** Makes the plan of a batch size: the same computation over another number of samples. */
export type PlanOfBatch = (batch: number) => Plan;

/** Axes whose size follows the batch: how many times the batch size it is, `undefined` where it is no multiple. */
export type BatchAxes = ReadonlyMap<number, number | undefined>;

/** A plan traced with one batch size, and what it says of every other. */
export interface BatchPlan {
  /** Simplified. */
  readonly plan: Plan;
  /** The batch axes of a node, by its id. None for a plan of one batch size. */
  readonly batchAxes: (node: PlanNode) => BatchAxes;
}

/** Two primes that no model has as a size of its own: what divides or equals one of them came from the batch. */
const BATCH_SIZES = [1009, 2003] as const;

const NO_AXES: BatchAxes = new Map();

/** Simplifies a plan of one batch size. */
export function planOfOneBatch(plan: Plan): BatchPlan {
  return { plan: simplifyPlan(plan), batchAxes: () => NO_AXES };
}

/**
 * Traces a plan with two batch sizes and finds its batch axes.
 *
 * @throws {KdataError} `unsupported` when the computation itself depends on the batch size: other nodes, constants, state or
 * attributes. Sizes to reshape, broadcast and count to, and the ends of slices, may differ.
 */
export function planOfAnyBatch(planOf: PlanOfBatch): BatchPlan {
  const [plan, other] = [simplifyPlan(planOf(BATCH_SIZES[0])), simplifyPlan(planOf(BATCH_SIZES[1]))];
  if (plan.nodes.length !== other.nodes.length) throw dependsOnBatch(plan, undefined, "it has other steps");
  const axes = plan.nodes.map((node) => compareNodes(plan, node, other));
  for (const id of plan.state.values()) {
    if (axes[id]?.size !== 0) throw dependsOnBatch(plan, nodeOf(plan, id), "the size of a parameter changes with it");
  }
  return { plan, batchAxes: ({ id }) => axes[id] ?? NO_AXES };
}

/** Makes the error for a node that cannot be computed for any batch size. */
export function dependsOnBatch(plan: Plan, node: PlanNode | undefined, reason: string): KdataError {
  const where = node === undefined ? "" : ` at ${node.scope === "" ? "" : `${node.scope}, `}${node.op.kind}`;
  return new KdataError("unsupported", `Cannot write ${plan.name} for any batch size${where}: ${reason}`);
}

function compareNodes(plan: Plan, node: PlanNode, otherPlan: Plan): BatchAxes {
  const other = nodeOf(otherPlan, node.id);
  const sameStep =
    node.op.kind === other.op.kind &&
    node.dtype === other.dtype &&
    node.shape.length === other.shape.length &&
    sameShape(node.inputs, other.inputs);
  if (!sameStep) throw dependsOnBatch(plan, node, "another batch size takes another step");
  if (!isDeepStrictEqual(withoutSizes(node.op), withoutSizes(other.op))) {
    throw dependsOnBatch(plan, node, "its constants change with the batch size");
  }
  const axes = new Map<number, number | undefined>();
  for (const [axis, size] of node.shape.entries()) {
    const otherSize = other.shape[axis] ?? 0;
    if (size !== otherSize) axes.set(axis, multiple(size, otherSize));
  }
  if (!fitsAnyBatch([plan, otherPlan], [node, other])) {
    throw dependsOnBatch(plan, node, "it cuts the batch at a place that not every batch has");
  }
  return axes;
}

/** An operation without the attributes that {@link BatchAxes} or {@link fitsAnyBatch} account for. */
function withoutSizes(op: Op): unknown {
  if (op.kind === "reshape" || op.kind === "broadcast") return op.kind;
  if (op.kind === "iota") return { axis: op.axis, count: op.shape[op.axis] };
  return op.kind === "slice" ? { starts: op.starts } : op;
}

function multiple(size: number, otherSize: number): number | undefined {
  const [factor, otherFactor] = [size / BATCH_SIZES[0], otherSize / BATCH_SIZES[1]];
  return Number.isInteger(factor) && factor === otherFactor ? factor : undefined;
}

/**
 * Says whether a slice means the same for any batch size: along the batch from sample 0 or 1 on, to sample 1 or the end.
 * Later places are not in a batch of one.
 */
function fitsAnyBatch(plans: readonly Plan[], nodes: readonly PlanNode[]): boolean {
  const [slice, other] = nodes.map(({ op, inputs }, i) => ({
    op,
    source: plans[i]?.nodes[inputs[0] ?? -1]?.shape ?? [],
  }));
  if (slice?.op.kind !== "slice" || other?.op.kind !== "slice") return true;
  const { starts, ends } = slice.op;
  const otherEnds = other.op.ends;
  return slice.source.every((size, axis) => {
    if (size === other.source[axis]) return true;
    const toTheEnd = ends[axis] === size && otherEnds[axis] === other.source[axis];
    return (starts[axis] ?? 0) <= 1 && (toTheEnd || (ends[axis] ?? 0) <= 1);
  });
}
