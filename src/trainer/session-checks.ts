// What every backend checks before its engine sees it: names, shapes and dtypes of feeds and state, names of knobs.

import { KdataError } from "../core/errors.ts";
import type { HostTensor, Knobs } from "./backend.ts";
import type { GraphDType, Plan } from "./plan.ts";

/** Shape and dtype of a tensor. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
}

/**
 * Checks that the feeds of a run are those of the plan.
 *
 * @throws {KdataError} `shape` when one is missing, unknown, or of another shape or dtype.
 */
export function checkFeeds(plan: Plan, feeds: ReadonlyMap<string, HostTensor>): void {
  for (const [name, id] of plan.feeds) {
    const node = plan.nodes[id];
    const feed = feeds.get(name);
    if (feed === undefined) {
      throw new KdataError("shape", `Cannot run ${plan.name}: nothing is fed as '${name}'`);
    }
    if (node !== undefined && !sameSpec(feed, node)) {
      throw new KdataError(
        "shape",
        `Cannot run ${plan.name}: '${name}' is fed ${describe(feed)}, compiled for ${describe(node)}`,
      );
    }
  }
  for (const name of feeds.keys()) {
    if (plan.feeds.has(name)) continue;
    const known = [...plan.feeds.keys()].join(", ");
    throw new KdataError("shape", `Cannot run ${plan.name}: it is not fed '${name}' (it is fed: ${known})`);
  }
}

/**
 * Checks that a session holds the state that a plan reads and updates.
 *
 * @throws {KdataError} `state` when a tensor is missing or of another shape or dtype.
 */
export function checkPlanState(plan: Plan, held: ReadonlyMap<string, TensorSpec>): void {
  for (const [name, id] of [...plan.state, ...plan.updates]) {
    const node = plan.nodes[id];
    if (node !== undefined) checkState(`compile ${plan.name}`, held, name, node);
  }
}

/**
 * Checks that a tensor is one of a session's and fits it.
 *
 * @throws {KdataError} `state` when the session has no tensor of that name, or one of another shape or dtype.
 */
export function checkState(
  action: string,
  held: ReadonlyMap<string, TensorSpec>,
  name: string,
  given: TensorSpec,
): void {
  const spec = held.get(name);
  if (spec === undefined) throw new KdataError("state", `Cannot ${action}: the session holds no '${name}'`);
  if (!sameSpec(spec, given)) {
    throw new KdataError(
      "state",
      `Cannot ${action}: '${name}' is ${describe(given)}, the session holds ${describe(spec)}`,
    );
  }
}

/**
 * Checks that a backend knows every knob.
 *
 * @throws {KdataError} `usage` that lists the known ones.
 */
export function checkKnobs(backend: string, knobs: Knobs, known: readonly string[]): void {
  for (const name of Object.keys(knobs)) {
    if (known.includes(name)) continue;
    const list = known.length === 0 ? "it has none" : `known: ${known.join(", ")}`;
    throw new KdataError("usage", `Cannot open ${backend}: unknown knob '${name}' (${list})`);
  }
}

/**
 * Reads a knob that is a count, from a number or its digits.
 *
 * @throws {KdataError} `usage` when it is not a whole number from 1 on.
 */
export function countKnob(backend: string, knobs: Knobs, name: string, otherwise: number): number {
  const value = knobs[name];
  if (value === undefined) return otherwise;
  const count = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= 1) return count;
  throw new KdataError("usage", `Cannot open ${backend}: ${name} is ${String(value)}, not a whole number from 1 on`);
}

function sameSpec(a: TensorSpec, b: TensorSpec): boolean {
  return (
    a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis])
  );
}

function describe({ dtype, shape }: TensorSpec): string {
  return `${dtype} [${shape.join(", ")}]`;
}
