// NPY shards: one array for each feature, `<shard>.<feature>.npy`, whose rows are the samples.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { basename, dirname, join } from "node:path";

import { KdataError } from "../core/errors.ts";
import { defaultKey, type Feature, type Sample } from "../core/sample.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { StringColumn, createNpyColumn, describeRow, type NpyColumn } from "./npy-columns.ts";
import { commitTogether, listOutputs } from "./output.ts";
import { sortedFeatures } from "./sorted-features.ts";

/** The feature that holds the keys, written when one of them is not the default one. */
const KEY_NAME = "__key__";
const EXTENSION = ".npy";

/**
 * NPY arrays, version 1.0. Every sample must have the features of the first one, with the same dtype, shape and length of
 * bytes; lists, JSON, bfloat16 and strings that end in NUL are refused, and so are other arrays under the shard's name that are
 * there already. The arrays of a shard get their final names together.
 */
export const writableNpy: WritableFormat = {
  name: "npy",
  extension: "npy",
  paths: () => undefined,
  existing: existingArrays,
  create: (stem) => new NpyWriter(stem),
};

class NpyWriter implements ShardWriter {
  readonly #stem: string;
  readonly #columns = new Map<string, NpyColumn>();
  #keys: StringColumn | undefined;
  #firstKey = "";
  #records = 0;

  constructor(stem: string) {
    this.#stem = stem;
  }

  get bytes(): number {
    let bytes = this.#keys?.bytes ?? 0;
    for (const column of this.#columns.values()) bytes += column.bytes;
    return bytes;
  }

  get records(): number {
    return this.#records;
  }

  write(sample: Sample): void {
    if (this.#records === 0) {
      const names = [...Object.keys(sample.features), KEY_NAME];
      refuseOthers(
        this.#stem,
        names.map((name) => this.#pathOf(name)),
      );
      this.#start(sample);
    }
    this.#check(sample);
    this.#appendKey(sample.key);
    for (const [name, column] of this.#columns) column.append(sample.features[name] as Feature);
    this.#records++;
  }

  finish(): WrittenShard {
    const columns = this.#all();
    for (const column of columns) column.complete(this.#records);
    refuseOthers(
      this.#stem,
      columns.map(({ file }) => file.path),
    );
    commitTogether(columns.map(({ file }) => file));
    return { files: columns.map(({ file }) => ({ path: file.path, bytes: file.bytes })), records: this.#records };
  }

  abort(): void {
    for (const column of this.#all()) column.abort();
  }

  #all(): readonly NpyColumn[] {
    return [...this.#columns.values(), ...(this.#keys ? [this.#keys] : [])];
  }

  #start(sample: Sample): void {
    // What a first sample began that was then refused says nothing about those that follow.
    this.abort();
    this.#columns.clear();
    this.#keys = undefined;
    const features = sortedFeatures(sample);
    if (features.length === 0) throw refuse(sample, "a sample without features has no arrays");
    for (const [name, feature] of features) {
      if (name === "" || name === KEY_NAME || /\p{Surrogate}/u.test(name)) {
        throw refuse(sample, `feature "${name}" cannot be named so in the name of a file`);
      }
      const column = createNpyColumn(this.#pathOf(name), feature);
      if (!column) throw refuse(sample, `feature "${name}" is ${describeRow(feature)}, and NPY has no array of those`);
      this.#columns.set(name, column);
    }
    this.#firstKey = sample.key;
  }

  /** Holds a sample to the features of the first one. */
  #check(sample: Sample): void {
    const { features } = sample;
    for (const [name, column] of this.#columns) {
      const feature = features[name];
      if (feature === undefined) throw refuse(sample, `feature "${name}" of sample "${this.#firstKey}" is missing`);
      if (!column.fits(feature)) {
        const reason = `feature "${name}" is ${describeRow(feature)}, but ${column.row} in sample "${this.#firstKey}"`;
        throw refuse(
          sample,
          reason,
          "The rows of an array are alike: resize or pad first, or choose tfrecord or webdataset.",
        );
      }
      if (typeof feature === "string") checkText(feature, sample, `feature "${name}"`);
    }
    const extra = Object.keys(features).find((name) => !this.#columns.has(name));
    if (extra !== undefined) throw refuse(sample, `feature "${extra}" is not in sample "${this.#firstKey}"`);
    checkText(sample.key, sample, "the key");
  }

  /** Keys are kept from the first one on that could not be guessed from shard and row. */
  #appendKey(key: string): void {
    if (!this.#keys) {
      if (key === this.#defaultKey(this.#records)) return;
      this.#keys = new StringColumn(this.#pathOf(KEY_NAME));
      for (let record = 0; record < this.#records; record++) this.#keys.append(this.#defaultKey(record));
    }
    this.#keys.append(key);
  }

  #defaultKey(record: number): string {
    return defaultKey({ source: this.#stem, record });
  }

  #pathOf(feature: string): string {
    return `${this.#stem}.${encodeFeatureName(feature)}${EXTENSION}`;
  }
}

/** numpy pads strings with NULs and takes the last ones off again. */
function checkText(text: string, sample: Sample, what: string): void {
  if (text.endsWith("\0")) throw refuse(sample, `${what} ends in NUL, which numpy would take off`);
  if (/\p{Surrogate}/u.test(text)) throw refuse(sample, `${what} has half a surrogate pair, which is no character`);
}

/** Percent-encodes what is not a plain character of file names, the dot before the feature included. */
function encodeFeatureName(name: string): string {
  return encodeURIComponent(name).replace(/[.!~*'()]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

function existingArrays(stem: string): readonly string[] {
  const prefix = `${basename(stem)}.`;
  return listOutputs(dirname(stem))
    .filter((file) => {
      const feature = file.slice(prefix.length, -EXTENSION.length);
      return file.startsWith(prefix) && file.endsWith(EXTENSION) && feature !== "" && !feature.includes(".");
    })
    .map((file) => join(dirname(stem), file));
}

/** Refuses arrays beside the shard that are not of it: they would be read as columns of it, and may be somebody else's. */
function refuseOthers(stem: string, columns: readonly string[]): void {
  const own = new Set(columns.map((path) => basename(path)));
  const other = existingArrays(stem).find((path) => !own.has(basename(path)));
  if (other === undefined) return;
  throw new KdataError("exists", "Cannot write npy: the array would be read as a column of the new shard", {
    at: { source: other },
    hint: "Remove it, or choose another output.",
  });
}

function refuse(sample: Sample, reason: string, hint?: string): KdataError {
  return new KdataError("shape", `Cannot write npy: sample "${sample.key}": ${reason}`, {
    at: sample.origin,
    ...(hint === undefined ? {} : { hint }),
  });
}
