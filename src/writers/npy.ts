// NPY shards: one array for each feature, `<shard>.<feature>.npy`, whose rows are the samples.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { basename, dirname, join } from "node:path";

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { npyLayout } from "./npy-layout.ts";
import { commitTogether, listOutputs } from "./output.ts";
import { KEY_NAME, RowColumns } from "./row-columns.ts";

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
  readonly #rows: RowColumns;

  constructor(stem: string) {
    this.#stem = stem;
    this.#rows = new RowColumns({
      format: "npy",
      layout: npyLayout,
      source: stem,
      pathOf: this.#pathOf,
      nameRefusal: (feature) => (feature === "" || /\p{Surrogate}/u.test(feature) ? "no file can" : undefined),
    });
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  get records(): number {
    return this.#rows.records;
  }

  write(sample: Sample): void {
    if (this.records === 0) this.#refuseOthers([...Object.keys(sample.features), KEY_NAME].map(this.#pathOf));
    this.#rows.write(sample);
  }

  finish(): WrittenShard {
    const files = this.#rows.complete().map(([, { file }]) => file);
    this.#refuseOthers(files.map(({ path }) => path));
    commitTogether(files);
    return { files: files.map(({ path, bytes }) => ({ path, bytes })), records: this.records };
  }

  abort(): void {
    this.#rows.abort();
  }

  readonly #pathOf = (feature: string): string => `${this.#stem}.${encodeFeatureName(feature)}${EXTENSION}`;

  /** Refuses arrays beside the shard that are not of it: they would be read as columns of it, and may be somebody else's. */
  #refuseOthers(columns: readonly string[]): void {
    const own = new Set(columns.map((path) => basename(path)));
    const other = existingArrays(this.#stem).find((path) => !own.has(basename(path)));
    if (other === undefined) return;
    throw new KdataError("exists", "Cannot write npy: the array would be read as a column of the new shard", {
      at: { source: other },
      hint: "Remove it, or choose another output.",
    });
  }
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
