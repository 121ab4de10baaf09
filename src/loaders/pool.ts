// Worker threads that make batches. Jobs are handed out in order to whoever has the least to do, results wait until it is their
// turn, and the slots that are free bound how far the workers run ahead.

import { Worker } from "node:worker_threads";
import { KdataError } from "../core/errors.ts";
import type { BatchJob } from "./batch-maker.ts";
import type { BatchProducer, MadeBatch } from "./batch-producer.ts";
import { unpackError } from "../core/packed-error.ts";
import type { MakeBatch, WorkerAnswer, WorkerStart } from "./protocol.ts";

/** How a pool is made. */
export interface PoolSettings {
  /** The compiled `worker.ts`. */
  readonly entry: URL;
  readonly start: WorkerStart;
  readonly workers: number;
  /** Batches that are being made or wait for delivery, over all workers. */
  readonly prefetch: number;
}

/** One batch on its way. */
interface Task {
  readonly job: BatchJob;
  /** How many workers died over it. */
  deaths: number;
  outcome: { readonly made: MadeBatch } | { readonly error: Error } | undefined;
  /** The epoch it belongs to was left: nobody will take it. */
  isDropped: boolean;
}

/** One worker thread and its slots. */
interface Thread {
  readonly worker: Worker;
  readonly freeSlots: number[];
  /** By slot: the memory, once the worker has told. */
  readonly memories: (SharedArrayBuffer | undefined)[];
  /** By number: what it was told to make and has not answered, oldest first. */
  readonly tasks: Map<number, { readonly task: Task; readonly slot: number }>;
}

// A worker that dies may have run out of memory by bad luck; a batch that kills a second one is the reason itself.
const MAX_DEATHS = 2;

/**
 * A pool of worker threads, each started when there is first something to do for it.
 *
 * While nobody waits for a batch its threads do not keep the process alive; `close()` ends them.
 */
export class WorkerPool implements BatchProducer {
  readonly #settings: PoolSettings;
  #threads: Thread[] = [];
  /** Handed out or about to be, in the order of delivery. */
  #pending: Task[] = [];
  /** Those among them that have lost their worker. */
  #orphans: Task[] = [];
  #jobs: Iterator<BatchJob> | undefined;
  /** The last job of the epoch was taken. */
  #isLastTaken = false;
  #nextTask = 0;
  #isClosed = false;
  /** Those who wait for something to happen: who waits for the next batch, and who did when its epoch was left. */
  #waiting: (() => void)[] = [];

  constructor(settings: PoolSettings) {
    this.#settings = settings;
  }

