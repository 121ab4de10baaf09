// Keeps features under new names: the step from what a data set calls them to what a model takes.

import { emptyFeatures } from "../core/sample.ts";
import { requireFeature } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link select} returns. */
export interface SelectDescription {
  readonly transform: "select";
  /** New name and old name of each feature to keep. */
  readonly names: readonly (readonly [name: string, from: string])[];
}

/**
 * Keeps the named features, in the order given, and drops the others.
 *
 * The names are a record of new name to old name, `select({ x: "image", y: "label" })`, or a list of names that stay as they
 * are. Two new names may share one old name.
 *
 * @throws {KdataError} `shape`, for each sample that lacks one of them.
 */
export function select(names: Readonly<Record<string, string>> | readonly string[]): SelectDescription {
  const pairs = isList(names) ? names.map((name) => [name, name] as const) : Object.entries(names);
  if (pairs.length === 0) throw new RangeError("Cannot select features: no name is given");
  if (new Set(pairs.map(([name]) => name)).size < pairs.length) {
    throw new RangeError(`Cannot select features: a name comes twice in ${pairs.map(([name]) => name).join(", ")}`);
  }
  return { transform: "select", names: pairs };
}

/** Builds the transform that {@link select} describes. */
export function buildSelect({ names }: SelectDescription): Transform {
  return (sample) => {
    const features = emptyFeatures();
    for (const [name, from] of names) features[name] = requireFeature(sample, from, "select");
    return { key: sample.key, origin: sample.origin, features };
  };
}

function isList(names: Readonly<Record<string, string>> | readonly string[]): names is readonly string[] {
  return Array.isArray(names);
}
