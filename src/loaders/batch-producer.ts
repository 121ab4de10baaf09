// What makes the batches of an epoch: this thread or a pool of workers. The loader does not know which.

import type { BatchAccount } from "./account.ts";
import type { BatchJob } from "./batch-maker.ts";
import type { CollatedBatch } from "./collate.ts";
import type { BatchTimings } from "./timings.ts";

/** A batch that was made. */
export interface MadeBatch {
  readonly job: BatchJob;
  readonly batch: CollatedBatch;
  readonly account: BatchAccount;
  readonly timings: BatchTimings;
  /** Gives the memory back to be filled again. Calling it twice is harmless. */
  readonly release: () => void;
}

/** Makes batches in the order of their jobs. */
export interface BatchProducer {
  /** Batches that are made and wait for their delivery. */
  readonly ready: number;
  /** Takes up the jobs of an epoch. What was under way for the one before is dropped; its memory must have been released. */
  begin(jobs: Iterator<BatchJob>): void;
  /**
   * Gives the next batch; nothing after the last one, or when `close` or `begin` comes in between. Calls do not overlap.
   *
   * @throws {KdataError} what was found when the batch was made; `worker` when workers die or hang over it.
   */
  next(): Promise<MadeBatch | undefined>;
  /** Ends threads and closes files. Calling it twice is harmless. */
  close(): Promise<void>;
}