  begin(jobs: Iterator<BatchJob>): void {
    for (const task of this.#pending) drop(task);
    this.#pending = [];
    this.#orphans = [];
    this.#jobs = jobs;
    this.#isLastTaken = false;
    this.#handOut();
    this.#wake();
  }

  async next(): Promise<MadeBatch | undefined> {
    const jobs = this.#jobs;
    while (jobs && jobs === this.#jobs) {
      this.#handOut();
      const [task] = this.#pending;
      // With nothing under way but jobs left, every slot is taken: by batches of an epoch that was left, until they are made.
      if (!task && this.#isLastTaken) return undefined;
      if (task?.outcome) {
        this.#pending.shift();
        if ("error" in task.outcome) throw task.outcome.error;
        this.#handOut();
        return task.outcome.made;
      }
      await this.#somethingHappens();
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#jobs = undefined;
    this.#wake();
    const threads = this.#threads.splice(0);
    await Promise.all(
      threads.map(({ worker }) => {
        worker.ref(); // or the process could end before this promise settles
        return worker.terminate();
      }),
    );
  }

  async #somethingHappens(): Promise<void> {
    for (const { worker } of this.#threads) worker.ref();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const { worker } of this.#threads) worker.unref();
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  /** Gives jobs to workers as long as there are both, and fewer than `prefetch` batches are on their way. */
  #handOut(): void {
    while (!this.#isClosed) {
      const thread = this.#leastBusy();
      const canStart = this.#threads.length < this.#settings.workers;
      if (!thread && !canStart) return;
      const task = this.#orphans.shift() ?? this.#takeJob();
      if (!task) return;
      this.#give(task, thread?.tasks.size === 0 || !canStart ? thread : undefined);
    }
  }

  /** Finds the worker with the fewest tasks among those with a free slot. */
  #leastBusy(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (thread.freeSlots.length > 0 && (!best || thread.tasks.size < best.tasks.size)) best = thread;
    }
    return best;
  }

  #takeJob(): Task | undefined {
    if (this.#pending.length >= this.#settings.prefetch) return undefined;
    if (!this.#jobs || this.#isLastTaken) return undefined;
    const next = this.#jobs.next();
    if (next.done === true) {
      this.#isLastTaken = true;
      return undefined;
    }
    const task: Task = { job: next.value, deaths: 0, outcome: undefined, isDropped: false };
    this.#pending.push(task);
    return task;
  }

  #give(task: Task, thread = this.#startThread()): void {
    const slot = thread.freeSlots.pop();
    if (slot === undefined) throw new RangeError("Cannot give a job to a worker without a free slot");
    const message: MakeBatch = { task: this.#nextTask++, job: task.job, slot };
    thread.tasks.set(message.task, { task, slot });
    thread.worker.postMessage(message);
  }

  #startThread(): Thread {
    const { entry, start, workers, prefetch } = this.#settings;
    // Each worker's share of the batches on their way, and one that the consumer still looks at.
    const slots = Math.ceil(prefetch / workers) + 1;
    // None of this process's flags: `--input-type` of `node -e`, for one, would keep the entry from loading.
    const worker = new Worker(entry, { workerData: start, execArgv: [] });
    const thread: Thread = {
      worker,
      freeSlots: Array.from({ length: slots }, (_, slot) => slots - 1 - slot),
      memories: [],
      tasks: new Map(),
    };
    let cause: unknown;
    worker.on("message", (answer: WorkerAnswer) => {
      this.#receive(answer, thread);
    });
    worker.on("error", (error) => (cause = error));
    worker.on("messageerror", (error) => {
      cause = error;
      void worker.terminate();
    });
    worker.on("exit", (exitCode) => {
      this.#bury(thread, cause ?? `exit code ${exitCode}`);
    });
    if (this.#waiting.length === 0) worker.unref();
    this.#threads.push(thread);
    return thread;
  }

  #receive(answer: WorkerAnswer, thread: Thread): void {
    const given = thread.tasks.get(answer.task);
    if (!given) throw new RangeError(`Cannot receive task ${answer.task}: this worker was not told to do it`);
    thread.tasks.delete(answer.task);
    const { task, slot } = given;
    const release = this.#releaseOnce(thread, slot);
    if (answer.kind === "failed") {
      task.outcome = { error: unpackError(answer.error) };
      release();
    } else {
      const memory = answer.memory ?? thread.memories[slot];
      if (!memory) throw new RangeError(`Cannot receive task ${answer.task}: the worker has told no memory`);
      thread.memories[slot] = memory;
      const { columns, keys, timings } = answer;
      task.outcome = { made: { job: task.job, batch: { memory, columns, keys }, timings, release } };
    }
    if (task.isDropped) drop(task);
    this.#handOut();
    this.#wake();
  }

  #releaseOnce(thread: Thread, slot: number): () => void {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      thread.freeSlots.push(slot);
      this.#handOut();
    };
  }

  /** Hands out again what a dead worker had not answered. */
  #bury(dead: Thread, cause: unknown): void {
    this.#threads = this.#threads.filter((thread) => thread !== dead);
    const unanswered = [...dead.tasks.values()].map(({ task }) => task).filter(({ isDropped }) => !isDropped);
    const [culprit] = unanswered; // workers make their batches one after the other: it died over the first
    if (culprit && ++culprit.deaths >= MAX_DEATHS) {
      const { step, epoch } = culprit.job;
      const reason = `Cannot make batch ${step} of epoch ${epoch}: ${MAX_DEATHS} workers died over it`;
      culprit.outcome = { error: new KdataError("worker", reason, { cause }) };
    }
    this.#orphans.push(...unanswered.filter(({ outcome }) => !outcome));
    this.#handOut();
    this.#wake();
  }
}

/** Leaves a task alone: its memory goes back now or when it is made. */
function drop(task: Task): void {
  task.isDropped = true;
  if (task.outcome && "made" in task.outcome) task.outcome.made.release();
}
