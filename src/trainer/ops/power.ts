// Powers with a constant exponent, composed: there is no such primitive.

import type { Sym } from "../graph.ts";
import { add, exp, greater, log, mul, where } from "./elementwise.ts";

const MOST_FACTORS = 8; // a whole exponent up to this is multiplied out

/** Raises float32 elements from 0 on to a constant power from 0 on. At 0 it is 0, and 1 for the exponent 0. */
export function pow(base: Sym, exponent: number): Sym {
  if (exponent === 0) return add(mul(base, 0), 1);
  if (Number.isInteger(exponent) && exponent <= MOST_FACTORS) {
    let product = base;
    for (let factor = 1; factor < exponent; factor++) product = mul(product, base);
    return product;
  }
  const isPositive = greater(base, 0);
  return where(isPositive, exp(mul(log(where(isPositive, base, 1)), exponent)), 0);
}
