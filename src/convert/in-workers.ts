// The jobs of a conversion in worker threads, a shard at a time in each.

import { isSampleError, KdataError } from "../core/errors.ts";
import { findCompiled } from "../loaders/entry.ts";
import { runTasks } from "../loaders/task-pool.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import { featureMap } from "./features.ts";
import type { Counts, JobEvents, SampleOptions } from "./job-runner.ts";
import type { Job } from "./jobs.ts";
import type { ConvertOptions, ShardProgress } from "./options.ts";
import type { RecordFeed } from "./record-feed.ts";
import type { ShardMessage, ShardWorkerSetup } from "./shard-worker.ts";

/** What the worker threads are to do. */
export interface WorkerJobs {
  /** The names of the formats. */
  readonly from: string;
  readonly to: string;
  readonly jobs: readonly Job[];
  readonly workers: number;
  /** Says how many records a job has; `undefined` when nobody has counted them. */
  readonly recordsOf: (job: Job) => number | undefined;
}

/** What is told of the work, as a whole and of the shards that are being written. */
export interface WorkerEvents extends Pick<JobEvents, "onShard"> {
  onProgress(source: string, counts: Counts, running: readonly ShardProgress[]): void;
}

/**
 * Runs jobs in worker threads and returns what they came to. After the first error nothing new is begun, and what is not
 * finished is removed.
 *
 * @throws {KdataError} as `convert()`; `worker` when a thread dies.
 */
export async function convertInWorkers(
  { from, to, jobs, workers, recordsOf }: WorkerJobs,
  options: ConvertOptions,
  events: WorkerEvents,
): Promise<Counts> {
  const turns = new Map<number, Extract<ShardMessage, { kind: "turn" }>>();
  const setup: ShardWorkerSetup = { from, to, options: sampleOptions(options) };
  await runTasks({
    module: findCompiled(import.meta.url, "shard-worker"),
    setup,
    jobs,
    workers,
    signal: options.signal,
    finishSignal: options.finishSignal,
    onMessage(told, number) {
      const message = told as ShardMessage;
      if (message.kind === "shard") {
        events.onShard(message.shard);
        return;
      }
      turns.set(number, message);
      const running = [...turns].filter(([, { isLast }]) => !isLast);
      events.onProgress(
        message.source,
        sum([...turns.values()]),
        running.map(([index, { source, records }]) => {
          const job = jobs[index];
          return { shard: source, records, totalRecords: job && recordsOf(job) };
        }),
      );
    },
  });
  return sum([...turns.values()]);
}

/**
 * Holds the names of features to the first sample of the jobs: each worker sees samples of its own only.
 *
 * @throws {KdataError} `usage` when one of them is not there.
 */
export function checkFirstSample(jobs: readonly Job[], feed: RecordFeed, options: ConvertOptions): void {
  const map = featureMap(options);
  for (const piece of jobs.flatMap(({ pieces }) => pieces)) {
    for (const sample of feed.samples(piece)) {
      if (sample instanceof KdataError) continue;
      try {
        map(sample);
      } catch (error) {
        // The worker whose sample it is finds it too, and knows what to do about it.
        if (!isSampleError(error)) throw error;
      }
      return;
    }
  }
}

/** Picks what can cross into a thread. */
function sampleOptions({ select, drop, rename, key, onError, limits, ...options }: ConvertOptions): SampleOptions {
  return {
    ...pickDecoding(options),
    ...(select && { select }),
    ...(drop && { drop }),
    ...(rename && { rename: { ...rename } }),
    ...(key !== undefined && { key }),
    ...(onError && { onError }),
    ...(limits && { limits }),
  };
}

function sum(counts: readonly Counts[]): Counts {
  return {
    records: counts.reduce((total, { records }) => total + records, 0),
    bytes: counts.reduce((total, { bytes }) => total + bytes, 0),
  };
}
