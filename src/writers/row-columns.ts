// The samples of a shard of arrays as rows: every feature is a column, and all samples have the features of the first one.

import { KdataError } from "../core/errors.ts";
import { defaultKey, type Feature, type Sample } from "../core/sample.ts";
import { StringColumn, createColumnFile, describeRow, type ArrayLayout, type ColumnFile } from "./column-files.ts";
import { sortedFeatures } from "./sorted-features.ts";

/** The feature that holds the keys, written when one of them is not the default one. */
export const KEY_NAME = "__key__";

/** Where and how a format writes the arrays of a shard. */
export interface RowTarget {
  /** The format, for messages. */
  readonly format: string;
  readonly layout: ArrayLayout;
  /** The path of the shard, without or with its extension: keys are default or not by it. */
  readonly source: string;
  /** The path of a feature's array; `column` counts the arrays from 0. */
  pathOf(feature: string, column: number): string;
  /** Says why the format cannot have a feature of this name; `undefined` when it can. */
  nameRefusal(feature: string): string | undefined;
}

/** Writes samples into one array for each feature. */
export class RowColumns {
  readonly #target: RowTarget;
  readonly #columns = new Map<string, ColumnFile>();
  #keys: StringColumn | undefined;
  #firstKey = "";
  #records = 0;

  constructor(target: RowTarget) {
    this.#target = target;
  }

  /** Bytes taken so far. */
  get bytes(): number {
    let bytes = this.#keys?.bytes ?? 0;
    for (const column of this.#columns.values()) bytes += column.bytes;
    return bytes;
  }

  /** Records taken so far. */
  get records(): number {
    return this.#records;
  }

  /**
   * Adds one sample. It is copied.
   *
   * @throws {KdataError} `shape` when it is unlike the first one or no array holds a feature, `output` when the disk refuses.
   */
  write(sample: Sample): void {
    if (this.#records === 0) this.#start(sample);
    this.#check(sample);
    this.#appendKey(sample.key);
    for (const [name, column] of this.#columns) column.append(sample.features[name] as Feature);
    this.#records++;
  }

  /** Completes the arrays and lists them by name, keys last. Their files are still to be committed or copied. */
  complete(): readonly (readonly [name: string, column: ColumnFile])[] {
    const columns = this.#all();
    for (const [, column] of columns) column.complete(this.#records);
    return columns;
  }

  /** Removes the partial files. */
  abort(): void {
    for (const [, column] of this.#all()) column.abort();
  }

  #all(): (readonly [name: string, column: ColumnFile])[] {
    return [...this.#columns, ...(this.#keys ? [[KEY_NAME, this.#keys] as const] : [])];
  }

  #start(sample: Sample): void {
    // What a first sample began that was then refused says nothing about those that follow.
    this.abort();
    this.#columns.clear();
    this.#keys = undefined;
    const { layout } = this.#target;
    const features = sortedFeatures(sample);
    if (features.length === 0) throw this.#refuse(sample, "a sample without features has no arrays");
    for (const [name, feature] of features) {
      const refusal = name === KEY_NAME ? "the name is reserved for keys" : this.#target.nameRefusal(name);
      if (refusal !== undefined) throw this.#refuse(sample, `feature "${name}" cannot be named so: ${refusal}`);
      const column = createColumnFile(this.#target.pathOf(name, this.#columns.size), feature, layout);
      if (!column) {
        const reason = `feature "${name}" is ${describeRow(feature)}, and ${layout.title} has no array of those`;
        throw this.#refuse(sample, reason);
      }
      this.#columns.set(name, column);
    }
    this.#firstKey = sample.key;
  }

  /** Holds a sample to the features of the first one. */
  #check(sample: Sample): void {
    const { features } = sample;
    for (const [name, column] of this.#columns) {
      const feature = features[name];
      if (feature === undefined) {
        throw this.#refuse(sample, `feature "${name}" of sample "${this.#firstKey}" is missing`);
      }
      if (!column.fits(feature)) {
        const reason = `feature "${name}" is ${describeRow(feature)}, but ${column.row} in sample "${this.#firstKey}"`;
        throw this.#refuse(
          sample,
          reason,
          "The rows of an array are alike: resize or pad first, or choose tfrecord or webdataset.",
        );
      }
      if (typeof feature === "string") this.#checkText(feature, sample, `feature "${name}"`);
    }
    const extra = Object.keys(features).find((name) => !this.#columns.has(name));
    if (extra !== undefined) throw this.#refuse(sample, `feature "${extra}" is not in sample "${this.#firstKey}"`);
    this.#checkText(sample.key, sample, "the key");
  }

  /** Strings are padded with NULs, and readers take the last ones off again. */
  #checkText(text: string, sample: Sample, what: string): void {
    if (text.endsWith("\0")) throw this.#refuse(sample, `${what} ends in NUL, which readers would take off`);
    if (/\p{Surrogate}/u.test(text)) {
      throw this.#refuse(sample, `${what} has half a surrogate pair, which is no character`);
    }
  }

  /** Keys are kept from the first one on that could not be guessed from shard and row. */
  #appendKey(key: string): void {
    if (!this.#keys) {
      if (key === this.#defaultKey(this.#records)) return;
      this.#keys = new StringColumn(this.#target.pathOf(KEY_NAME, this.#columns.size), this.#target.layout);
      for (let record = 0; record < this.#records; record++) this.#keys.append(this.#defaultKey(record));
    }
    this.#keys.append(key);
  }

  #defaultKey(record: number): string {
    return defaultKey({ source: this.#target.source, record });
  }

  #refuse(sample: Sample, reason: string, hint?: string): KdataError {
    return new KdataError("shape", `Cannot write ${this.#target.format}: sample "${sample.key}": ${reason}`, {
      at: sample.origin,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
