// Parquet files (https://parquet.apache.org/docs/file-format/): a column for each feature, in row groups that fit into memory.

import type { ColumnChunk, FileMetaData, RowGroup } from "hyparquet";
import { ByteWriter } from "hyparquet-writer/src/bytewriter.js";
import { writeMetadata } from "hyparquet-writer/src/metadata.js";
import { existsSync } from "node:fs";

import { KdataError } from "../core/errors.ts";
import { defaultKey, featureKind, isTensor, type Feature, type Sample } from "../core/sample.ts";
import { sameShape } from "../core/tensor.ts";
import {
  KEY_NAME,
  NOTES_NAME,
  SHAPE_PREFIX,
  encodeNotes,
  storedDType,
  type ParquetNote,
} from "../readers/parquet-notes.ts";
import { checkUnicode } from "../readers/text.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { PartialFile } from "./output.ts";
import {
  ColumnPages,
  keyStorage,
  labelOf,
  schemaOf,
  shapeStorage,
  storageOf,
  storedShape,
  storedValue,
  type ColumnStorage,
  type StoredValue,
} from "./parquet-column.ts";
import { sortedFeatures } from "./sorted-features.ts";

/**
 * What a row group takes before it is compressed: readers decode one at a time, and random access pays for all of it. The writer has so
 * much in memory.
 */
const ROW_GROUP_BYTES = 16 << 20;
const MAGIC = Buffer.from("PAR1");

/**
 * Parquet, compressed with snappy where that saves something, with a checksum in every page. Every kind of feature can be written, but
 * a feature must be of one kind and dtype in all samples of a shard; samples may lack it. Columns are sorted by name, so equal samples
 * give equal bytes.
 */
export const writableParquet: WritableFormat = {
  name: "parquet",
  extension: "parquet",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  create: (stem) => new ParquetShardWriter(pathOf(stem)),
};

/** A column of the file. */
interface Column {
  readonly storage: ColumnStorage;
  /** What all its values are, and the sample that said so; `undefined` for the columns of kdata's own. */
  readonly first: { readonly what: string; readonly key: string } | undefined;
  /** What must be noted beside it; for lists of rank 1 only when a sample needs it. */
  note: ParquetNote | undefined;
  /** Its place in the row groups that are written already. */
  readonly chunks: Map<number, ColumnChunk>;
  pages: ColumnPages;
}

/** A value that a sample has for a column. */
type Entry = readonly [name: string, storage: ColumnStorage, value: StoredValue];

class ParquetShardWriter implements ShardWriter {
  readonly #file: PartialFile;
  readonly #columns = new Map<string, Column>();
  /** The rows of each row group that is written. */
  readonly #groups: number[] = [];
  #groupRows = 0;
  #groupBytes = 0;
  #records = 0;

  constructor(path: string) {
    this.#file = new PartialFile(path);
    this.#file.append(MAGIC);
  }

  get bytes(): number {
    return this.#file.bytes + this.#groupBytes;
  }

  get records(): number {
    return this.#records;
  }

