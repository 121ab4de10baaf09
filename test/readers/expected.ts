// Samples in the form that the fixtures' `<file>.expected.json` have, so that the two can be compared.

import { readFileSync } from "node:fs";
import { featureKind, isBytesList, type Feature, type Sample } from "../../src/core/sample.ts";

/** What the reference reader gave for a fixture: an array of samples. */
export function expectedSamples(path: string, suffix = "expected"): unknown {
  return JSON.parse(readFileSync(`${path}.${suffix}.json`, "utf8"));
}

/** A sample as the reference readers' scripts write it. */
export function describeSample(sample: Sample): unknown {
  const features: Record<string, unknown> = {};
  for (const [name, feature] of Object.entries(sample.features)) {
    Object.defineProperty(features, name, { value: describeFeature(feature), enumerable: true });
  }
  return { key: sample.key, features };
}

function describeFeature(feature: Feature): unknown {
  const kind = featureKind(feature);
  if (typeof feature === "string") return { kind, value: feature };
  if (feature instanceof Uint8Array) return { kind, base64: base64(feature) };
  if (isBytesList(feature)) return { kind, base64: feature.map(base64) };
  if ("json" in feature) return { kind, value: feature.json };
  const data = Array.from(feature.data as ArrayLike<number | bigint>, describeElement);
  return { kind, dtype: feature.dtype, shape: [...feature.shape], data };
}

function describeElement(value: number | bigint): unknown {
  return typeof value === "bigint" || !Number.isFinite(value) ? String(value) : value;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
