// Which feeds number the rows of a table, so that a number beyond it is refused before the step, on every backend in the same words.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import { keyOfElement } from "./feeds.ts";
import { nodeOf } from "./plan-node.ts";
import type { Plan } from "./plan.ts";

/** A table whose rows a feed numbers. */
export interface IndexLimit {
  readonly rows: number;
  /** The layer that looks them up. */
  readonly scope: string;
}

/** Finds the feeds that are looked up in a table as they are, by name, each with the smallest of its tables. */
export function indexLimits(plan: Plan): ReadonlyMap<string, IndexLimit> {
  const limits = new Map<string, IndexLimit>();
  const names = new Map(Array.from(plan.feeds, ([name, id]) => [id, name]));
  for (const { op, inputs, scope } of plan.nodes) {
    const [table, indices] = inputs;
    if (op.kind !== "gather" || table === undefined || indices === undefined) continue;
    const name = names.get(unshaped(plan, indices));
    const rows = nodeOf(plan, table).shape[0] ?? 0;
    if (name !== undefined && rows < (limits.get(name)?.rows ?? Infinity)) limits.set(name, { rows, scope });
  }
  return limits;
}

/**
 * Refuses numbers that no row of the table has.
 *
 * @throws {KdataError} `shape` that names the number, the table's layer and the sample.
 */
export function checkIndices(batch: Batch, feature: string, tensor: HostTensor, { rows, scope }: IndexLimit): void {
  const { data } = tensor;
  for (let i = 0; i < data.length; i++) {
    const value = data[i] as number;
    if (value >= 0 && value < rows) continue;
    throw new KdataError(
      "shape",
      `Cannot feed '${feature}': ${value} is no row of ${scope || "the table"}, which has 0 to ${rows - 1} ` +
        `(sample ${keyOfElement(batch, tensor, i)})`,
    );
  }
}

/** Goes from a value to what it is another shape of. */
function unshaped(plan: Plan, id: number): number {
  const { op, inputs } = nodeOf(plan, id);
  return op.kind === "reshape" && inputs[0] !== undefined ? unshaped(plan, inputs[0]) : id;
}
