// Features of a sample by name: found or refused with a name that helps, and replaced in a copy.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { emptyFeatures, featureKind, isTensor, type Feature, type Features, type Sample } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";

/**
 * Finds a feature. The action is what cannot be done without it, for the message: `normalize`.
 *
 * @throws {KdataError} `shape` when the sample has no such feature; the message lists what it has.
 */
export function requireFeature(sample: Sample, name: string, action: string): Feature {
  const feature = Object.hasOwn(sample.features, name) ? sample.features[name] : undefined;
  if (feature !== undefined) return feature;
  const names = Object.keys(sample.features);
  const nearest = nearestName(name, names);
  throw new KdataError("shape", `Cannot ${action} '${name}': the sample has only ${names.join(", ")}`, {
    at: sample.origin,
    ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
  });
}

/**
 * Finds a feature that is a tensor.
 *
 * @throws {KdataError} `shape` when the sample has no such feature, or it is of another kind.
 */
export function requireTensor(sample: Sample, name: string, action: string): Tensor {
  const feature = requireFeature(sample, name, action);
  if (isTensor(feature)) return feature;
  const kind = featureKind(feature);
  throw new KdataError("shape", `Cannot ${action} '${name}': it is ${kind}, not a tensor`, {
    at: sample.origin,
    ...(kind === "bytes" && { hint: `decode it first, for example with decodeRaw("${name}", { dtype, shape })` }),
  });
}

/** Copies a sample with one feature replaced. The other features are shared, and their order stays. */
export function replaceFeature(sample: Sample, name: string, feature: Feature): Sample {
  const features: Features = emptyFeatures();
  for (const other in sample.features) features[other] = sample.features[other] as Feature;
  features[name] = feature;
  return { key: sample.key, origin: sample.origin, features };
}
