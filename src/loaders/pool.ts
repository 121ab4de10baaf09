// Worker threads that make batches. Every job is offered to all of them and made by whoever is idle first; results wait until it is
// their turn, and the slots that are free bound how far the workers run ahead.

import { KdataError, type Position } from "../core/errors.ts";
import type { BatchJob, BatchRecipe } from "./batch-maker.ts";
import type { BatchProducer, MadeBatch } from "./batch-producer.ts";
import { claimantOf, createClaimCells, offerTask, TASK_NUMBERS, withdrawTask, type ClaimCells } from "./claims.ts";
import { batchBytes } from "./collate.ts";
import { shardOf } from "./dataset.ts";
import { unpackError } from "./packed-error.ts";
import { PoolThread } from "./pool-thread.ts";
import type { PrefetchDepth } from "./prefetch-depth.ts";
import type { BatchMade, WorkerAnswer } from "./protocol.ts";

/** How a pool is made. */
export interface PoolSettings {
  /** The compiled `worker.ts`. */
  readonly entry: URL;
  readonly recipe: BatchRecipe;
  readonly workers: number;
  /** Batches that are being made or wait for delivery, over all workers. */
  readonly depth: PrefetchDepth;
  /** A worker that begins no record for so long is taken to hang. */
  readonly timeoutMs: number;
}

/** Memory for one batch, over all workers. */
interface Slot {
  readonly number: number;
  /** Once a worker has made some. */
  memory: SharedArrayBuffer | undefined;
}

/** One batch on its way. */
interface Task {
  readonly number: number;
  readonly job: BatchJob;
  readonly slot: Slot;
  /** How many workers died or hung over it. */
  deaths: number;
  outcome: { readonly made: MadeBatch } | { readonly error: Error } | undefined;
  /** The epoch it belongs to was left: nobody will take it. */
  isDropped: boolean;
}

// A worker that dies may have run out of memory by bad luck; a batch that kills a second one is the reason itself.
const MAX_DEATHS = 2;
// Time is counted in ticks, which stand still with the main thread: while it computes, answers wait, and nobody hangs.
const TICKS = 20;

/**
 * A pool of worker threads, each started when there is first something to do for it.
 *
 * While nobody waits for a batch its threads do not keep the process alive; `close()` ends them.
 */
