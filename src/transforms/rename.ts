// Gives features other names and keeps all the others: what select is for, where a data set has many.

import { KdataError } from "../core/errors.ts";
import { emptyFeatures, type Feature } from "../core/sample.ts";
import { requireFeature } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link rename} returns. */
export interface RenameDescription {
  readonly transform: "rename";
  /** Old name and new name of each feature that gets another one. */
  readonly names: readonly (readonly [from: string, to: string])[];
}

/**
 * Gives features other names: `rename({ image: "x", label: "y" })`. Those that are not named keep theirs, and the order stays.
 * Names may be swapped.
 *
 * @throws {KdataError} `shape`, for each sample that lacks one of them, or has another feature of a new name.
 *
 * @example
 * assert.deepEqual({ ...applyTransform(rename({ txt: "text" }), { txt: "one", cls: "two" }) }, { text: "one", cls: "two" });
 */
export function rename(names: Readonly<Record<string, string>>): RenameDescription {
  const pairs = Object.entries(names);
  if (pairs.length === 0) throw new RangeError("Cannot rename features: no name is given");
  const targets = pairs.map(([, to]) => to);
  if (new Set(targets).size < targets.length) {
    throw new RangeError(`Cannot rename features: a new name comes twice in ${targets.join(", ")}`);
  }
  return { transform: "rename", names: pairs };
}

/** Builds the transform that {@link rename} describes. */
export function buildRename({ names }: RenameDescription): Transform {
  const newNames = new Map(names);
  return (sample) => {
    for (const [from] of names) requireFeature(sample, from, "rename");
    const features = emptyFeatures();
    for (const name in sample.features) {
      const to = newNames.get(name) ?? name;
      if (Object.hasOwn(features, to)) {
        throw new KdataError("shape", `Cannot rename: the sample has two features for the name '${to}'`, {
          at: sample.origin,
        });
      }
      features[to] = sample.features[name] as Feature;
    }
    return { key: sample.key, origin: sample.origin, features };
  };
}
