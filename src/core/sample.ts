// One decoded record: a key, where it came from, and its features by name.

import { copyTensor, type Tensor } from "./tensor.ts";

/** What JSON can say. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** A JSON value as a feature, wrapped so that it cannot be taken for a tensor. */
export interface JsonFeature {
  readonly json: JsonValue;
}

/** One feature of a sample: a tensor, bytes, a list of bytes, a string, or JSON. */
export type Feature = Tensor | Uint8Array | readonly Uint8Array[] | string | JsonFeature;

/** The kind of a {@link Feature}. */
export type FeatureKind = "tensor" | "bytes" | "list" | "string" | "json";

/** Features by name. Made by {@link emptyFeatures}: a name like `__proto__` in a file is a name like any other. */
export type Features = Record<string, Feature>;

/** The shard a sample was read from, and its number in it, counted from 0. */
export interface Origin {
  readonly source: string;
  readonly record: number;
}

/**
 * One decoded record.
 *
 * The memory of its features belongs to whoever made it: a reader says whether it is a view that the next record overwrites.
 */
export interface Sample {
  readonly key: string;
  readonly origin: Origin;
  readonly features: Features;
}

/** Makes a record of features that inherits nothing. */
export function emptyFeatures(): Features {
  return new FeatureRecord();
}

/** Says of which kind a feature is. */
export function featureKind(feature: Feature): FeatureKind {
  if (typeof feature === "string") return "string";
  if (feature instanceof Uint8Array) return "bytes";
  if (isBytesList(feature)) return "list";
  return "json" in feature ? "json" : "tensor";
}

/** Says whether a feature is a tensor. */
export function isTensor(feature: Feature): feature is Tensor {
  return featureKind(feature) === "tensor";
}

/** Says whether a feature is a list of bytes. */
export function isBytesList(feature: Feature): feature is readonly Uint8Array[] {
  return Array.isArray(feature);
}

/** What `Object.create(null)` makes; the engine plans room for the properties of what a constructor makes. */
const FeatureRecord = function () {
  return undefined;
} as unknown as new () => Features;
FeatureRecord.prototype = Object.freeze(Object.create(null) as object);

/** Copies a sample with all the memory of its features, so that it outlives the reader's buffers. */
export function copySample(sample: Sample): Sample {
  const features = emptyFeatures();
  for (const [name, feature] of Object.entries(sample.features)) features[name] = copyFeature(feature);
  return { key: sample.key, origin: sample.origin, features };
}

/**
 * Names a record that carries no key of its own: the stem of its shard, a slash, its number.
 *
 * `defaultKey({ source: "out/train-000.tfrecord", record: 7 })` is `train-000/7`.
 */
export function defaultKey(origin: Origin): string {
  const file = origin.source.slice(Math.max(origin.source.lastIndexOf("/"), origin.source.lastIndexOf("\\")) + 1);
  const dot = file.indexOf(".", 1);
  return `${dot < 0 ? file : file.slice(0, dot)}/${origin.record}`;
}

function copyFeature(feature: Feature): Feature {
  if (typeof feature === "string") return feature;
  if (feature instanceof Uint8Array) return new Uint8Array(feature);
  if (isBytesList(feature)) return feature.map((item) => new Uint8Array(item));
  return "json" in feature ? feature : copyTensor(feature);
}
