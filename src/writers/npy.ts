// NPY shards: one array for each feature, `<shard>.<feature>.npy`, whose rows are the samples.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { basename, dirname, join } from "node:path";

import type { Sample } from "../core/sample.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { npyLayout } from "./npy-layout.ts";
import { commitTogether, listOutputs } from "./output.ts";
import { RowColumns } from "./row-columns.ts";

const EXTENSION = ".npy";

/**
 * NPY arrays, version 1.0. Every sample must have the features of the first one, with the same dtype, shape and length of
 * bytes; lists, JSON, bfloat16 and strings that end in NUL are refused. The arrays of a shard get their final names together.
 */
export const writableNpy: WritableFormat = {
  name: "npy",
  extension: "npy",
  paths: () => undefined,
  existing: existingArrays,
  create: (stem) => new NpyWriter(stem),
};

class NpyWriter implements ShardWriter {
  readonly #rows: RowColumns;

  constructor(stem: string) {
    this.#rows = new RowColumns({
      format: "npy",
      layout: npyLayout,
      source: stem,
      pathOf: (feature) => `${stem}.${encodeFeatureName(feature)}${EXTENSION}`,
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
    this.#rows.write(sample);
  }

  finish(): WrittenShard {
    const files = this.#rows.complete().map(([, { file }]) => file);
    commitTogether(files);
    return { files: files.map(({ path, bytes }) => ({ path, bytes })), records: this.records };
  }

  abort(): void {
    this.#rows.abort();
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
