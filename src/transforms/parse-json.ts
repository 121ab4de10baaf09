// Text as the value that it says in JSON, whole or one field of it.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames } from "../core/options.ts";
import { emptyFeatures, featureKind, type Feature, type JsonValue, type Sample } from "../core/sample.ts";
import { zeros } from "../core/tensor.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** What {@link parseJson} makes of a value. */
export interface ParseJsonSettings {
  /**
   * Fields to take out of the object as features of their own, in place of the feature; new name and name of the field, or names that
   * stay. A number becomes a float64 scalar, true and false a bool scalar, a string a string; all else stays JSON.
   */
  readonly fields?: Readonly<Record<string, string>> | readonly string[];
}

/** The description that {@link parseJson} returns. */
export interface ParseJsonDescription {
  readonly transform: "parseJson";
  readonly feature: string;
  readonly fields?: readonly (readonly [name: string, field: string])[];
}

/**
 * Parses a string, or bytes in UTF-8, as JSON: the feature becomes a JSON value, or gives way to fields of it. What is JSON already is
 * taken as it is.
 *
 * @throws {KdataError} for each sample: `format` when it is no JSON, `shape` when it is another kind of feature or lacks a field.
 *
 * @example
 * const made = applyTransform(parseJson("json", { fields: ["text", "score"] }), { json: '{"text": "fine", "score": 0.5}' });
 * assert.deepEqual([made.text, made.score.data[0]], ["fine", 0.5]);
 */
export function parseJson(feature: string, settings: ParseJsonSettings = {}): ParseJsonDescription {
  checkOptionNames(`Cannot parse '${feature}'`, settings, ["fields"]);
  const { fields } = settings;
  if (fields === undefined) return { transform: "parseJson", feature };
  const pairs = isList(fields) ? fields.map((name) => [name, name] as const) : Object.entries(fields);
  return { transform: "parseJson", feature, fields: pairs };
}

/** Builds the transform that {@link parseJson} describes. */
export function buildParseJson({ feature, fields }: ParseJsonDescription): Transform {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return (sample) => {
    const json = valueOf(requireFeature(sample, feature, "parse"), feature, sample, decoder);
    if (!fields) return replaceFeature(sample, feature, { json });
    const features = emptyFeatures();
    for (const name in sample.features) if (name !== feature) features[name] = sample.features[name] as Feature;
    for (const [name, field] of fields) features[name] = fieldOf(json, field, feature, sample);
    return { key: sample.key, origin: sample.origin, features };
  };
}

function valueOf(
  source: Feature,
  feature: string,
  sample: Sample,
  decoder: InstanceType<typeof TextDecoder>,
): JsonValue {
  const kind = featureKind(source);
  if (kind === "json") return (source as { readonly json: JsonValue }).json;
  if (kind !== "string" && kind !== "bytes") {
    throw new KdataError("shape", `Cannot parse '${feature}': it is ${kind}, not a string or bytes`, {
      at: sample.origin,
    });
  }
  try {
    return JSON.parse(typeof source === "string" ? source : decoder.decode(source as Uint8Array)) as JsonValue;
  } catch (cause) {
    throw new KdataError("format", `Cannot parse '${feature}': it is no JSON`, { at: sample.origin, cause });
  }
}

function fieldOf(json: JsonValue, field: string, feature: string, sample: Sample): Feature {
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
  if (!isObject || !Object.hasOwn(json, field)) {
    throw new KdataError("shape", `Cannot parse '${feature}': its value has no field '${field}'`, {
      at: sample.origin,
    });
  }
  const value = (json as Readonly<Record<string, JsonValue>>)[field] as JsonValue;
  if (typeof value === "string") return value;
  if (typeof value !== "number" && typeof value !== "boolean") return { json: value };
  const scalar = zeros(typeof value === "number" ? "float64" : "bool", []);
  scalar.data[0] = Number(value);
  return scalar;
}

function isList(names: Readonly<Record<string, string>> | readonly string[]): names is readonly string[] {
  return Array.isArray(names);
}
