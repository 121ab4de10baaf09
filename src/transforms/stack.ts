// Features joined along an axis that is put in.

import { checkJoint, type AxisSettings } from "./concat.ts";
import { joinFeatures } from "./join-tensors.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link stack} returns. */
export interface StackDescription {
  readonly transform: "stack";
  readonly features: readonly string[];
  readonly into: string;
  readonly axis: number;
}

/**
 * Joins tensors of one shape along a new axis, in the order given: two scalars become [2], two of [4, 3] become [2, 4, 3]. They give way
 * to the result, which may have the name of one of them.
 *
 * @throws {KdataError} `shape`, for each sample where one is missing, or they differ in dtype or shape.
 *
 * @example
 * const [age, pay] = [tensor("float32", [], Float32Array.of(30)), tensor("float32", [], Float32Array.of(2))];
 * const { x } = applyTransform(stack(["age", "pay"], "x"), { age, pay });
 * assert.deepEqual([x.shape, [...x.data]], [[2], [30, 2]]);
 */
export function stack(features: readonly string[], into: string, settings: AxisSettings = {}): StackDescription {
  return { transform: "stack", ...checkJoint("stack", features, into, settings) };
}

/** Builds the transform that {@link stack} describes. */
export function buildStack({ features, into, axis }: StackDescription): Transform {
  return (sample) =>
    joinFeatures(sample, { action: "stack", features, into, axis, shapeOf: (shape, at) => shape.toSpliced(at, 0, 1) });
}
