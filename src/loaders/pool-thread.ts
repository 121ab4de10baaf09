// One worker thread as its pool sees it: what it was told, and whether it is alive.

import { Worker } from "node:worker_threads";
import type { MakeBatch, WorkerAnswer, WorkerOrder, WorkerStart } from "./protocol.ts";
import { createPulse, type Pulse } from "./pulse.ts";

/** What a pool wants to hear of. */
export interface ThreadEvents {
  readonly onAnswer: (answer: WorkerAnswer) => void;
  /** It ended, whatever the reason. Comes once. */
  readonly onExit: (cause: unknown) => void;
}

/** A worker thread. */
export class PoolThread {
  /** From 1 on. */
  readonly number: number;
  readonly #pulse: Pulse = createPulse();
  readonly #worker: Worker;
  /** By slot: the memory it was told of. */
  readonly #told = new Map<number, SharedArrayBuffer>();
  #lastBeats = 0;
  #ticksWithoutBeat = 0;

  /** Starts the thread. It does not keep the process alive until {@link ref}. */
  constructor(entry: URL, start: Omit<WorkerStart, "pulse">, { onAnswer, onExit }: ThreadEvents) {
    this.number = start.worker;
    // None of this process's flags: `--input-type` of `node -e`, for one, would keep the entry from loading.
    const workerData: WorkerStart = { ...start, pulse: this.#pulse };
    const worker = new Worker(entry, { workerData, execArgv: [] });
    let cause: unknown;
    worker.on("message", onAnswer);
    worker.on("error", (error) => (cause = error));
    worker.on("messageerror", (error) => {
      cause = error;
      void worker.terminate();
    });
    worker.on("exit", (exitCode) => {
      onExit(cause ?? `exit code ${exitCode}`);
    });
    worker.unref();
    this.#worker = worker;
  }

  /** Offers a task. */
  offer({ slot, memory, ...order }: Omit<MakeBatch, "kind">): void {
    const isNew = memory !== undefined && this.#told.get(slot) !== memory;
    if (isNew) this.#told.set(slot, memory);
    this.#post({ kind: "make", ...order, slot, memory: isNew ? memory : undefined });
  }

  /** Takes note of the memory that the thread itself has given a slot. */
  knows(slot: number, memory: SharedArrayBuffer): void {
    this.#told.set(slot, memory);
  }

  /** Has the memory of a slot given up. */
  forget(slot: number): void {
    if (this.#told.delete(slot)) this.#post({ kind: "forget", slot });
  }

  /** Says whether it came as far as to take orders. */
  hasStarted(): boolean {
    return Atomics.load(this.#pulse.beats, 0) > 0;
  }

  /** Gives the record that it began last. `undefined` where that is not known. */
  lastRecord(): number | undefined {
    const record = this.#pulse.record[0] ?? NaN;
    return Number.isNaN(record) ? undefined : record;
  }

  /** Counts the calls since the last sign of life, or since it had nothing to do. */
  countTick(isEngaged: boolean): number {
    const beats = Atomics.load(this.#pulse.beats, 0);
    this.#ticksWithoutBeat = isEngaged && beats === this.#lastBeats ? this.#ticksWithoutBeat + 1 : 0;
    this.#lastBeats = beats;
    return this.#ticksWithoutBeat;
  }

  /** Keeps the process alive, or no more. */
  setRef(isReferenced: boolean): void {
    if (isReferenced) this.#worker.ref();
    else this.#worker.unref();
  }

  /** Ends the thread. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #post(order: WorkerOrder): void {
    this.#worker.postMessage(order);
  }
}
