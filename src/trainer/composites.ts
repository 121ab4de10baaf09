// Where a claimed kernel may stand in a plan: a composite whose inner values nobody else needs.

import { nodeOf } from "./plan-node.ts";
import type { KernelModel, Plan, PlanComposite, PlanNode } from "./plan.ts";

/** A composite that a backend computes by a kernel: the nodes that this makes needless are `inside`. */
export interface TakenClaim {
  readonly composite: PlanComposite;
  readonly kernel: KernelModel;
  readonly inside: ReadonlySet<number>;
}

/** What a backend makes of the claims in a plan. */
export interface TakenClaims {
  readonly taken: readonly TakenClaim[];
  /** `encoder/attention: why not`. */
  readonly left: readonly string[];
}

/** Decides for each composite of a plan whether a backend may compute it by the kernel that is claimed for it. */
export function takeClaims(plan: Plan, backend: string): TakenClaims {
  const taken: TakenClaim[] = [];
  const left: string[] = [];
  for (const composite of plan.composites ?? []) {
    const kernel = composite.kernels[backend];
    if (kernel === undefined) continue;
    const inside = typeof kernel === "string" ? kernel : insideOf(plan, composite);
    if (typeof inside === "string") left.push(`${composite.scope}: ${inside}`);
    else if (typeof kernel !== "string") taken.push({ composite, kernel, inside });
  }
  return { taken, left };
}

/** The nodes that only the composite needs, or why it cannot be computed as a whole. */
function insideOf(plan: Plan, { inputs, output }: PlanComposite): ReadonlySet<number> | string {
  const inside = new Set<number>();
  const waiting = [output];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (inside.has(id) || inputs.includes(id)) continue;
    const node = nodeOf(plan, id);
    if (node.op.kind === "input") return `it reads '${node.op.name}' as well`;
    inside.add(id);
    waiting.push(...node.inputs);
  }
  inside.delete(output);
  const dependent = new Set(inputs); // operands stand before their users
  for (const id of [...inside].sort((a, b) => a - b)) {
    if (nodeOf(plan, id).inputs.some((operand) => dependent.has(operand))) dependent.add(id);
  }
  const results = new Set([...plan.outputs.values(), ...plan.updates.values()]);
  function isInside(user: PlanNode): boolean {
    return user.id === output || inside.has(user.id);
  }
  function isNeeded(id: number): boolean {
    return results.has(id) || plan.nodes.some((user) => user.inputs.includes(id) && !isInside(user));
  }
  // What is made of constants alone may serve others too, and stays for them.
  const own = new Set([...inside].filter((id) => dependent.has(id)));
  return [...own].some(isNeeded) ? "its inner values are needed elsewhere, as by a gradient" : own;
}
