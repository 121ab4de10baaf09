// Every message that crosses between the main thread and a worker of the loader.

import type { BatchAccount } from "./account.ts";
import type { BatchJob, BatchRecipe } from "./batch-maker.ts";
import type { ClaimCells } from "./claims.ts";
import type { CollatedColumn } from "./collate.ts";
import type { PackedError } from "./packed-error.ts";
import type { Pulse } from "./pulse.ts";
import type { BatchTimings } from "./timings.ts";

/** What a worker is started with (`workerData`). */
export interface WorkerStart {
  readonly recipe: BatchRecipe;
  /** Its number among all that this pool has started, from 1 on. */
  readonly worker: number;
  readonly claims: ClaimCells;
  readonly pulse: Pulse;
}

/** Main thread to every worker: a batch is to be made in a slot, by whoever claims it first. */
export interface MakeBatch {
  readonly kind: "make";
  readonly task: number;
  readonly job: BatchJob;
  /** Whoever has claimed the task owns the slot until it has answered. */
  readonly slot: number;
  /** The slot's memory, only when this worker has not been told of it before. */
  readonly memory: SharedArrayBuffer | undefined;
}

/** Main thread to a worker: a slot is given up, and its memory with it. */
export interface ForgetSlot {
  readonly kind: "forget";
  readonly slot: number;
}

/** What a worker is told. */
export type WorkerOrder = MakeBatch | ForgetSlot;

/** Worker to main thread: the batch lies in its slot. */
export interface BatchMade {
  readonly kind: "made";
  readonly task: number;
  /** The slot's memory, only when it is another one than the worker was told of. */
  readonly memory: SharedArrayBuffer | undefined;
  readonly columns: readonly CollatedColumn[];
  readonly keys: readonly string[];
  readonly account: BatchAccount;
  readonly timings: BatchTimings;
}

/** Worker to main thread: the batch could not be made. */
export interface BatchFailed {
  readonly kind: "failed";
  readonly task: number;
  readonly error: PackedError;
}

/** What the worker that claimed a task answers to {@link MakeBatch}. */
export type WorkerAnswer = BatchMade | BatchFailed;
