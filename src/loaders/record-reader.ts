// Any record of a data set by its number, through a bounded number of open shards.

import type { Sample } from "../core/sample.ts";
import type { ColumnReader, ColumnRows, ColumnSpec, ShardReader } from "../readers/format.ts";
import { formatByName } from "../readers/formats.ts";
import { openShard } from "../readers/open.ts";
import type { SampleStore } from "../transforms/transform.ts";
import { partOf, shardOf, type Dataset } from "./dataset.ts";
import { FakeReader } from "./fake-data.ts";

// Enough for one reader to keep most data sets open whole.
const MAX_OPEN_FILES = 64;
// Over all readers of a process: three quarters of the usual limit of 1,024 files.
const ALL_OPEN_FILES = 768;

/** Reads records of a data set by number and keeps the shards that were used last open. */
export class RecordReader {
  readonly #dataset: Dataset;
  readonly #maxFiles: number;
  readonly #fake: FakeReader | undefined;
  #files = 0;
  /** By shard number, the one used last at the end. */
  readonly #open = new Map<number, ShardReader>();
  /** Those of shards that are open, for the columns of the first call. */
  readonly #columns = new WeakMap<ShardReader, ColumnReader>();
  #last: { readonly shard: number; readonly reader: ShardReader } | undefined;

  /** Opens no file yet. `readers` says how many of them the process has at a time: they share the files it may open. */
  constructor(dataset: Dataset, readers = 1) {
    this.#dataset = dataset;
    this.#fake = dataset.fake && new FakeReader(dataset.fake);
    this.#maxFiles = Math.min(MAX_OPEN_FILES, Math.floor(ALL_OPEN_FILES / readers));
  }

  /**
   * Reads one record. Its features are valid until the next call.
   *
   * @throws {KdataError} with the position when the record is damaged, `input` when its file cannot be opened.
   */
  read(record: number): Sample {
    if (this.#fake) return this.#fake.read(record);
    const shard = shardOf(this.#dataset, record);
    if (this.#last?.shard !== shard) this.#last = { shard, reader: this.#reader(shard) };
    return this.#last.reader.read(record - (this.#dataset.starts[shard] ?? 0));
  }

  /** Says whether the shard of a record reads these columns by itself, without a sample for each row. */
  hasColumns(record: number, columns: readonly ColumnSpec[]): boolean {
    return this.#fake !== undefined || this.#columnReader(shardOf(this.#dataset, record), columns) !== undefined;
  }

  /**
   * Reads records into the rows from the first one on. Says whether all of them have exactly these columns, which must be the same
   * at every call; if not, the rows are undefined.
   *
   * @throws {KdataError} as {@link read} does.
   */
  readRows(records: Float64Array, columns: readonly ColumnSpec[], into: ColumnRows): boolean {
    if (this.#fake) return this.#fake.readRows(records, columns, into);
    const { starts } = this.#dataset;
    for (let row = 0; row < records.length;) {
      const shard = shardOf(this.#dataset, records[row] as number);
      const first = starts[shard] ?? 0;
      const last = (starts[shard + 1] ?? 0) - 1;
      let end = starts.length === 2 ? records.length : row + 1; // of a single shard
      while (end < records.length && (records[end] as number) >= first && (records[end] as number) <= last) end++;
      const part = first === 0 ? records.subarray(row, end) : records.slice(row, end);
      if (first !== 0) for (let i = 0; i < part.length; i++) part[i] = (part[i] as number) - first;
      const reader = this.#columnReader(shard, columns);
      if (!reader || reader.read(part, into, row) < part.length) return false;
      row = end;
    }
    return true;
  }

  /** Closes every open shard. */
  close(): void {
    this.#last = undefined;
    for (const reader of this.#open.values()) reader.close();
    this.#open.clear();
    this.#files = 0;
  }

  #columnReader(shard: number, columns: readonly ColumnSpec[]): ColumnReader | undefined {
    const reader = this.#reader(shard);
    let found = this.#columns.get(reader);
    if (!found) {
      found = reader.columns?.(columns);
      if (found) this.#columns.set(reader, found);
    }
    return found;
  }

  #reader(shard: number): ShardReader {
    const reader = this.#open.get(shard) ?? this.#openShard(shard);
    this.#open.delete(shard);
    this.#open.set(shard, reader);
    for (const [oldest, unused] of this.#open) {
      if (this.#files <= this.#maxFiles || unused === reader) break;
      this.#open.delete(oldest);
      this.#files -= this.#fileCount(oldest);
      unused.close();
    }
    return reader;
  }

  #openShard(shard: number): ShardReader {
    const { shards, indexes } = this.#dataset;
    const files = shards[shard];
    if (!files) throw new RangeError(`Cannot open shard ${shard}: there are ${shards.length}`);
    const { format, limits, decoding } = partOf(this.#dataset, shard);
    const index = indexes[shard];
    const reader = openShard(formatByName(format), files, { ...decoding, limits, ...(index && { index }) });
    this.#files += this.#fileCount(shard);
    return reader;
  }

  #fileCount(shard: number): number {
    return this.#dataset.shards[shard]?.paths.length ?? 0;
  }
}

/**
 * Finds what a cache has made of a record, or reads it. `undefined` where the cache knows that it is filtered out.
 *
 * @throws {KdataError} as {@link RecordReader.read} does.
 */
export function findOrRead(store: SampleStore | undefined, reader: RecordReader, record: number): Sample | undefined {
  const kept = store?.find(record);
  return kept === undefined ? reader.read(record) : (kept ?? undefined);
}
