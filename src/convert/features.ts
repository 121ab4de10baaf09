// Which features of a sample are written, and under which names.

import { isUtf8 } from "node:buffer";

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { emptyFeatures, isTensor, type Feature, type Sample } from "../core/sample.ts";
import type { ConvertOptions } from "./options.ts";

/** Maps a sample to the sample to write. The memory of its features is shared. */
export type FeatureMap = (sample: Sample) => Sample;

/**
 * Makes the map that `select`, `drop`, `rename` and `key` describe; a map that changes nothing when there are none.
 *
 * Features come out in the order of the sample. Every name must be one of the first sample that is mapped; later samples may
 * lack it, as they may lack any feature. With `isBegun` the names have been checked: another part of the data went first.
 *
 * @throws {KdataError} `usage` when `select` and `drop` come together, when a name is in none of the features, or when
 *   renaming gives two features one name.
 */
export function featureMap(
  options: Pick<ConvertOptions, "select" | "drop" | "rename" | "key">,
  isBegun = false,
): FeatureMap {
  const { select, drop, rename, key } = options;
  if (!select && !drop && !rename && key === undefined) return (sample) => sample;
  if (select && drop) throw new KdataError("usage", "Cannot convert: select and drop do not go together");
  const selected = select && new Set(select);
  const dropped = new Set(drop);
  const names = new Map(Object.entries(rename ?? {}));
  for (const name of names.keys()) {
    if (!dropped.has(name) && (!selected || selected.has(name))) continue;
    throw new KdataError("usage", `Cannot rename feature ${JSON.stringify(name)}: it is left out`);
  }
  let isFirst = !isBegun;
  return (sample) => {
    if (isFirst) {
      checkNames("select", select ?? [], sample);
      checkNames("drop", drop ?? [], sample);
      checkNames("rename", names.keys(), sample);
      checkNames("take the key from", key === undefined ? [] : [key], sample);
      isFirst = false;
    }
    const features = emptyFeatures();
    for (const [name, feature] of Object.entries(sample.features)) {
      if (dropped.has(name) || (selected && !selected.has(name))) continue;
      const newName = names.get(name) ?? name;
      if (newName in features) {
        throw new KdataError("usage", `Cannot rename features: two features get the name ${JSON.stringify(newName)}`);
      }
      features[newName] = feature;
    }
    return { key: key === undefined ? sample.key : keyOf(key, sample), origin: sample.origin, features };
  };
}

/** Takes the key from a feature of the input, whatever becomes of that feature. */
function keyOf(name: string, sample: Sample): string {
  const feature = sample.features[name];
  const text = feature === undefined ? undefined : textOf(feature);
  if (text !== undefined && text !== "") return text;
  const reason = feature === undefined ? "it is missing" : text === "" ? "it is empty" : "it is no text";
  throw new KdataError("shape", `Cannot take the key from feature ${JSON.stringify(name)}: ${reason}`, {
    at: sample.origin,
  });
}

/** The text of a string, of UTF-8 bytes or of one whole number; `undefined` where there is none. */
function textOf(feature: Feature): string | undefined {
  if (typeof feature === "string") return feature;
  if (feature instanceof Uint8Array) return isUtf8(feature) ? Buffer.from(feature).toString("utf8") : undefined;
  if (isTensor(feature)) {
    return /^u?int/.test(feature.dtype) && feature.data.length === 1 ? String(feature.data[0]) : undefined;
  }
  return "json" in feature && typeof feature.json === "string" ? feature.json : undefined;
}

function checkNames(option: string, names: Iterable<string>, sample: Sample): void {
  const known = Object.keys(sample.features);
  for (const name of names) {
    if (known.includes(name)) continue;
    const nearest = nearestName(name, known);
    throw new KdataError(
      "usage",
      `Cannot ${option} feature ${JSON.stringify(name)}: the data has ${known.join(", ")}`,
      {
        at: sample.origin,
        ...(nearest === undefined ? {} : { hint: `Did you mean ${nearest}?` }),
      },
    );
  }
}
