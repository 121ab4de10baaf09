// Parquet files: tables in row groups of compressed columns. https://parquet.apache.org/docs/file-format/

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { defaultKey, emptyFeatures, type Sample } from "../core/sample.ts";
import { faultOr } from "./fault.ts";
import { resolveFeatures } from "./feature-spec.ts";
import type { ColumnReader, ColumnSpec, DecodeOptions, Fault, Format, Limits, ShardReader } from "./format.ts";
import { resolveLimits } from "./limits.ts";
import { MemoryBudget } from "./parquet-budget.ts";
import { decodeChunk, type DecodedColumn } from "./parquet-chunk.ts";
import { parquetColumns } from "./parquet-columns.ts";
import { featureOf, type NotedField, type RowGroupData } from "./parquet-features.ts";
import { PARQUET_MAGIC, readFooter, type ColumnChunk, type ParquetFooter, type RowGroup } from "./parquet-footer.ts";
import { KEY_NAME, NOTES_NAME, SHAPE_PREFIX, parseNotes, type ParquetNote } from "./parquet-notes.ts";
import type { ChunkFail } from "./parquet-pages.ts";
import { fieldsOf, type Leaf, type ParquetField } from "./parquet-schema.ts";
import type { SeekableSource } from "./source.ts";

/** Rows of a table without columns cannot be held to the size of a file; no more than this many are believed. */
const MAX_EMPTY_ROWS = 1 << 20;

/**
 * Parquet files: each row is a sample, each column a feature; a row that is null in a column lacks the feature.
 *
 * Groups become dotted names, lists of numbers become tensors; docs/formats.md has the whole mapping. A column of strings named
 * `__key__` holds the keys. A row group is decoded at once and kept until a record of another one is read: samples are views of it.
 */
export const parquet: Format = {
  name: "parquet",
  title: "Parquet",
  extensions: ["parquet"],
  sealed: true,
  decoding: ["features"],
  detect: (head) => Buffer.from(head.subarray(0, PARQUET_MAGIC.length)).toString("latin1") === PARQUET_MAGIC,
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open parquet: a shard is one file");
    return new ParquetReader(source, resolveLimits(options?.limits), options ?? {});
  },
};

/** What of a file is read. */
interface Plan {
  readonly fields: readonly NotedField[];
  readonly keys: ParquetField | undefined;
  /** The columns of all of these. */
  readonly leaves: readonly Leaf[];
}

class ParquetReader implements ShardReader {
  readonly source: string;
  readonly #source: SeekableSource;
  readonly #limits: Limits;
  readonly #footer: ParquetFooter;
  readonly #plan: Plan;
  readonly #keyStem: string;
  /** The number of the first record of each row group. */
  readonly #starts: readonly number[];
  #decoded: { readonly index: number; readonly data: RowGroupData } | undefined;

