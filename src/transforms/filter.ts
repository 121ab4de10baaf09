// Leaves samples out, by a condition on a feature or by a function of the user's own.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames } from "../core/options.ts";
import { featureKind, isBytesList, isTensor, type Sample } from "../core/sample.ts";
import { requireFeature } from "./feature.ts";
import { scalarOf } from "./scalar.ts";
import type { Transform } from "./transform.ts";
import { callerOf, userFunction, type UserFunction } from "./user-function.ts";

/** A value that a feature is compared with. */
export type FilterValue = string | number | boolean | null;

/** Which samples stay: those whose feature fulfils all that is given, at least one thing. */
export interface FilterCondition {
  readonly feature: string;
  /** Is this value. */
  readonly equals?: FilterValue;
  /** Is one of these values. */
  readonly in?: readonly FilterValue[];
  /** Is none of these values. */
  readonly notIn?: readonly FilterValue[];
  /** Is a number of at least so much. */
  readonly min?: number;
  /** Is a number of at most so much. */
  readonly max?: number;
  /** Has at least this length: characters (UTF-16 units) of a string, bytes, items of a list, the size of a tensor's first axis. */
  readonly minLength?: number;
  /** Has at most this length. */
  readonly maxLength?: number;
}

/** The description that {@link filter} returns. */
export type FilterDescription =
  | ({ readonly transform: "filter"; readonly condition?: undefined } & UserFunction)
  | { readonly transform: "filter"; readonly condition: FilterCondition };

const TESTS = ["equals", "in", "notIn", "min", "max", "minLength", "maxLength"] as const;

/**
 * Leaves out samples that do not fulfil a condition. A sample that is left out moves no other one: its batch is shorter by it, and the
 * ledger of the epoch counts it as filtered.
 *
 * The condition is on a feature, `filter({ feature: "label", in: [3, 7] })` or `filter({ feature: "text", maxLength: 2000 })`, whose value
 * is a string, a tensor of one element or JSON; 64-bit integers are compared exactly. Or it is a function of a module,
 * `(sample, random) => boolean`, as `map` takes it.
 *
 * @throws {KdataError} `input`, `usage` and `format` as `map` does. For each sample: `shape` when the feature is missing or has no value or
 *   length to compare, or the function gives no boolean.
 *
 * @example
 * assert.equal(applyTransform(filter({ feature: "text", minLength: 3 }), { text: "no" }), undefined);
 */
export function filter(condition: FilterCondition): FilterDescription;
export function filter(module: string | URL, exported?: string): FilterDescription;
export function filter(what: FilterCondition | string | URL, exported = "default"): FilterDescription {
  if (typeof what === "string" || what instanceof URL) {
    return { transform: "filter", ...userFunction("filter", what, exported) };
  }
  const action = `Cannot filter by '${what.feature}'`;
  checkOptionNames(action, what, ["feature", ...TESTS]);
  if (TESTS.every((test) => what[test] === undefined)) {
    throw new RangeError(`${action}: give at least one of ${TESTS.join(", ")}`);
  }
  for (const test of ["min", "max", "minLength", "maxLength"] as const) {
    const bound = what[test];
    if (bound === undefined || (typeof bound === "number" && !Number.isNaN(bound))) continue;
    throw new RangeError(`${action}: ${test} must be a number, not ${String(bound)}`);
  }
  return { transform: "filter", condition: { ...what } };
}

/** Builds the transform that {@link filter} describes. */
export function buildFilter(description: FilterDescription): Transform {
  const { condition } = description;
  if (condition) return (sample) => (fulfils(sample, condition) ? sample : undefined);
  const call = callerOf("filter", description);
  return (sample, random) => {
    const isKept = call(sample, random());
    if (typeof isKept === "boolean") return isKept ? sample : undefined;
    const { module, name } = description;
    throw new KdataError("shape", `Cannot filter: '${name}' of ${module} gave neither true nor false`, {
      at: sample.origin,
    });
  };
}

function fulfils(sample: Sample, condition: FilterCondition): boolean {
  const { equals, in: among, notIn, min, max, minLength, maxLength } = condition;
  if (minLength !== undefined || maxLength !== undefined) {
    const length = lengthOf(sample, condition.feature);
    if (length < (minLength ?? -Infinity) || length > (maxLength ?? Infinity)) return false;
  }
  if ([equals, among, notIn, min, max].every((test) => test === undefined)) return true;
  const value = valueOf(sample, condition.feature);
  if (equals !== undefined && !isSame(value, equals)) return false;
  if (among && !among.some((one) => isSame(value, one))) return false;
  if (notIn?.some((one) => isSame(value, one))) return false;
  if (min === undefined && max === undefined) return true;
  if (typeof value !== "number" && typeof value !== "bigint") throw noValue(sample, condition.feature, "number");
  return value >= (min ?? -Infinity) && value <= (max ?? Infinity);
}

function valueOf(sample: Sample, name: string): string | number | bigint | boolean | null {
  const value = scalarOf(requireFeature(sample, name, "filter by"));
  if (value === undefined) throw noValue(sample, name, "single value");
  return value;
}

function isSame(value: string | number | bigint | boolean | null, other: FilterValue): boolean {
  if (typeof value !== "bigint") return value === other;
  return typeof other === "number" && Number.isSafeInteger(other) && value === BigInt(other);
}

function lengthOf(sample: Sample, name: string): number {
  const feature = requireFeature(sample, name, "filter by");
  if (typeof feature === "string" || feature instanceof Uint8Array || isBytesList(feature)) return feature.length;
  const length = isTensor(feature) ? feature.shape[0] : undefined;
  if (length === undefined) throw noValue(sample, name, "length");
  return length;
}

function noValue(sample: Sample, name: string, what: string): KdataError {
  const kind = featureKind(requireFeature(sample, name, "filter by"));
  return new KdataError("shape", `Cannot filter by '${name}': it is ${kind} without a ${what}`, { at: sample.origin });
}
