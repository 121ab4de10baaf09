// Delimited text (https://www.rfc-editor.org/rfc/rfc4180) whose header says the types of its columns: `label:int64`.

import { existsSync } from "node:fs";

import { KdataError } from "../core/errors.ts";
import { defaultKey, type Feature, type Sample } from "../core/sample.ts";
import { columnText, KEY_NAME, typeText } from "../readers/csv-columns.ts";
import { checkUnicode } from "../readers/text.ts";
import { cellText, columnTypeOf } from "./csv-cells.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { PartialFile } from "./output.ts";
import type { ByteSink } from "./sink.ts";
import { sortedFeatures } from "./sorted-features.ts";

/** Comma-separated values, as {@link writableDelimited} writes them. */
export const writableCsv = writableDelimited("csv", ",");

/** Tab-separated values, quoted as CSV is. */
export const writableTsv = writableDelimited("tsv", "\t");

/**
 * Makes a writer of delimited text, uncompressed, with lines that end in LF. Every sample must have the features of the first one, of
 * the same kind, dtype and shape; lists and samples without features are refused. A column `__key__` stands first when a
 * key is not the default one of the written shard, and always in a stream, which cannot be gone back in. Columns are sorted by name, so equal samples give equal bytes.
 */
function writableDelimited(name: string, delimiter: string): WritableFormat {
  function pathOf(stem: string): string {
    return `${stem}.${name}`;
  }
  return {
    name,
    extension: name,
    paths: (stem) => [pathOf(stem)],
    existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
    stream: (sink) => new DelimitedWriter(name, delimiter, sink),
    create: (stem) => new DelimitedWriter(name, delimiter, new PartialFile(pathOf(stem))),
  };
}

