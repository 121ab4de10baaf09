// What a worker thread of a conversion does: the jobs that it is given, with formats found by their names.

import { setImmediate } from "node:timers/promises";

import { KdataError } from "../core/errors.ts";
import { formatByName } from "../readers/formats.ts";
import { writableFormatByName } from "../writers/formats.ts";
import { JobRunner, type Counts, type SampleOptions } from "./job-runner.ts";
import type { Job } from "./jobs.ts";
import type { FinishedShard } from "./manifest.ts";
import { RecordFeed } from "./record-feed.ts";
import { readOptionsOf } from "./read-options.ts";

/** What a worker is started with. */
export interface ShardWorkerSetup {
  readonly from: string;
  readonly to: string;
  readonly options: SampleOptions;
}

/** What a worker tells of a job. */
export type ShardMessage =
  | { readonly kind: "shard"; readonly shard: FinishedShard }
  | ({ readonly kind: "turn"; readonly source: string; readonly isLast: boolean } & Counts);

/** Makes what does the jobs of one worker: the entry that a task pool looks for. */
export function startTasks(
  setup: ShardWorkerSetup,
  tell: (message: ShardMessage) => void,
  isStopped: () => boolean,
): (job: Job) => Promise<void> {
  const { from, to, options } = setup;
  const format = formatByName(from);
  const writable = writableFormatByName(to);
  const reading = readOptionsOf(options);
  return async (job) => {
    const events = {
      onShard(shard: FinishedShard): void {
        tell({ kind: "shard", shard });
      },
      async onTurn(source: string, counts: Counts): Promise<void> {
        tell({ kind: "turn", source, isLast: false, ...counts });
        await setImmediate();
        if (isStopped()) throw new KdataError("aborted", "Cannot go on converting: stopped on request");
      },
    };
    // The main thread has checked the first sample.
    const runner = new JobRunner(writable, options, events, true);
    const feed = new RecordFeed(format, reading, options.onError === "skip");
    try {
      await runner.run(job, feed);
    } finally {
      feed.close();
    }
    tell({ kind: "turn", source: job.pieces.at(-1)?.input.name ?? "", isLast: true, ...runner.counts });
  };
}
