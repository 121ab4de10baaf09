// Numbers as decimal text for people and for text formats.

import type { DType } from "./tensor.ts";

/** Significant digits that tell any two numbers of a dtype apart, where JavaScript would write more. */
const decimalDigits: Partial<Record<DType, number>> = { float16: 5, bfloat16: 4, float32: 9 };

/**
 * Finds the shortest decimal that is the same number to as many digits as its dtype has: 0.1 for the float32 that JavaScript
 * writes as 0.10000000149011612. For float32, rounding the result to float32 gives back the value.
 */
export function shortestDecimal(value: number, dtype: DType): number {
  const digits = decimalDigits[dtype];
  if (digits === undefined || Number.isSafeInteger(value)) return value;
  const exact = Number(value.toPrecision(digits));
  for (let fewer = 1; fewer < digits; fewer++) {
    const candidate = Number(value.toPrecision(fewer));
    if (dtype === "float32" ? Math.fround(candidate) === value : candidate === exact) return candidate;
  }
  return exact;
}
