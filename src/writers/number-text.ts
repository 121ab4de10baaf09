// Elements of tensors as decimal text that gives back every bit.

import { shortestDecimal } from "../core/decimal.ts";
import type { DType } from "../core/tensor.ts";

/**
 * Writes an element: whole numbers with all digits, booleans as words, floats as the shortest decimal that rounds to them, always with
 * a fraction or an exponent.
 *
 * NaN, the infinities and the bits of 16-bit floats are the caller's.
 */
export function numberText(element: number | bigint, dtype: DType): string {
  if (dtype === "bool") return element === 0 ? "false" : "true";
  if (typeof element === "bigint" || (dtype !== "float32" && dtype !== "float64")) return String(element);
  if (Object.is(element, -0)) return "-0.0";
  const text = String(shortestDecimal(element, dtype));
  // Without a fraction it would be read as a whole number.
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
}
