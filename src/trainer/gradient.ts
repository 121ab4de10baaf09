// Reverse-mode differentiation: one walk over the graph from the loss back to what it is differentiated by.

import { operandGradients } from "./adjoints.ts";
import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import { formatSpec } from "./primitives.ts";

/**
 * Differentiates a scalar by values of its graph. The gradients are values of the same graph: they can be used further and
 * differentiated again. One that the loss does not depend on is zero.
 *
 * Where a function has a corner: `max(a, b)` with `a = b` counts as `b`, so relu has the derivative 0 at 0; equal greatest
 * elements of `reduceMax` share evenly. Comparisons, casts, indices and `stopGradient` pass nothing on.
 *
 * @returns one gradient for each of `wrt`, in its shape.
 * @throws {TypeError} when the loss is not a float32 scalar, or a value to differentiate by is not float32 of the same graph.
 *
 * @example
 * const graph = new Graph();
 * const x = graph.input("x", [], "float32");
 * const [dx] = gradient(ops.square(x), [x]); // 2 x
 */
export function gradient(loss: Sym, wrt: readonly Sym[]): Sym[] {
  checkDifferentiable(loss, wrt);
  const { graph } = loss;
  const dependent = dependentsOf(wrt, loss);
  const gradients = new Map<Sym, Sym>([[loss, graph.constant(1)]]);
  for (const sym of graph.syms.slice(0, loss.id + 1).reverse()) {
    const own = gradients.get(sym);
    if (own === undefined || !dependent.has(sym)) continue;
    graph.scope(sym.scope, () => {
      const forOperands = operandGradients(sym, own);
      for (const [i, operand] of sym.inputs.entries()) {
        const added = forOperands[i];
        if (!added || !dependent.has(operand)) continue;
        const sofar = gradients.get(operand);
        gradients.set(operand, sofar ? ops.add(sofar, added) : added);
      }
    });
  }
  return wrt.map((sym) => gradients.get(sym) ?? ops.broadcastTo(graph.constant(0), sym.shape));
}

function checkDifferentiable(loss: Sym, wrt: readonly Sym[]): void {
  if (loss.shape.length > 0 || loss.dtype !== "float32") {
    throw new TypeError(`Cannot differentiate ${formatSpec(loss)}: only a float32 scalar has a gradient`);
  }
  for (const sym of wrt) {
    if (sym.graph !== loss.graph) throw new TypeError("Cannot differentiate by a value of another graph");
    if (sym.dtype !== "float32") throw new TypeError(`Cannot differentiate by ${formatSpec(sym)}: it is not float32`);
  }
}

/** Finds the values up to the loss through which it may depend on `wrt`: what needs a gradient on the way back. */
function dependentsOf(wrt: readonly Sym[], loss: Sym): Set<Sym> {
  const dependent = new Set(wrt);
  for (const sym of loss.graph.syms.slice(0, loss.id + 1)) {
    if (sym.dtype === "float32" && sym.inputs.some((input) => dependent.has(input))) dependent.add(sym);
  }
  return dependent;
}