  write(sample: Sample): void {
    // All that can be refused, before anything is taken.
    const label = labelOf(sample);
    const features = sortedFeatures(sample);
    for (const [name, feature] of features) this.#check(sample, name, feature);
    checkUnicode(sample.key, `${label}: the key`);
    const values = features.map(([name, feature]) => storedValue(feature, `${label}, feature "${name}"`));
    for (const [i, [name, feature]] of features.entries()) {
      this.#add(name, storageOf(feature), values[i] as StoredValue, feature, sample.key);
    }
    if (sample.key !== defaultKey({ source: this.#file.path, record: this.#records })) {
      this.#addOwn([KEY_NAME, keyStorage, storedValue(sample.key, label)]);
    }
    this.#groupRows++;
    this.#records++;
    if (this.#groupBytes >= ROW_GROUP_BYTES) this.#finishGroup();
  }

  finish(): WrittenShard {
    if (this.#groupRows > 0) this.#finishGroup();
    const columns = [...this.#columns].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, column] of columns) this.#fillGroups(name, column);
    this.#file.append(this.#footer(columns));
    this.#file.append(MAGIC);
    this.#file.commit();
    return { files: [{ path: this.#file.path, bytes: this.#file.bytes }], records: this.#records };
  }

  abort(): void {
    this.#file.abort();
  }

  #check(sample: Sample, name: string, feature: Feature): void {
    function refuse(reason: string, hint?: string): KdataError {
      return new KdataError("shape", `${labelOf(sample)}: feature "${name}" ${reason}`, {
        at: sample.origin,
        ...(hint !== undefined && { hint }),
      });
    }
    if (name === KEY_NAME || name.startsWith(SHAPE_PREFIX)) throw refuse("has a reserved name");
    checkUnicode(name, `${labelOf(sample)}: the name of a feature`);
    const first = this.#columns.get(name)?.first;
    const what = describe(feature);
    if (!first || first.what === what) return;
    throw refuse(
      `is ${what}, but ${first.what} in sample "${first.key}"`,
      "The values of a column are alike: convert them first, or choose jsonl.",
    );
  }

  #add(name: string, storage: ColumnStorage, value: StoredValue, feature: Feature, key: string): void {
    let column = this.#columns.get(name);
    if (!column) {
      column = newColumn(storage, { what: describe(feature), key }, noteOf(feature));
      this.#columns.set(name, column);
    }
    this.#append(column, value);
    if (!isTensor(feature) || feature.shape.length === 0) return;
    const { dtype, shape } = feature;
    const expected = column.note?.[1] ?? null;
    if (expected === null ? shape.length === 1 : sameShape(shape, expected)) return;
    column.note ??= [dtype, null];
    this.#addOwn([`${SHAPE_PREFIX}${name}`, shapeStorage, storedShape(shape)]);
  }

  #addOwn([name, storage, value]: Entry): void {
    let column = this.#columns.get(name);
    if (!column) {
      column = newColumn(storage, undefined, undefined);
      this.#columns.set(name, column);
    }
    this.#append(column, value);
  }

  #append({ pages }: Column, value: StoredValue): void {
    pages.addNulls(this.#groupRows - pages.rows);
    pages.add(value);
    for (const part of value.parts) this.#groupBytes += part.length;
  }

  #finishGroup(): void {
    const group = this.#groups.length;
    for (const [name, column] of [...this.#columns].sort(([a], [b]) => (a < b ? -1 : 1))) {
      column.pages.addNulls(this.#groupRows - column.pages.rows);
      column.chunks.set(group, this.#writePages(name, column.pages));
      column.pages = new ColumnPages(column.storage);
    }
    this.#groups.push(this.#groupRows);
    this.#groupRows = 0;
    this.#groupBytes = 0;
  }

  /** Writes nulls for the row groups that were written before the first value of a column. */
  #fillGroups(name: string, { storage, chunks }: Column): void {
    for (const [group, rows] of this.#groups.entries()) {
      if (chunks.has(group)) continue;
      const pages = new ColumnPages(storage);
      pages.addNulls(rows);
      chunks.set(group, this.#writePages(name, pages));
    }
  }

  #writePages(name: string, pages: ColumnPages): ColumnChunk {
    return pages.finish(name, this.#file.bytes, (bytes) => {
      this.#file.append(bytes);
    });
  }

  #footer(columns: readonly (readonly [string, Column])[]): Uint8Array {
    const notes = columns.flatMap(([name, { note }]) => (note ? [[name, note] as const] : []));
    const metadata: FileMetaData = {
      version: 2,
      created_by: "kdata",
      schema: [
        { name: "schema", num_children: columns.length },
        ...columns.flatMap(([name, { storage }]) => schemaOf(name, storage)),
      ],
      num_rows: BigInt(this.#records),
      row_groups: this.#groups.map((rows, group) =>
        rowGroupOf(
          rows,
          columns.map(([, { chunks }]) => chunks.get(group)),
        ),
      ),
      ...(notes.length > 0 && { key_value_metadata: [{ key: NOTES_NAME, value: encodeNotes(notes) }] }),
      metadata_length: 0,
    };
    const footer = new ByteWriter();
    writeMetadata(footer, metadata);
    return footer.getBytes();
  }
}

function newColumn(storage: ColumnStorage, first: Column["first"], note: ParquetNote | undefined): Column {
  return { storage, first, note, chunks: new Map(), pages: new ColumnPages(storage) };
}

function rowGroupOf(rows: number, chunks: readonly (ColumnChunk | undefined)[]): RowGroup {
  const columns = chunks.flatMap((chunk) => (chunk ? [chunk] : []));
  let bytes = 0n;
  for (const { meta_data } of columns) bytes += meta_data?.total_uncompressed_size ?? 0n;
  return { columns, num_rows: BigInt(rows), total_byte_size: bytes };
}

/** What the type of a column does not say: a dtype without one, and a shape of more than one axis. */
function noteOf(feature: Feature): ParquetNote | undefined {
  if (!isTensor(feature)) return undefined;
  const { dtype, shape } = feature;
  if (shape.length > 1) return [dtype, [...shape]];
  if (storedDType(dtype) === dtype) return undefined;
  return [dtype, shape.length === 0 ? [] : null];
}

/** What the values of a column must have in common. */
function describe(feature: Feature): string {
  if (!isTensor(feature)) return featureKind(feature);
  const { dtype, shape } = feature;
  const form = shape.length === 0 ? "a scalar of" : storageOf(feature).isList ? "a list of" : "an array of";
  return `${form} ${dtype}`;
}

function pathOf(stem: string): string {
  return `${stem}.parquet`;
}
