// Any record of a data set by its number, through a bounded number of open shards.

import type { Sample } from "../core/sample.ts";
import type { ShardReader } from "../readers/format.ts";
import { formatByName } from "../readers/formats.ts";
import { openShard } from "../readers/open.ts";
import { shardOf, type Dataset } from "./dataset.ts";

// Enough for one reader to keep most data sets open whole.
const MAX_OPEN_FILES = 64;
// Over all readers of a process: three quarters of the usual limit of 1,024 files.
const ALL_OPEN_FILES = 768;

/** Reads records of a data set by number and keeps the shards that were used last open. */
export class RecordReader {
  readonly #dataset: Dataset;
  readonly #maxFiles: number;
  #files = 0;
  /** By shard number, the one used last at the end. */
  readonly #open = new Map<number, ShardReader>();
  #last: { readonly shard: number; readonly reader: ShardReader } | undefined;

  /** Opens no file yet. `readers` says how many of them the process has at a time: they share the files it may open. */
  constructor(dataset: Dataset, readers = 1) {
    this.#dataset = dataset;
    this.#maxFiles = Math.min(MAX_OPEN_FILES, Math.floor(ALL_OPEN_FILES / readers));
  }

  /**
   * Reads one record. Its features are valid until the next call.
   *
   * @throws {KdataError} with the position when the record is damaged, `input` when its file cannot be opened.
   */
  read(record: number): Sample {
    const shard = shardOf(this.#dataset, record);
    if (this.#last?.shard !== shard) this.#last = { shard, reader: this.#reader(shard) };
    return this.#last.reader.read(record - (this.#dataset.starts[shard] ?? 0));
  }

  /** Closes every open shard. */
  close(): void {
    this.#last = undefined;
    for (const reader of this.#open.values()) reader.close();
    this.#open.clear();
    this.#files = 0;
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
    const { format, shards, indexes, limits } = this.#dataset;
    const files = shards[shard];
    if (!files) throw new RangeError(`Cannot open shard ${shard}: there are ${shards.length}`);
    const index = indexes[shard];
    const reader = openShard(formatByName(format), files, index ? { limits, index } : { limits });
    this.#files += this.#fileCount(shard);
    return reader;
  }

  #fileCount(shard: number): number {
    return this.#dataset.shards[shard]?.paths.length ?? 0;
  }
}