/** What a cell holds only in quotes: the delimiters of both formats, so that neither is taken for the other. */
const SPECIAL = /["\r\n,\t]/;

/** What the first sample was like, and so must all be. */
interface Layout {
  readonly key: string;
  /** The type of each feature, as text. */
  readonly types: ReadonlyMap<string, string>;
}

class DelimitedWriter implements ShardWriter {
  readonly #name: string;
  readonly #delimiter: string;
  readonly #file: ByteSink;
  /** The same where it is a file: a column of keys can be put into what was written already. */
  readonly #patchable: PartialFile | undefined;
  #layout: Layout | undefined;
  #records = 0;
  #hasKeys: boolean;
  /** The length of the header and of each row, as long as there is no column of keys. */
  readonly #rowBytes: number[] = [];

  constructor(name: string, delimiter: string, file: ByteSink) {
    this.#name = name;
    this.#delimiter = delimiter;
    this.#file = file;
    this.#patchable = file instanceof PartialFile ? file : undefined;
    this.#hasKeys = this.#patchable === undefined;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  get records(): number {
    return this.#records;
  }

  write(sample: Sample): void {
    const features = sortedFeatures(sample);
    const layout = this.#layout ?? this.#layoutOf(sample, features);
    this.#check(sample, features, layout);
    checkUnicode(sample.key, `${this.#label(sample)}: the key`);
    const cells = features.map(([name, feature]) => {
      // Lists are refused already.
      return cellText(feature as Exclude<Feature, readonly Uint8Array[]>, `${this.#label(sample)}, feature "${name}"`);
    });
    if (!this.#layout) this.#append(this.#headerText(layout));
    this.#layout = layout;
    const wantsKeys = !this.#hasKeys && sample.key !== this.#defaultKey(this.#records);
    if (wantsKeys && this.#patchable) this.#insertKeys(this.#patchable);
    this.#append(this.#rowText(this.#hasKeys ? [sample.key, ...cells] : cells));
    this.#records++;
  }

  finish(): WrittenShard {
    this.#file.commit();
    return { files: [{ path: this.#file.path, bytes: this.#file.bytes }], records: this.#records };
  }

  abort(): void {
    this.#file.abort();
  }

  #append(row: string): void {
    const bytes = Buffer.from(row);
    this.#file.append(bytes);
    if (!this.#hasKeys) this.#rowBytes.push(bytes.length);
  }

  /** Puts the column of keys before what was written without it: from the last row back to the header, each moves by what is inserted. */
  #insertKeys(file: PartialFile): void {
    this.#hasKeys = true;
    let from = file.bytes;
    for (let row = 0; row < this.#rowBytes.length; row++) file.appendZeros(this.#keyCell(row).length);
    let to = file.bytes;
    for (let row = this.#rowBytes.length - 1; row >= 0; row--) {
      const length = this.#rowBytes[row] as number;
      const cell = this.#keyCell(row);
      const moved = new Uint8Array(cell.length + length);
      moved.set(cell);
      from -= length;
      to -= moved.length;
      file.read(moved.subarray(cell.length), from);
      file.patch(to, moved);
    }
    this.#rowBytes.length = 0;
  }

  /** The first cell of the header, which is row 0, or of a row that has the default key. */
  #keyCell(row: number): Uint8Array {
    const cell = row === 0 ? columnText(KEY_NAME, { kind: "string" }) : this.#defaultKey(row - 1);
    return Buffer.from(`${quoted(cell)}${this.#delimiter}`);
  }

  #defaultKey(record: number): string {
    return defaultKey({ source: this.#file.path, record });
  }

  #layoutOf(sample: Sample, features: readonly (readonly [string, Feature])[]): Layout {
    if (features.length === 0) throw this.#refuse(sample, "a sample without features has no columns");
    const types = new Map<string, string>();
    for (const [name, feature] of features) {
      if (name === KEY_NAME) throw this.#refuse(sample, `feature "${name}": a reserved name`);
      checkUnicode(name, `${this.#label(sample)}: the name of a feature`);
      types.set(name, this.#typeOf(sample, name, feature));
    }
    return { key: sample.key, types };
  }

  /** Holds a sample to the features of the first one. */
  #check(sample: Sample, features: readonly (readonly [string, Feature])[], { key, types }: Layout): void {
    for (const [name, feature] of features) {
      const expected = types.get(name);
      if (expected === undefined) throw this.#refuse(sample, `feature "${name}" is not in sample "${key}"`);
      const found = this.#typeOf(sample, name, feature);
      if (found === expected) continue;
      const reason = `feature "${name}" is ${found}, but ${expected} in sample "${key}"`;
      throw this.#refuse(sample, reason, "The cells of a column are alike: convert them first, or choose jsonl.");
    }
    if (features.length === types.size) return;
    const missing = [...types.keys()].find((name) => sample.features[name] === undefined);
    throw this.#refuse(sample, `feature "${missing}" of sample "${key}" is missing`);
  }

  #typeOf(sample: Sample, name: string, feature: Feature): string {
    const type = columnTypeOf(feature);
    if (type === undefined) throw this.#refuse(sample, `feature "${name}" is a list, and a cell holds one value`);
    return typeText(type);
  }

  #headerText({ types }: Layout): string {
    const cells = [...types].map(([name, type]) => `${name}:${type}`);
    const row = this.#rowText(this.#hasKeys ? [columnText(KEY_NAME, { kind: "string" }), ...cells] : cells);
    // The first character of a file would be taken for a byte order mark.
    return row.startsWith("\ufeff") ? row.replace(/^[^,\t\n]*/, (cell) => `"${cell}"`) : row;
  }

  #rowText(cells: readonly string[]): string {
    // Some readers pass over empty lines.
    if (cells.length === 1 && cells[0] === "") return '""\n';
    return `${cells.map(quoted).join(this.#delimiter)}\n`;
  }

  #refuse(sample: Sample, reason: string, hint?: string): KdataError {
    return new KdataError("shape", `${this.#label(sample)}: ${reason}`, {
      at: sample.origin,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  #label(sample: Sample): string {
    return `Cannot write ${this.#name}: sample "${sample.key}"`;
  }
}

function quoted(cell: string): string {
  return SPECIAL.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
