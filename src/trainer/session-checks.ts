// What every backend checks before its engine sees it: names, shapes and dtypes of feeds and state, names of knobs.

import { KdataError } from "../core/errors.ts";
import { knownNames } from "../core/nearest.ts";
import type { HostTensor, Knobs } from "./backend.ts";
import type { Plan } from "./plan.ts";
import { formatSpec, sameShape, type ValueSpec } from "./primitives.ts";

/**
 * Checks that a run is fed all that the plan takes. What it does not take is ignored: a plan leaves out what nothing needs.
 *
 * @throws {KdataError} `shape` when a feed is missing, or of another shape or dtype.
 */
export function checkFeeds(plan: Plan, feeds: ReadonlyMap<string, HostTensor>): void {
  for (const [name, id] of plan.feeds) {
    const node = plan.nodes[id];
    const feed = feeds.get(name);
    if (feed === undefined) {
      throw new KdataError("shape", `Cannot run ${plan.name}: nothing is fed as '${name}'`);
    }
    if (node !== undefined && !isSameSpec(feed, node)) {
      throw new KdataError(
        "shape",
        `Cannot run ${plan.name}: '${name}' is fed ${formatSpec(feed)}, compiled for ${formatSpec(node)}`,
      );
    }
  }
}

/**
 * Checks that a session holds the state that a plan reads and updates.
 *
 * @throws {KdataError} `state` when a tensor is missing or of another shape or dtype.
 */
export function checkPlanState(plan: Plan, held: ReadonlyMap<string, ValueSpec>): void {
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
export function checkState(action: string, held: ReadonlyMap<string, ValueSpec>, name: string, given: ValueSpec): void {
  const spec = held.get(name);
  if (spec === undefined) throw new KdataError("state", `Cannot ${action}: the session holds no '${name}'`);
  if (!isSameSpec(spec, given)) {
    throw new KdataError(
      "state",
      `Cannot ${action}: '${name}' is ${formatSpec(given)}, the session holds ${formatSpec(spec)}`,
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
    const list = known.length === 0 ? "it has none" : knownNames(name, known);
    throw new KdataError("usage", `Cannot open ${backend}: unknown knob '${name}' (${list})`);
  }
}

function isSameSpec(a: ValueSpec, b: ValueSpec): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}
