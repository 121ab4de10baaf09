// Every message that crosses between the main thread and a worker of the loader.

import type { BatchJob, BatchRecipe, BatchTimings } from "./batch-maker.ts";
import type { CollatedColumn } from "./collate.ts";
import type { PackedError } from "../core/packed-error.ts";

/** What a worker is started with (`workerData`). */
export type WorkerStart = BatchRecipe;

/** Main thread to worker: make a batch in one of the worker's slots. */
export interface MakeBatch {
  /** A number no other job of this worker has. */
  readonly task: number;
  readonly job: BatchJob;
  /** A number from 0 on; the worker keeps memory for each. Free until the answer comes, then until the batch is released. */
  readonly slot: number;
}

/** Worker to main thread: the batch lies in its slot. */
export interface BatchMade {
  readonly kind: "made";
  readonly task: number;
  /** The slot's memory, only when it is another one than the time before. */
  readonly memory: SharedArrayBuffer | undefined;
  readonly columns: readonly CollatedColumn[];
  readonly keys: readonly string[];
  readonly timings: BatchTimings;
}

/** Worker to main thread: the batch could not be made. */
export interface BatchFailed {
  readonly kind: "failed";
  readonly task: number;
  readonly error: PackedError;
}

/** What a worker answers to {@link MakeBatch}. */
export type WorkerAnswer = BatchMade | BatchFailed;
