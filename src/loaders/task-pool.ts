// Worker threads that do jobs which do not depend on each other, each as soon as a worker is free.

import { Worker } from "node:worker_threads";
import { KdataError } from "../core/errors.ts";
import { findWorkerEntry } from "./entry.ts";
import { unpackError } from "../core/packed-error.ts";
import type { TaskAnswer, TaskOrder, TaskStart } from "./task-protocol.ts";

/** What a pool is to do. */
export interface TaskSettings<Job> {
  /** The compiled module that does the work, a `TaskModule`. */
  readonly module: URL;
  /** What its `startTasks` is given: plain data. */
  readonly setup: unknown;
  readonly jobs: readonly Job[];
  readonly workers: number;
  readonly signal?: AbortSignal | undefined;
  /** Begins no further job, and waits for those under way. */
  readonly finishSignal?: AbortSignal | undefined;
  /** Called with what a worker tells of a job. What it throws stops everything. */
  readonly onMessage: (message: unknown, job: number) => void;
}

/**
 * Does jobs in worker threads, begun in their order. After the first error, or when the signal says so, the others are asked to
 * stop and are waited for.
 *
 * @throws {KdataError} the error of the first job in order that has one; `worker` when a thread dies; `aborted` when a signal says so and
 *   jobs are left.
 */
export async function runTasks<Job>(settings: TaskSettings<Job>): Promise<void> {
  const { jobs, signal, finishSignal, onMessage } = settings;
  const queue = jobs.entries();
  const threads = Array.from({ length: Math.min(settings.workers, jobs.length) }, () => new TaskThread(settings));
  const failures: { readonly job: number; readonly error: unknown; readonly isStop: boolean }[] = [];
  let isStopped = signal?.aborted ?? false;
  const left: number[] = []; // jobs that nobody has begun, as far as somebody came to them
  function stop(): void {
    isStopped = true;
    for (const thread of threads) thread.stop();
  }
  signal?.addEventListener("abort", stop);
  try {
    await Promise.all(
      threads.map(async (thread) => {
        for (const [number, job] of queue) {
          if (isStopped || finishSignal?.aborted === true) {
            left.push(number);
            return;
          }
          try {
            await thread.run(job, (message) => {
              onMessage(message, number);
            });
          } catch (error) {
            failures.push({ job: number, error, isStop: isStopped });
            stop();
          }
        }
      }),
    );
  } finally {
    signal?.removeEventListener("abort", stop);
    await Promise.all(threads.map((thread) => thread.close()));
  }
  // What fails because it was asked to stop is not the reason.
  const [first] = failures.sort((a, b) => Number(a.isStop) - Number(b.isStop) || a.job - b.job);
  if (first) throw first.error;
  if (left.length > 0)
    throw new KdataError("aborted", "Cannot go on: stopped on request", { cause: finishSignal?.reason });
}

class TaskThread {
  readonly #worker: Worker;
  /** How the job under way is settled. */
  #settle: { readonly done: () => void; readonly fail: (error: unknown) => void } | undefined;
  #tell: (message: unknown) => void = () => undefined;
  #death: KdataError | undefined;

  constructor({ module, setup }: Pick<TaskSettings<unknown>, "module" | "setup">) {
    const start: TaskStart = { module: module.href, setup };
    // None of this process's flags: `--input-type` of `node -e`, for one, would keep the entry from loading.
    this.#worker = new Worker(findWorkerEntry("task-worker"), { workerData: start, execArgv: [] });
    this.#worker.on("message", (answer: TaskAnswer) => {
      this.#receive(answer);
    });
    let cause: unknown;
    this.#worker.on("error", (error) => (cause = error));
    this.#worker.on("exit", (exitCode) => {
      this.#death = new KdataError("worker", "Cannot go on: a worker thread died", {
        cause: cause ?? `exit code ${exitCode}`,
      });
      this.#settle?.fail(this.#death);
    });
  }

  async run(job: unknown, tell: (message: unknown) => void): Promise<void> {
    if (this.#death) throw this.#death;
    this.#tell = tell;
    await new Promise<void>((done, fail) => {
      this.#settle = { done, fail };
      this.#order({ kind: "do", job });
    });
  }

  stop(): void {
    this.#order({ kind: "stop" });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(answer: TaskAnswer): void {
    if (answer.kind === "done") this.#settle?.done();
    else if (answer.kind === "failed") this.#settle?.fail(unpackError(answer.error));
    else {
      try {
        this.#tell(answer.message);
      } catch (error) {
        this.#settle?.fail(error);
      }
    }
  }

  #order(order: TaskOrder): void {
    this.#worker.postMessage(order);
  }
}
