// One job after the other: samples are read, mapped and written, and each shard that is finished is told of.

import type { Sample } from "../core/sample.ts";
import type { WritableFormat } from "../writers/format.ts";
import { ShardedWriter } from "../writers/sharded.ts";
import { featureMap, type FeatureMap } from "./features.ts";
import type { Job } from "./jobs.ts";
import type { FinishedShard } from "./manifest.ts";
import type { ConvertOptions } from "./options.ts";
import { RecordFeed } from "./record-feed.ts";

const TURN_MS = 20; // after so long the event loop gets its turn: signals, timers and progress stay prompt

/** The options that say what is read and what is written of it. */
export type SampleOptions = Pick<ConvertOptions, "select" | "drop" | "rename" | "limits">;

/** What a job runner tells. */
export interface JobEvents {
  /** A shard has its final name. */
  onShard(shard: FinishedShard): void;
  /** It is time to let others run. `source` is what is being read, the counts are those of all jobs so far. */
  onTurn(source: string, counts: { readonly records: number; readonly bytes: number }): Promise<void>;
}

/** Runs jobs one after the other. */
export class JobRunner {
  readonly #to: WritableFormat;
  readonly #events: JobEvents;
  readonly #map: FeatureMap;
  #turnEnd = performance.now() + TURN_MS;
  #records = 0;
  #bytes = 0;

  /** `isBegun`: other records of the same conversion went first, here or elsewhere. */
  constructor(to: WritableFormat, options: SampleOptions, events: JobEvents, isBegun = false) {
    this.#to = to;
    this.#events = events;
    this.#map = featureMap(options, isBegun);
  }

  /** Records and bytes written so far. */
  get counts(): { readonly records: number; readonly bytes: number } {
    return { records: this.#records, bytes: this.#bytes };
  }

  /**
   * Writes the shards of a job from the pieces that it names. What is not finished is removed when anything fails.
   *
   * @throws {KdataError} what reading, mapping or writing finds wrong, and what `onTurn` throws.
   */
  async run(job: Job, feed: RecordFeed): Promise<void> {
    await this.#write(job, async (take) => {
      for (const piece of job.pieces) {
        for (const sample of feed.samples(piece)) {
          const isTurnOver = take(sample);
          if (isTurnOver) await this.#turn(piece.input.name);
        }
      }
    });
  }

  /** Writes the shards of a job from a stream of samples; otherwise as {@link run}. */
  async runStream(job: Job, source: string, samples: AsyncIterable<Sample>): Promise<void> {
    await this.#write(job, async (take) => {
      for await (const sample of samples) {
        const isTurnOver = take(sample);
        if (isTurnOver) await this.#turn(source);
      }
    });
  }

  async #write(job: Job, feed: (take: (sample: Sample) => boolean) => Promise<void>): Promise<void> {
    const { stem, shardSize, firstShard = 0 } = job;
    let taken = 0; // records of the input since the last shard that was finished
    const writer = new ShardedWriter(
      this.#to,
      stem,
      shardSize === undefined ? { by: "none" } : { by: "bytes", bytes: shardSize },
      {
        firstShard,
        onShard: (written, shardStem) => {
          this.#events.onShard({ stem: shardStem, taken, written });
          taken = 0;
        },
      },
    );
    const before = this.counts;
    const count = (): void => {
      this.#records = before.records + writer.records;
      this.#bytes = before.bytes + writer.bytes;
    };
    try {
      await feed((sample) => {
        writer.write(this.#map(sample));
        taken++;
        if (performance.now() < this.#turnEnd) return false;
        count();
        return true;
      });
      const shards = writer.finish();
      if (shards.length === 0 && shardSize === undefined) {
        this.#events.onShard({ stem, taken, written: { files: [], records: 0 } });
      }
    } finally {
      writer.abort();
      count();
    }
  }

  async #turn(source: string): Promise<void> {
    await this.#events.onTurn(source, this.counts);
    this.#turnEnd = performance.now() + TURN_MS;
  }
}
