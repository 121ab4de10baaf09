// The one value of a feature that is no array: what conditions compare and templates write.

import { decodeHalf, isHalfDType } from "../core/half-float.ts";
import { isTensor, type Feature } from "../core/sample.ts";

/**
 * Takes the value of a string, of a tensor of one element, or of a JSON string, number, boolean or null. `bool` becomes true or
 * false, 64-bit integers stay exact. `undefined` where the feature is no single value.
 */
export function scalarOf(feature: Feature): string | number | bigint | boolean | null | undefined {
  if (typeof feature === "string") return feature;
  if (isTensor(feature)) {
    const [element] = feature.data;
    if (feature.data.length !== 1 || element === undefined) return undefined;
    if (feature.dtype === "bool") return element !== 0;
    return isHalfDType(feature.dtype) ? decodeHalf(feature.dtype, element as number) : element;
  }
  if (!("json" in feature)) return undefined;
  const { json } = feature;
  return typeof json === "object" && json !== null ? undefined : json;
}
