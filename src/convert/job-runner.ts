// One job after the other: samples are read, mapped and written, and each shard that is finished is told of.

import { isSampleError, KdataError } from "../core/errors.ts";
import type { Origin, Sample } from "../core/sample.ts";
import type { WritableFormat, WrittenShard } from "../writers/format.ts";
import { ShardedWriter, numberedStem, type Splitting } from "../writers/sharded.ts";
import type { DecodeOptions } from "../readers/format.ts";
import type { ToleratedLog } from "../readers/tolerance.ts";
import { featureMap, type FeatureMap } from "./features.ts";
import type { Job } from "./jobs.ts";
import type { FinishedShard } from "./manifest.ts";
import type { ConvertOptions } from "./options.ts";
import type { RecordFeed } from "./record-feed.ts";
import { skippedSample, type SkippedSample } from "./skips.ts";

const TURN_MS = 20; // after so long the event loop gets its turn: signals, timers and progress stay prompt

/** The options that say what is read and what is written of it. */
export type SampleOptions = Pick<ConvertOptions, "select" | "drop" | "rename" | "key" | "onError" | "limits"> &
  DecodeOptions;

/** What was written so far. */
export interface Counts {
  readonly records: number;
  readonly bytes: number;
}

/** What a job runner tells. */
export interface JobEvents {
  /** A shard has its final name. */
  onShard(shard: FinishedShard): void;
  /** It is time to let others run. `source` is what is being read, the counts are those of all jobs so far. */
  onTurn(source: string, counts: Counts): Promise<void>;
  /** Says whether to stop behind a shard that is finished. */
  isEnding?(): boolean;
}

/** Takes a sample, or the error in place of one, and says whether it is time for others. */
type TakeSample = (sample: Sample | KdataError, origin: Origin) => boolean;

/** Runs jobs one after the other. */
export class JobRunner {
  readonly #to: WritableFormat;
  readonly #events: JobEvents;
  readonly #map: FeatureMap;
  readonly #skipsBad: boolean;
  #turnEnd = performance.now() + TURN_MS;
  #records = 0;
  #bytes = 0;

  /** `isBegun`: other records of the same conversion went first, here or elsewhere. */
  constructor(to: WritableFormat, options: SampleOptions, events: JobEvents, isBegun = false) {
    this.#to = to;
    this.#events = events;
    this.#map = featureMap(options, isBegun);
    this.#skipsBad = options.onError === "skip";
  }

  /** Records and bytes written so far. */
  get counts(): Counts {
    return { records: this.#records, bytes: this.#bytes };
  }

  /**
   * Writes the shards of a job from the pieces that it names. What is not finished is removed when anything fails.
   *
   * @throws {KdataError} what reading, mapping or writing finds wrong, and what `onTurn` throws.
   */
  async run(job: Job, feed: RecordFeed): Promise<void> {
    await this.#write(job, feed.tolerated, async (take) => {
      for (const piece of job.pieces) {
        let record = piece.start;
        for (const sample of feed.samples(piece)) {
          const isTurnOver = take(sample, { source: piece.input.name, record: record++ });
          if (isTurnOver) await this.#turn(piece.input.name);
        }
      }
    });
  }

  /** Writes the shards of a job from a stream of samples; otherwise as {@link run}. */
  async runStream(job: Job, source: string, samples: AsyncIterable<Sample>, tolerated: ToleratedLog): Promise<void> {
    await this.#write(job, tolerated, async (take) => {
      for await (const sample of samples) {
        const isTurnOver = take(sample, sample.origin);
        if (isTurnOver) await this.#turn(source);
      }
    });
  }

  async #write(job: Job, log: ToleratedLog, feed: (take: TakeSample) => Promise<void>): Promise<void> {
    const { stem, shardSize, firstShard = 0 } = job;
    let taken = 0; // records of the input since the last shard that was finished
    let skips: SkippedSample[] = []; // those among them that were left out
    let isEnding = false;
    const tell = (written: WrittenShard, shardStem: string): void => {
      this.#events.onShard({ stem: shardStem, taken, written, skips, tolerated: log.take() });
      taken = 0;
      skips = [];
      isEnding = shardSize !== undefined && this.#events.isEnding?.() === true;
    };
    const splitting: Splitting = shardSize === undefined ? { by: "none" } : { by: "bytes", bytes: shardSize };
    const writer = new ShardedWriter(this.#to, stem, splitting, { firstShard, onShard: tell });
    const before = this.counts;
    const count = (): void => {
      this.#records = before.records + writer.records;
      this.#bytes = before.bytes + writer.bytes;
    };
    try {
      await feed((sample, origin) => {
        const skipped = this.#take(writer, sample, origin);
        if (skipped) skips.push(skipped);
        taken++;
        if (isEnding) throw new KdataError("aborted", "Cannot go on converting: stopped on request");
        if (performance.now() < this.#turnEnd) return false;
        count();
        return true;
      });
      const shards = writer.finish();
      const isSingle = shardSize === undefined;
      // Nothing is left of an input without records, or at the end of numbered shards: that too is finished.
      if (taken > 0 || (isSingle && shards.length === 0)) {
        tell({ files: [], records: 0 }, isSingle ? stem : numberedStem(stem, firstShard + shards.length));
      }
    } finally {
      writer.abort();
      count();
    }
  }

  /** Writes a sample, or says why it is left out. */
  #take(writer: ShardedWriter, sample: Sample | KdataError, origin: Origin): SkippedSample | undefined {
    if (sample instanceof KdataError) return skippedSample(sample, origin);
    try {
      writer.write(this.#map(sample));
      return undefined;
    } catch (error) {
      if (!this.#skipsBad || !isSampleError(error)) throw error;
      return skippedSample(error, sample.origin);
    }
  }

  async #turn(source: string): Promise<void> {
    await this.#events.onTurn(source, this.counts);
    this.#turnEnd = performance.now() + TURN_MS;
  }
}
