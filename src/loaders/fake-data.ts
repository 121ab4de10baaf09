// Data that no file holds: random samples, each a function of (seed, record), to measure a loader or a model by itself.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import { deriveKey, deriveKeyFromName, type RandomKey } from "../core/random.ts";
import { emptyFeatures, type Sample } from "../core/sample.ts";
import { elementCount, sameShape, tensor } from "../core/tensor.ts";
import type { ColumnRows, ColumnSpec } from "../readers/format.ts";
import { RandomFiller, type RandomPlace } from "../kernels/random.ts";

/** What a random feature holds: float32 of a standard normal distribution, or int32 in `[0, below)`. */
export type FakeFeature =
  | { readonly dtype: "float32"; readonly shape: readonly number[] }
  | { readonly dtype: "int32"; readonly shape: readonly number[]; readonly below: number };

/** Settings of {@link fakeData}. */
export interface FakeDataOptions {
  readonly samples: number;
  readonly features: Readonly<Record<string, FakeFeature>>;
  /** Default 0. */
  readonly seed?: number;
}

/** The description that {@link fakeData} returns: plain data, which can cross a thread. */
export interface FakeData extends Required<FakeDataOptions> {
  readonly kind: "fakeData";
}

const MOST_ELEMENTS = 2 ** 28; // of one feature of one sample: a gibibyte

/**
 * Describes a data set of random samples, which `loader` takes in place of a pattern of files. Each is made anew whenever it is read, in the worker that
 * reads it, and depends on the seed, its number and the feature's name alone.
 *
 * @throws {RangeError} when a number is out of its range or there is no feature.
 * @throws {KdataError} `usage` when there is no such option.
 *
 * @example
 * const data = fakeData({ samples: 10, features: { x: { dtype: "float32", shape: [4] } } });
 * const batches = await loader(data, { batchSize: 4 });
 * for await (const batch of batches) assert.equal(batch.features.x.shape[1], 4);
 */
export function fakeData(options: FakeDataOptions): FakeData {
  const action = "Cannot make fake data";
  checkOptionNames(action, options, ["samples", "features", "seed"]);
  const { samples, features, seed = 0 } = options;
  checkWhole(action, "samples", samples, 0);
  checkWhole(action, "seed", seed, 0);
  if (Object.keys(features).length === 0) throw new RangeError(`${action}: it has no features`);
  for (const [name, feature] of Object.entries(features)) {
    for (const size of feature.shape) checkWhole(action, `a size of '${name}'`, size, 0);
    checkWhole(action, `the number of elements of '${name}'`, elementCount(feature.shape), 0, MOST_ELEMENTS);
    if (feature.dtype === "int32") checkWhole(action, `'below' of '${name}'`, feature.below, 1, 2 ** 31);
  }
  return { kind: "fakeData", samples, features, seed };
}

/** Makes the samples of fake data by their numbers. */
export class FakeReader {
  readonly #features: readonly (readonly [name: string, feature: FakeFeature, key: RandomKey])[];
  readonly #filler = new RandomFiller();
  /** Numbers before they are made whole. */
  #shares = new Float32Array(0);

  constructor({ features, seed }: FakeData) {
    this.#features = Object.entries(features).map(([name, feature]) => {
      return [name, feature, deriveKey(...deriveKeyFromName(seed, name))] as const;
    });
  }

  /** Makes one sample; its memory is its own. */
  read(record: number): Sample {
    const features = emptyFeatures();
    for (const [name, feature, key] of this.#features) {
      const count = elementCount(feature.shape);
      if (feature.dtype === "float32") {
        const drawn = new Float32Array(count);
        this.#filler.normal(drawn, { key, step: record });
        features[name] = tensor("float32", feature.shape, drawn);
      } else {
        const drawn = new Int32Array(count);
        this.#drawWhole(drawn, feature.below, { key, step: record });
        features[name] = tensor("int32", feature.shape, drawn);
      }
    }
    return { key: String(record), origin: { source: "fake data", record }, features };
  }

  /** Makes samples in the rows from the first one on. Says whether these are their columns. */
  readRows(records: Float64Array, columns: readonly ColumnSpec[], { columns: targets, keys }: ColumnRows): boolean {
    if (columns.length !== this.#features.length) return false;
    for (const [i, { name, dtype, shape }] of columns.entries()) {
      const [known, feature, key] = this.#features[i] ?? [];
      const target = targets[i];
      if (known !== name || feature?.dtype !== dtype || key === undefined || !sameShape(shape, feature.shape))
        return false;
      const count = elementCount(shape);
      for (let row = 0; row < records.length; row++) {
        const place = { key, step: records[row] as number };
        const part = target?.subarray(row * count, (row + 1) * count);
        if (feature.dtype === "float32" && part instanceof Float32Array) this.#filler.normal(part, place);
        else if (feature.dtype === "int32" && part instanceof Int32Array) this.#drawWhole(part, feature.below, place);
        else return false;
      }
    }
    for (const record of records) keys?.push(String(record));
    return true;
  }

  #drawWhole(target: Int32Array, below: number, place: RandomPlace): void {
    if (this.#shares.length < target.length) this.#shares = new Float32Array(target.length);
    const shares = this.#shares.subarray(0, target.length);
    this.#filler.uniform(shares, place);
    for (let i = 0; i < target.length; i++) target[i] = Math.floor((shares[i] as number) * below);
  }
}
