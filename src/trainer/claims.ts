// Claims: kernels that stand in for a composite (attention, a normalisation) on one backend, where nothing needs what is inside.

import type { KernelModel } from "./plan.ts";
import type { ValueSpec } from "./primitives.ts";

/** What tells one call of a composite from another: `causal`, `scale`, `epsilon`. */
export type CompositeAttributes = Readonly<Record<string, number | boolean>>;

/** One call of a composite in a model. */
export interface CompositeSpec {
  readonly inputs: readonly ValueSpec[];
  readonly output: ValueSpec;
  readonly attributes: CompositeAttributes;
}

/** Makes the kernel for one call of a composite, or says why there is none for it. */
export type Claim = (call: CompositeSpec) => KernelModel | string;

const claims = new Map<string, ReadonlyMap<string, Claim>>();

/** Sets what is claimed for a composite in graphs that are planned from now on; an empty table takes all claims back. */
export function setClaims(name: string, table: Readonly<Record<string, Claim>>): void {
  claims.set(name, new Map(Object.entries(table)));
}

/** Lists what is claimed for a composite, by backend. */
export function claimsOf(name: string): ReadonlyMap<string, Claim> {
  return claims.get(name) ?? new Map<string, Claim>();
}

/** Says whether anything is claimed. */
export function hasClaims(): boolean {
  return Array.from(claims.values()).some((table) => table.size > 0);
}

/** Makes the kernels that are claimed for one call, by backend. */
export function claimedKernels(name: string, call: CompositeSpec): Record<string, KernelModel | string> {
  return Object.fromEntries(Array.from(claimsOf(name), ([backend, make]) => [backend, make(call)]));
}
