// Batches made in the thread that asks for them: no thread to start, no hop, the right choice for small records.

import { BatchMaker, type BatchJob, type BatchRecipe } from "./batch-maker.ts";
import type { BatchProducer, MadeBatch } from "./batch-producer.ts";
import { createSlot } from "./slots.ts";

/** Makes each batch when it is asked for, always in the same memory. */
export class InThreadProducer implements BatchProducer {
  readonly #maker: BatchMaker;
  readonly #allocate = createSlot((byteLength) => new ArrayBuffer(byteLength));
  #jobs: Iterator<BatchJob> | undefined;

  constructor(recipe: BatchRecipe) {
    this.#maker = new BatchMaker(recipe);
  }

  begin(jobs: Iterator<BatchJob>): void {
    this.#jobs = jobs;
  }

  next(): Promise<MadeBatch | undefined> {
    return new Promise((resolve) => {
      const next = this.#jobs?.next();
      if (!next || next.done === true) {
        resolve(undefined);
        return;
      }
      const { timings, ...batch } = this.#maker.make(next.value, this.#allocate);
      resolve({ job: next.value, batch, timings, release: () => undefined });
    });
  }

  close(): Promise<void> {
    this.#jobs = undefined;
    this.#maker.close();
    return Promise.resolve();
  }
}
