// Batches made in the thread that asks for them: no thread to start, no hop, the right choice for small records.

import { takeTurns } from "../core/turns.ts";
import { BatchMaker, type BatchJob, type BatchRecipe } from "./batch-maker.ts";
import type { BatchProducer, MadeBatch } from "./batch-producer.ts";
import { createSlot } from "./slots.ts";

/** Makes each batch when it is asked for, always in the same memory. Between batches timers, signals and I/O get their turn. */
export class InThreadProducer implements BatchProducer {
  /** Always 0: a batch is made when it is asked for. */
  readonly ready = 0;
  readonly #maker: BatchMaker;
  readonly #allocate = createSlot((byteLength) => new ArrayBuffer(byteLength));
  readonly #turns = takeTurns();
  #jobs: Iterator<BatchJob> | undefined;

  constructor(recipe: BatchRecipe) {
    this.#maker = new BatchMaker(recipe);
  }

  begin(jobs: Iterator<BatchJob>): void {
    this.#jobs = jobs;
  }

  async next(): Promise<MadeBatch | undefined> {
    const jobs = this.#jobs;
    if (this.#turns.isOver()) await this.#turns.yield();
    if (jobs !== this.#jobs) return undefined; // begin, close or the abort signal came in that turn
    const next = jobs?.next();
    if (!next || next.done === true) return undefined;
    const { account, timings, ...batch } = this.#maker.make(next.value, this.#allocate);
    return { job: next.value, batch, account, timings, release: () => undefined };
  }

  close(): Promise<void> {
    this.#jobs = undefined;
    this.#maker.close();
    return Promise.resolve();
  }
}
