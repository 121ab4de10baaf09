// The distribution of each feature over all samples: the rows of `kdata stats`.

import { isBytesList, type Feature, type FeatureKind, type Sample } from "../core/sample.ts";
import type { DType, Tensor } from "../core/tensor.ts";
import { decodeHalf, isHalfDType } from "../core/half-float.ts";
import { widenShape, type Range, type ShapeBounds } from "./bounds.ts";
import { Moments, type Statistics } from "./moments.ts";

/** Labels are counted up to so many different ones; a feature with more is none. */
const MAX_DISTINCT = 1 << 16;

const integerDTypes: ReadonlySet<DType> = new Set([
  "bool",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
]);

/** What the values of one feature have in common. */
export interface FieldStatistics extends Partial<Statistics> {
  /** Samples that have it. */
  readonly seen: number;
  readonly kinds: readonly FeatureKind[];
  /** Of tensors. */
  readonly dtypes: readonly DType[];
  /** Of tensors, axis by axis; absent when they differ in rank. */
  readonly shape?: readonly Range[];
  /**
   * Finite elements of tensors; booleans count as 0 and 1. `min`, `max`, `mean` and `std` (of the population) are theirs and
   * absent when there are none. Integers beyond 2^53 are rounded.
   */
  readonly count?: number;
  /** NaNs among the elements; absent without tensors, and so is `inf`. */
  readonly nan?: number;
  /** Infinities among the elements. */
  readonly inf?: number;
  /** Different values, where every tensor is one integer: labels. Absent when there are more than 65,536. */
  readonly distinct?: number;
  /** Bytes of a value: of bytes, of the items of lists, of strings in UTF-8. */
  readonly bytes?: Statistics;
  /** Items of lists. */
  readonly items?: Statistics;
}

/** Collects statistics, sample by sample. */
export interface StatisticsCollector {
  /** Takes note of a sample. Its memory may be reused afterwards. */
  add(sample: Sample): void;
  /** The statistics by feature, in the order the features were first seen. */
  fields(): Readonly<Record<string, FieldStatistics>>;
}

/** Starts with no samples. */
export function collectStatistics(): StatisticsCollector {
  const fields = new Map<string, Field>();
  return {
    add({ features }) {
      for (const [name, feature] of Object.entries(features)) {
        let field = fields.get(name);
        if (field === undefined) fields.set(name, (field = new Field()));
        field.add(feature);
      }
    },
    fields() {
      const report = Object.create(null) as Record<string, FieldStatistics>;
      for (const [name, field] of fields) report[name] = field.statistics();
      return report;
    },
  };
}

class Field {
  #seen = 0;
  readonly #kinds = new Set<FeatureKind>();
  readonly #dtypes = new Set<DType>();
  #shape: ShapeBounds;
  readonly #elements = new Moments();
  readonly #bytes = new Moments();
  readonly #items = new Moments();
  /** `undefined` once it is known that the values are no labels. */
  #labels: Set<number | bigint> | undefined = new Set();
  #scratch = new Float64Array(0);

  add(feature: Feature): void {
    this.#seen++;
    if (typeof feature === "string") {
      this.#kinds.add("string");
      this.#bytes.add(Buffer.byteLength(feature));
    } else if (feature instanceof Uint8Array) {
      this.#kinds.add("bytes");
      this.#bytes.add(feature.length);
    } else if (isBytesList(feature)) {
      this.#kinds.add("list");
      this.#items.add(feature.length);
      for (const item of feature) this.#bytes.add(item.length);
    } else if ("json" in feature) {
      this.#kinds.add("json");
    } else {
      this.#kinds.add("tensor");
      this.#addTensor(feature);
    }
  }

  statistics(): FieldStatistics {
    const isNumeric = this.#kinds.has("tensor");
    const [bytes, items] = [this.#bytes.statistics(), this.#items.statistics()];
    return {
      seen: this.#seen,
      kinds: [...this.#kinds],
      dtypes: [...this.#dtypes],
      ...(Array.isArray(this.#shape) && { shape: this.#shape.map(({ min, max }) => ({ min, max })) }),
      ...(isNumeric && { count: 0, ...this.#elements.statistics(), nan: this.#elements.nan, inf: this.#elements.inf }),
      ...(isNumeric && this.#labels && { distinct: this.#labels.size }),
      ...(bytes && { bytes }),
      ...(items && { items }),
    };
  }

  #addTensor(tensor: Tensor): void {
    const { dtype, shape, data } = tensor;
    this.#dtypes.add(dtype);
    this.#shape = widenShape(this.#shape, shape);
    this.#noteLabel(tensor);
    const values = this.#numbersOf(tensor);
    if (data.length === 1) this.#elements.add(values[0] ?? NaN);
    else this.#elements.addAll(values);
  }

  #noteLabel({ dtype, data }: Tensor): void {
    if (this.#labels === undefined) return;
    const [value] = data;
    if (data.length !== 1 || value === undefined || !integerDTypes.has(dtype)) this.#labels = undefined;
    else if (this.#labels.add(value).size > MAX_DISTINCT) this.#labels = undefined;
  }

  /** The elements as numbers: as they are, or in memory that the next call reuses. */
  #numbersOf({ dtype, data }: Tensor): ArrayLike<number> {
    const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
    if (!isBig && !isHalfDType(dtype)) return data;
    if (this.#scratch.length < data.length) this.#scratch = new Float64Array(data.length);
    const numbers = this.#scratch.subarray(0, data.length);
    for (let i = 0; i < data.length; i++) {
      const element = data[i] ?? NaN;
      numbers[i] = isHalfDType(dtype) ? decodeHalf(dtype, Number(element)) : Number(element);
    }
    return numbers;
  }
}
