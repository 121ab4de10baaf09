// The precision policy of a model, with the names and the meaning of Keras': what its values are rounded to, what its weights are
// stored as, what is added up in what. https://keras.io/api/mixed_precision/policy/

import type { HalfDType } from "../core/half-float.ts";
import { KdataError } from "../core/errors.ts";
import { knownNames } from "../core/nearest.ts";
import type { Explanation } from "./backend.ts";
import type { Optimizer } from "./optimizers/optimizer.ts";

/** A precision policy. */
export type Precision = "float32" | "mixed_bfloat16" | "mixed_float16";

const DEFAULT_PRECISION: Precision = "float32";

/** What values that pass from layer to layer are rounded to. */
const formats: Readonly<Record<Precision, HalfDType | undefined>> = {
  float32: undefined,
  mixed_bfloat16: "bfloat16",
  mixed_float16: "float16",
};

/** The names of the policies, the default first. */
export const precisionNames: readonly Precision[] = ["float32", "mixed_bfloat16", "mixed_float16"];

/**
 * Chooses a policy: the option, else the environment's `KDATA_PRECISION`, else `float32`.
 *
 * @throws {KdataError} `usage` when there is no such policy; the message lists those there are.
 */
export function resolvePrecision(option?: string): Precision {
  const name = option ?? (process.env["KDATA_PRECISION"] || DEFAULT_PRECISION);
  return checkPrecision("Cannot choose precision", name);
}

/**
 * Takes a name for that of a policy.
 *
 * @throws {KdataError} `usage` when there is none of that name.
 */
export function checkPrecision(action: string, name: string): Precision {
  const precision = precisionNames.find((known) => known === name);
  if (precision !== undefined) return precision;
  throw new KdataError("usage", `${action}: unknown precision '${name}' (${knownNames(name, precisionNames)})`);
}

/** The 16-bit type that a policy rounds to; none for `float32`. */
export function formatOf(precision: Precision): HalfDType | undefined {
  return formats[precision];
}

/**
 * Gives the optimizer as a policy needs it: small gradients vanish in float16, so there the loss is scaled, as Keras does by itself.
 *
 * @throws {KdataError} `unsupported` when the optimizer is one of the user's own and cannot.
 */
export function optimizerFor(precision: Precision, optimizer: Optimizer): Optimizer {
  if (formats[precision] !== "float16") return optimizer;
  if (optimizer.scaled) return optimizer.scaled();
  throw new KdataError(
    "unsupported",
    `Cannot train in ${precision}: the optimizer '${optimizer.name}' does not scale the loss`,
    {
      hint: "give it `scaled()`, or train in mixed_bfloat16",
    },
  );
}

/** Says of a session what a policy really means on its backend, where it has one beside float32. */
export function explainPrecision(
  session: Explanation,
  precision: Precision,
  optimizers: readonly Optimizer[],
): Explanation {
  const format = formats[precision];
  if (format === undefined) return session;
  const arithmetic = String(session["precision"] ?? "float32");
  const scales = optimizers.flatMap(({ scalars }) => scalars["lossScale"]?.initial ?? []);
  return {
    ...session,
    precision,
    compute: `inputs, weights and results of layers rounded to ${format}, and their gradients; inside a layer ${arithmetic}`,
    store: "weights and optimizer float32",
    accumulate: `sums, softmax, normalisation, loss and metrics ${arithmetic}`,
    ...(scales.length > 0 && { lossScale: `dynamic, from ${scales.join(", ")}` }),
  };
}
