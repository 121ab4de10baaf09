// What is done to gradients before a rule sees them: clipping, and the check that they are finite.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import type { OptimizerOptions } from "./options.ts";

/** Clips the gradients of all parameters in the one way that the options give. */
export function clip(gradients: readonly Sym[], options: OptimizerOptions): readonly Sym[] {
  const { clipNorm, clipValue, globalClipNorm } = options;
  if (clipNorm !== undefined) {
    return gradients.map((gradient) => ops.mul(gradient, shrinking(squaredNorm(gradient), clipNorm)));
  }
  if (clipValue !== undefined) {
    return gradients.map((gradient) => ops.min(ops.max(gradient, -clipValue), clipValue));
  }
  const [first, ...rest] = gradients;
  if (globalClipNorm === undefined || first === undefined) return gradients;
  const total = rest.reduce((sum, gradient) => ops.add(sum, squaredNorm(gradient)), squaredNorm(first));
  const factor = shrinking(total, globalClipNorm);
  return gradients.map((gradient) => ops.mul(gradient, factor));
}

/** Says whether every element of every gradient is finite: a bool scalar. */
export function areFinite(gradients: readonly [Sym, ...Sym[]]): Sym {
  const [first, ...rest] = gradients.map((gradient) => ops.sum(ops.mul(gradient, 0))); // infinity * 0 is NaN
  return ops.equal(
    rest.reduce((sum, zero) => ops.add(sum, zero), first ?? ops.sum(ops.mul(gradients[0], 0))),
    0,
  );
}

function squaredNorm(gradient: Sym): Sym {
  return ops.sum(ops.square(gradient));
}

function shrinking(squared: Sym, bound: number): Sym {
  return ops.div(bound, ops.max(ops.sqrt(squared), bound));
}
