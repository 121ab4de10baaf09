// Features joined along an axis that they have.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import { joinFeatures } from "./join-tensors.ts";
import type { Transform } from "./transform.ts";

/** Which axis features are joined along. */
export interface AxisSettings {
  /** Of one sample, without the batch axis. Default 0. */
  readonly axis?: number;
}

/** The description that {@link concat} returns. */
export interface ConcatDescription {
  readonly transform: "concat";
  readonly features: readonly string[];
  readonly into: string;
  readonly axis: number;
}

/**
 * Joins tensors along an axis that they have, in the order given: [2, 3] and [4, 3] become [6, 3]. They give way to the result, which
 * may have the name of one of them.
 *
 * @throws {KdataError} `shape`, for each sample where one is missing, or they differ in dtype or in another axis.
 *
 * @example
 * const [a, b] = [tensor("int32", [2], Int32Array.of(1, 2)), tensor("int32", [1], Int32Array.of(3))];
 * assert.deepEqual([...applyTransform(concat(["a", "b"], "x"), { a, b }).x.data], [1, 2, 3]);
 */
export function concat(features: readonly string[], into: string, settings: AxisSettings = {}): ConcatDescription {
  return { transform: "concat", ...checkJoint("concat", features, into, settings) };
}

/** Builds the transform that {@link concat} describes. */
export function buildConcat({ features, into, axis }: ConcatDescription): Transform {
  return (sample) => joinFeatures(sample, { action: "concat", features, into, axis, shapeOf: (shape) => shape });
}

/** Checks what {@link concat} and `stack` are given. */
export function checkJoint(
  action: string,
  features: readonly string[],
  into: string,
  settings: AxisSettings,
): { features: readonly string[]; into: string; axis: number } {
  const start = `Cannot ${action} into '${into}'`;
  checkOptionNames(start, settings, ["axis"]);
  const { axis = 0 } = settings;
  checkWhole(start, "axis", axis, 0);
  if (features.length === 0) throw new RangeError(`${start}: no feature is given`);
  return { features: [...features], into, axis };
}
