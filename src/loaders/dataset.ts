// A data set as the loader sees it: which format, which shards, how many records in each. Made once in the main thread; plain
// data and shared memory, so that workers need no scan of their own.

import { takeTurns } from "../core/turns.ts";
import { findDataset, openShard } from "../readers/open.ts";
import type { DecodeOptions, Limits, RecordIndex, ShardFiles } from "../readers/format.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import { checkAborted } from "./aborted.ts";
import type { FakeData } from "./fake-data.ts";

/** How the shards of a data set are read, from one of them on. */
export interface DatasetPart {
  readonly firstShard: number;
  /** The name of the format. */
  readonly format: string;
  readonly limits: Partial<Limits>;
  readonly decoding: DecodeOptions;
}

/** What workers need to read any record of a data set. Can cross a thread. */
export interface Dataset {
  /** One; in a mixture one for each source, in order. */
  readonly parts: readonly DatasetPart[];
  readonly shards: readonly ShardFiles[];
  /** The number of the first record of each shard, and at the end the number of all records. */
  readonly starts: Float64Array<SharedArrayBuffer>;
  /** For each shard, where its records lie; `undefined` where that is found by arithmetic. */
  readonly indexes: readonly (RecordIndex | undefined)[];
  /** Where its samples are made up, not read: there is one shard then, without files, and the format is none. */
  readonly fake?: FakeData;
}

/** Records that are found before the clock is read again: it costs as much as to find one. */
const RECORDS_BETWEEN_LOOKS = 64;

/** How a data set is found. */
export interface DatasetOptions extends DecodeOptions {
  /** The format's name. Found by content if left out. */
  readonly format?: string;
  readonly limits?: Partial<Limits>;
  /** Heard between shards, and within one that is large. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the shards and counts their records, by headers or by one scan that verifies the framing.
 * Timers, signals and I/O get their turn between shards, and within one that is large.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` when there is no such format, and `aborted` when the signal says so,
 *   and what the scan finds, with the position.
 */
export async function describeDataset(
  spec: string | readonly string[],
  { format: formatName, limits = {}, signal, ...options }: DatasetOptions,
): Promise<Dataset> {
  const decoding = pickDecoding(options);
  const { format, shards } = await findDataset(spec, formatName === undefined ? {} : { format: formatName });
  const starts = new Float64Array(new SharedArrayBuffer((shards.length + 1) * Float64Array.BYTES_PER_ELEMENT));
  const indexes: (RecordIndex | undefined)[] = [];
  const turns = takeTurns();
  for (const [number, shard] of shards.entries()) {
    if (turns.isOver()) await turns.yield();
    checkAborted(signal);
    const reader = openShard(format, shard, { ...decoding, limits });
    try {
      let located = 0;
      for (const steps = reader.locate?.(); steps?.next().done === false;) {
        if (++located % RECORDS_BETWEEN_LOOKS > 0 || !turns.isOver()) continue;
        await turns.yield();
        checkAborted(signal);
      }
      indexes.push(reader.index());
      starts[number + 1] = (starts[number] ?? 0) + reader.count();
    } finally {
      reader.close();
    }
  }
  return { parts: [{ firstShard: 0, format: format.name, limits, decoding }], shards, starts, indexes };
}

/** Joins data sets, of whatever formats, into one that has the records of the first, then those of the next, and so on. */
export function joinDatasets(datasets: readonly Dataset[]): Dataset {
  const shards = datasets.flatMap((dataset) => dataset.shards);
  const starts = new Float64Array(new SharedArrayBuffer((shards.length + 1) * Float64Array.BYTES_PER_ELEMENT));
  const parts: DatasetPart[] = [];
  let [firstShard, firstRecord] = [0, 0];
  for (const dataset of datasets) {
    for (const part of dataset.parts) parts.push({ ...part, firstShard: firstShard + part.firstShard });
    for (let shard = 0; shard < dataset.shards.length; shard++) {
      starts[firstShard + shard] = firstRecord + (dataset.starts[shard] ?? 0);
    }
    firstShard += dataset.shards.length;
    firstRecord += recordCount(dataset);
  }
  starts[shards.length] = firstRecord;
  return { parts, shards, starts, indexes: datasets.flatMap((dataset) => dataset.indexes) };
}

/** Says how a shard is read. */
export function partOf({ parts }: Dataset, shard: number): DatasetPart {
  const part = parts.findLast(({ firstShard }) => firstShard <= shard);
  if (!part) throw new RangeError(`Cannot read shard ${shard}: the data set has no parts`);
  return part;
}

/** Describes a data set whose samples are made up. */
export function describeFake(fake: FakeData): Dataset {
  const starts = new Float64Array(new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT));
  starts[1] = fake.samples;
  // The name is what tells one from another after a resume.
  const shards = [{ name: JSON.stringify(fake), paths: [] }];
  const part = { firstShard: 0, format: "", limits: {}, decoding: {} };
  return { parts: [part], shards, starts, indexes: [undefined], fake };
}

/** Counts the records of a data set. */
export function recordCount({ starts }: Dataset): number {
  return starts[starts.length - 1] ?? 0;
}

/** Finds the shard that holds a record: the last one that starts at or before it. */
export function shardOf({ starts }: Dataset, record: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] ?? 0) <= record) low = middle;
    else high = middle;
  }
  return low;
}