  constructor(source: SeekableSource, limits: Limits, { features }: DecodeOptions) {
    this.source = source.name;
    this.#source = source;
    this.#limits = limits;
    this.#footer = readFooter(source);
    const { fields, leaves } = fieldsOf(this.#footer, source.name);
    checkGroups(this.#footer, leaves, source.name);
    this.#plan = planOf(this.#footer, fields, features, source.name);
    this.#keyStem = defaultKey({ source: source.name, record: 0 }).slice(0, -1);
    let start = 0;
    this.#starts = this.#footer.groups.map(({ rows }) => (start += rows) - rows);
  }

  count(): number {
    return this.#footer.rows;
  }

  read(record: number): Sample {
    if (!Number.isInteger(record) || record < 0 || record >= this.count()) {
      throw new RangeError(`Cannot read record ${record} of ${this.source}: it has ${this.count()}`);
    }
    const group = this.#group(this.#groupOf(record));
    return this.#sample(group, record - group.start);
  }

  *samples(): Generator<Sample> {
    for (let index = 0; index < this.#footer.groups.length; index++) {
      const group = this.#group(index);
      for (let row = 0; row < group.rows; row++) yield this.#sample(group, row);
    }
  }

  *check(): Generator<Sample | Fault> {
    for (let index = 0; index < this.#footer.groups.length; index++) {
      const group = faultOr(() => this.#group(index));
      if (group instanceof KdataError) {
        yield { error: group, uncheckedBytes: 0 };
        continue;
      }
      for (let row = 0; row < group.rows; row++) {
        const sample = faultOr(() => this.#sample(group, row));
        yield sample instanceof KdataError ? { error: sample, uncheckedBytes: 0 } : sample;
      }
    }
  }

  scan(): undefined {
    return undefined;
  }

  index(): undefined {
    return undefined;
  }

  columns(columns: readonly ColumnSpec[]): ColumnReader | undefined {
    const { fields, keys } = this.#plan;
    return parquetColumns(columns, fields, {
      source: this.source,
      records: this.count(),
      group: (record) => this.#group(this.#groupOf(record)),
      key: (group, row) => this.#key(keys, group, row),
      sample: (record) => this.read(record),
    });
  }

  close(): void {
    this.#decoded = undefined;
    this.#source.close();
  }

  /** Decodes a row group, unless it is the one that was decoded last. */
  #group(index: number): RowGroupData {
    if (this.#decoded?.index === index) return this.#decoded.data;
    // Two of them would take twice the memory.
    this.#decoded = undefined;
    const data = this.#decode(this.#footer.groups[index] as RowGroup, index);
    this.#decoded = { index, data };
    return data;
  }

  #decode({ rows, columns: chunks }: RowGroup, index: number): RowGroupData {
    const start = this.#starts[index] as number;
    const { source } = this;
    const stored = this.#plan.leaves.reduce((sum, leaf) => sum + chunkBytes(chunks[leaf.index] as ColumnChunk), 0);
    const { rowGroupBytes } = this.#limits;
    const budget = new MemoryBudget(Math.min(stored, this.#source.size), rowGroupBytes, (reason) => {
      return new KdataError("limit", `Cannot read parquet: row group ${index}: ${reason}`, {
        at: { source, record: start, byte: chunks[0]?.start ?? 0 },
        hint: "Raise limits.rowGroupBytes, or write the file with smaller row groups.",
      });
    });
    const decoded = new Map<Leaf, DecodedColumn>();
    for (const leaf of this.#plan.leaves) {
      const chunk = chunks[leaf.index] as ColumnChunk;
      const fail = chunkFail(index, leaf, source, start);
      decoded.set(leaf, decodeChunk(this.#chunk(chunk, fail), chunk, leaf, rows, budget, fail));
    }
    return {
      start,
      rows,
      column: (leaf) => decoded.get(leaf) as DecodedColumn,
      at: (row) => ({ source, record: start + row }),
    };
  }

  /** Reads the bytes of a chunk into memory of their own, which values may view. */
  #chunk(chunk: ColumnChunk, fail: ChunkFail): Uint8Array {
    const bytes = new Uint8Array(chunkBytes(chunk));
    const read = this.#source.read(bytes, chunk.start);
    if (read === bytes.length) return bytes;
    throw fail("truncated", "the file became shorter while it was read", chunk.start + read);
  }

  #sample(group: RowGroupData, row: number): Sample {
    const { fields, keys } = this.#plan;
    const features = emptyFeatures();
    for (const noted of fields) {
      const feature = featureOf(noted, group, row);
      if (feature !== undefined) features[noted.field.name] = feature;
    }
    return { key: this.#key(keys, group, row), origin: { source: this.source, record: group.start + row }, features };
  }

  #key(field: ParquetField | undefined, group: RowGroupData, row: number): string {
    const key = field && featureOf({ field, note: undefined, shapes: undefined }, group, row);
    return typeof key === "string" ? key : `${this.#keyStem}${group.start + row}`;
  }

  /** Finds the row group of a record by halves; empty groups hold none. */
  #groupOf(record: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] as number) <= record) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Makes errors about one column of one row group. */
function chunkFail(index: number, leaf: Leaf, source: string, record: number): ChunkFail {
  const what = `Cannot read parquet: row group ${index}, column "${leaf.path.join(".")}"`;
  return (code, reason, byte, details = {}) => {
    return new KdataError(code, `${what}: ${reason}`, { at: { source, record, byte }, ...details });
  };
}

function chunkBytes({ start, end }: ColumnChunk): number {
  return end - start;
}

/** Holds the columns of every row group to the schema. */
function checkGroups({ groups, rows, start }: ParquetFooter, leaves: readonly Leaf[], source: string): void {
  const at = { source, byte: start };
  for (const [index, { columns }] of groups.entries()) {
    const isSchema =
      columns.length === leaves.length &&
      columns.every(({ path }, i) => {
        const expected = leaves[i]?.path ?? [];
        return path.length === expected.length && path.every((name, part) => name === expected[part]);
      });
    if (isSchema) continue;
    throw new KdataError("format", `Cannot read parquet: row group ${index} has other columns than the schema`, { at });
  }
  if (leaves.length === 0 && rows > MAX_EMPTY_ROWS) {
    const reason = `${rows} rows without columns exceed the limit of ${MAX_EMPTY_ROWS}`;
    throw new KdataError("limit", `Cannot read parquet: ${reason}`, { at });
  }
}

function planOf(
  { metadata, start }: ParquetFooter,
  all: readonly ParquetField[],
  selection: DecodeOptions["features"],
  source: string,
): Plan {
  const at = { source, byte: start };
  const text = metadata.get(NOTES_NAME);
  const notes: ReadonlyMap<string, ParquetNote> = text === undefined ? new Map() : parseNotes(text, at);
  const byName = new Map(all.map((field) => [field.name, field]));
  const unknown = [...notes.keys()].find((name) => !byName.has(name));
  if (unknown !== undefined) {
    throw new KdataError("format", `Cannot read parquet: there is a note for "${unknown}", which is no column`, { at });
  }
  const keys = byName.get(KEY_NAME);
  if (keys && !(keys.nesting.kind === "leaf" && keys.nesting.leaf.type.kind === "string")) {
    throw new KdataError("format", `Cannot read parquet: the values of ${KEY_NAME} are not strings`, { at });
  }
  const offered = all.filter((field) => field !== keys && !isShapes(field, notes));
  const fields = selected(offered, selection).map((field): NotedField => {
    const note = notes.get(field.name);
    return { field, note, shapes: note && byName.get(`${SHAPE_PREFIX}${field.name}`) };
  });
  const used = fields.flatMap(({ field, shapes }) => (shapes ? [field, shapes] : [field]));
  const leaves = [...(keys ? [keys] : []), ...used].flatMap((field) => field.leaves);
  return { fields, keys, leaves: [...new Set(leaves)].sort((a, b) => a.index - b.index) };
}

function isShapes({ name }: ParquetField, notes: ReadonlyMap<string, ParquetNote>): boolean {
  return name.startsWith(SHAPE_PREFIX) && notes.has(name.slice(SHAPE_PREFIX.length));
}

/** The wanted fields in the order of the selection. */
function selected(fields: readonly ParquetField[], selection: DecodeOptions["features"]): readonly ParquetField[] {
  if (selection === undefined) return fields;
  const byName = new Map(fields.map((field) => [field.name, field]));
  return [...resolveFeatures(selection)].map(([name, spec]) => {
    const field = byName.get(name);
    if (spec) {
      throw new KdataError("usage", `Cannot read parquet: the feature "${name}" has a spec`, {
        hint: "A Parquet file says itself what its columns are: give their names alone.",
      });
    }
    if (field) return field;
    const nearest = nearestName(name, [...byName.keys()]);
    throw new KdataError("usage", `Cannot read parquet: there is no feature "${name}"`, {
      hint: nearest === undefined ? `There are: ${[...byName.keys()].join(", ")}` : `Did you mean ${nearest}?`,
    });
  });
}