export class WorkerPool implements BatchProducer {
  readonly #settings: PoolSettings;
  readonly #claims: ClaimCells;
  #threads: PoolThread[] = [];
  #threadsStarted = 0;
  readonly #slots = new Set<Slot>();
  /** The one used last at the end. */
  readonly #freeSlots: Slot[] = [];
  /** On offer or about to be, in the order of delivery. */
  #pending: Task[] = [];
  /** By number: those that were not answered, dropped ones included, oldest first. */
  readonly #unanswered = new Map<number, Task>();
  #jobs: Iterator<BatchJob> | undefined;
  /** The last job of the epoch was taken. */
  #isLastTaken = false;
  #nextTask = 0;
  #isClosed = false;
  /** Those who wait for something to happen: who waits for the next batch, and who did when its epoch was left. */
  #waiting: (() => void)[] = [];
  #watch: NodeJS.Timeout | undefined;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#claims = createClaimCells(settings.depth.most + 1);
  }

  get ready(): number {
    return this.#pending.filter(({ outcome }) => outcome).length;
  }

  begin(jobs: Iterator<BatchJob>): void {
    for (const task of this.#pending) this.#drop(task);
    this.#pending = [];
    this.#jobs = jobs;
    this.#isLastTaken = false;
    this.#handOut();
    this.#wake();
  }

  async next(): Promise<MadeBatch | undefined> {
    const jobs = this.#jobs;
    let hasWaited = false;
    while (jobs && jobs === this.#jobs) {
      this.#handOut();
      const [task] = this.#pending;
      // With nothing under way but jobs left, every slot is taken: by batches of an epoch that was left, until they are made.
      if (!task && this.#isLastTaken) return undefined;
      if (task?.outcome) {
        this.#pending.shift();
        if ("error" in task.outcome) throw task.outcome.error;
        this.#settings.depth.delivered(batchBytes(task.outcome.made.batch), hasWaited);
        this.#handOut();
        return task.outcome.made;
      }
      hasWaited = true;
      await this.#somethingHappens();
    }
    return undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#jobs = undefined;
    clearInterval(this.#watch);
    this.#wake();
    await Promise.all(
      this.#threads.splice(0).map((thread) => {
        thread.setRef(true); // or the process could end before this promise settles
        return thread.terminate();
      }),
    );
  }

  async #somethingHappens(): Promise<void> {
    for (const thread of this.#threads) thread.setRef(true);
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const thread of this.#threads) thread.setRef(false);
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  /** Offers jobs as long as there are some, a slot for each, and fewer batches on their way than the depth says. */
  #handOut(): void {
    this.#giveUpSlots();
    while (!this.#isClosed && this.#pending.length < this.#settings.depth.batches) {
      const slot = this.#freeSlots.pop() ?? this.#createSlot();
      if (!slot) return;
      const job = this.#takeJob();
      if (!job) {
        this.#freeSlots.push(slot);
        return;
      }
      this.#nextTask = (this.#nextTask % TASK_NUMBERS) + 1;
      const task: Task = { number: this.#nextTask, job, slot, deaths: 0, outcome: undefined, isDropped: false };
      this.#pending.push(task);
      this.#unanswered.set(task.number, task);
      this.#offer(task);
      this.#staff();
    }
  }

  #takeJob(): BatchJob | undefined {
    if (!this.#jobs || this.#isLastTaken) return undefined;
    const next = this.#jobs.next();
    if (next.done !== true) return next.value;
    this.#isLastTaken = true;
    return undefined;
  }

  /** One more than batches may be on their way: the consumer still looks at the one before. */
  #createSlot(): Slot | undefined {
    if (this.#slots.size > this.#settings.depth.batches) return undefined;
    const taken = new Set([...this.#slots].map(({ number }) => number));
    let number = 0;
    while (taken.has(number)) number++;
    const slot = { number, memory: undefined };
    this.#slots.add(slot);
    return slot;
  }

  /** Lets go of memory when the depth has shrunk. */
  #giveUpSlots(): void {
    while (this.#slots.size > this.#settings.depth.batches + 1) {
      const slot = this.#freeSlots.shift();
      if (!slot) return;
      this.#slots.delete(slot);
      for (const thread of this.#threads) thread.forget(slot.number);
    }
  }

  #offer(task: Task): void {
    offerTask(this.#claims, task.slot.number, task.number);
    for (const thread of this.#threads) offerTo(thread, task);
  }

  /** Starts workers as long as there are fewer than allowed, and than there are tasks. */
  #staff(): void {
    while (!this.#isClosed && this.#threads.length < Math.min(this.#settings.workers, this.#unanswered.size)) {
      this.#threads.push(this.#startThread());
    }
  }

  #startThread(): PoolThread {
    const { entry, recipe, timeoutMs } = this.#settings;
    const start = { recipe, worker: ++this.#threadsStarted, claims: this.#claims };
    const thread = new PoolThread(entry, start, {
      onAnswer: (answer) => {
        this.#receive(answer, thread);
      },
      onExit: (cause) => {
        this.#bury(thread, cause, "died over it");
      },
    });
    thread.setRef(this.#waiting.length > 0);
    for (const task of this.#unanswered.values()) if (!task.isDropped) offerTo(thread, task);
    this.#watch ??= setInterval(() => {
      this.#findHung();
    }, timeoutMs / TICKS).unref();
    return thread;
  }

  #receive(answer: WorkerAnswer, thread: PoolThread): void {
    if (!this.#threads.includes(thread)) return; // it was given up, and its task was given to another one
    const task = this.#unanswered.get(answer.task);
    if (!task) throw new RangeError(`Cannot receive task ${answer.task}: it is not under way`);
    this.#unanswered.delete(answer.task);
    const release = this.#releaseOnce(task.slot);
    if (answer.kind === "failed") {
      task.outcome = { error: unpackError(answer.error) };
      release();
    } else {
      task.outcome = { made: takeBatch(answer, task, thread, release) };
      if (task.isDropped) release();
    }
    this.#handOut();
    this.#wake();
  }

  #releaseOnce(slot: Slot): () => void {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#freeSlots.push(slot);
      this.#handOut();
    };
  }

  /** Leaves a task alone: its memory goes back now or when it is made. */
  #drop(task: Task): void {
    task.isDropped = true;
    if (task.outcome) {
      if ("made" in task.outcome) task.outcome.made.release();
    } else if (withdrawTask(this.#claims, task.slot.number, task.number)) {
      this.#unanswered.delete(task.number);
      this.#freeSlots.push(task.slot);
    }
  }

  /** Offers again what a worker that is gone had claimed. */
  #bury(dead: PoolThread, cause: unknown, what: string): void {
    if (!this.#threads.includes(dead)) return;
    this.#threads = this.#threads.filter((thread) => thread !== dead);
    const tasks = [...this.#unanswered.values()];
    const claimed = tasks.filter(({ slot }) => claimantOf(this.#claims, slot.number) === dead.number);
    for (const task of claimed) {
      if (task.isDropped || ++task.deaths >= MAX_DEATHS) this.#fail(task, dead, cause, what);
      else this.#offer(task);
    }
    // One that never came to claim anything says that none can start: the first task that is left has to say so.
    const first = dead.hasStarted() ? undefined : tasks.find(({ slot }) => !claimantOf(this.#claims, slot.number));
    if (first && ++first.deaths >= MAX_DEATHS && withdrawTask(this.#claims, first.slot.number, first.number)) {
      this.#fail(first, dead, cause, what);
    }
    this.#handOut();
    this.#staff();
    this.#wake();
  }

  #fail(task: Task, dead: PoolThread, cause: unknown, what: string): void {
    const { step, epoch } = task.job;
    const at = this.#placeOf(dead.lastRecord());
    const reason = `Cannot make batch ${step} of epoch ${epoch}: ${MAX_DEATHS} workers ${what}`;
    task.outcome = { error: new KdataError("worker", reason, { cause, ...(at && { at }) }) };
    this.#unanswered.delete(task.number);
    this.#freeSlots.push(task.slot);
  }

  #placeOf(record: number | undefined): Position | undefined {
    if (record === undefined) return undefined;
    const { dataset } = this.#settings.recipe;
    const shard = shardOf(dataset, record);
    return { source: dataset.shards[shard]?.name ?? "", record: record - (dataset.starts[shard] ?? 0) };
  }

  /** Ends workers that have begun no record for too long. */
  #findHung(): void {
    const { timeoutMs } = this.#settings;
    const tasks = [...this.#unanswered.values()];
    for (const thread of [...this.#threads]) {
      const isEngaged = thread.hasStarted()
        ? tasks.some(({ slot }) => claimantOf(this.#claims, slot.number) === thread.number)
        : tasks.length > 0;
      if (thread.countTick(isEngaged) < TICKS) continue;
      // A thread that waits inside the system cannot be ended, and may write when it goes on: its slots get other memory.
      for (const { slot } of tasks) {
        if (claimantOf(this.#claims, slot.number) === thread.number) this.#loseMemory(slot);
      }
      this.#bury(thread, undefined, `made no progress over it for ${timeoutMs} ms`);
      void thread.terminate();
    }
  }

  #loseMemory(slot: Slot): void {
    slot.memory = undefined;
    for (const thread of this.#threads) thread.forget(slot.number);
  }
}

function offerTo(thread: PoolThread, { number, job, slot }: Task): void {
  thread.offer({ task: number, job, slot: slot.number, memory: slot.memory });
}

function takeBatch(answer: BatchMade, task: Task, thread: PoolThread, release: () => void): MadeBatch {
  const { columns, keys, account, timings } = answer;
  const { job, slot } = task;
  if (answer.memory) {
    slot.memory = answer.memory;
    thread.knows(slot.number, answer.memory);
  }
  const { memory } = slot;
  if (!memory) throw new RangeError(`Cannot receive task ${answer.task}: the worker has told no memory`);
  return { job, batch: { memory, columns, keys }, account, timings, release };
}
