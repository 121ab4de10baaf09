// Any record of a data set by its number, through a bounded number of open shards.

import type { Sample } from "../core/sample.ts";
import type { ShardReader } from "../readers/format.ts";
import { formatByName } from "../readers/formats.ts";
import { openShard } from "../readers/open.ts";
import { shardOf, type Dataset } from "./dataset.ts";

// Enough to keep most data sets open whole, few enough for a dozen workers under the usual limit of 1,024 files.
const MAX_OPEN_SHARDS = 64;

/** Reads records of a data set by number and keeps the shards that were used last open. */
export class RecordReader {
  readonly #dataset: Dataset;
  /** By shard number, the one used last at the end. */
  readonly #open = new Map<number, ShardReader>();
  #last: { readonly shard: number; readonly reader: ShardReader } | undefined;

  constructor(dataset: Dataset) {
    this.#dataset = dataset;
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
  }

  #reader(shard: number): ShardReader {
    const reader = this.#open.get(shard) ?? this.#openShard(shard);
    this.#open.delete(shard);
    this.#open.set(shard, reader);
    for (const [oldest, unused] of this.#open) {
      if (this.#open.size <= MAX_OPEN_SHARDS) break;
      this.#open.delete(oldest);
      unused.close();
    }
    return reader;
  }

  #openShard(shard: number): ShardReader {
    const { format, shards, indexes, limits } = this.#dataset;
    const files = shards[shard];
    if (!files) throw new RangeError(`Cannot open shard ${shard}: there are ${shards.length}`);
    const index = indexes[shard];
    return openShard(formatByName(format), files, index ? { limits, index } : { limits });
  }
}
