// A user's module in TypeScript.
import type { Sample } from "../../src/core/sample.ts";

interface Kept {
  readonly sign: 1 | -1;
}

/** Negates `n`. */
export function negate(sample: Sample): Sample {
  const { sign }: Kept = { sign: -1 };
  const { data } = sample.features["n"] as { data: Float64Array };
  const n = { dtype: "float64" as const, shape: [], data: Float64Array.of(sign * (data[0] as number)) };
  return { ...sample, features: { ...sample.features, n } };
}
