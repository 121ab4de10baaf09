// Every message that crosses between the main thread and a worker of a task pool.

import type { PackedError } from "../core/packed-error.ts";

/** What a worker is started with (`workerData`). */
export interface TaskStart {
  /** The compiled module that does the work: it exports {@link TaskModule.startTasks}. */
  readonly module: string;
  readonly setup: unknown;
}

/** A module that a task pool loads in each of its workers. */
export interface TaskModule {
  /**
   * Makes what does the jobs of one worker. It tells of its progress with `tell`, and lets the event loop run from time to time;
   * when `isStopped` says so it throws and tidies up.
   */
  startTasks(
    setup: unknown,
    tell: (message: unknown) => void,
    isStopped: () => boolean,
  ): (job: unknown) => Promise<void>;
}

/** Main thread to worker. */
export type TaskOrder = { readonly kind: "do"; readonly job: unknown } | { readonly kind: "stop" };

/** Worker to main thread. */
export type TaskAnswer =
  | { readonly kind: "told"; readonly message: unknown }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: PackedError };
