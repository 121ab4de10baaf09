// One batch from its positions: order, read, transform, stack. The same code in a worker thread and in the main thread.

import type { TransformDescription } from "../transforms/registry.ts";
import type { Pipeline } from "../transforms/transform.ts";
import { startStack, type CollatedBatch } from "./collate.ts";
import { ColumnMaker } from "./column-maker.ts";
import type { Dataset } from "./dataset.ts";
import { epochLength, orderOf, pipelineOf } from "./epoch.ts";
import type { Mixture } from "./mixture.ts";
import type { Order, Shuffle } from "./order.ts";
import { RecordReader } from "./record-reader.ts";
import type { Span } from "./topology.ts";

/** What a batch maker works from. Plain data and shared memory, which can cross a thread. */
export interface BatchRecipe {
  readonly dataset: Dataset;
  readonly transforms: readonly TransformDescription[];
  readonly shuffle: Shuffle;
  readonly seed: number;
  /** What makes a mixture of a data set that was joined from several. */
  readonly mixture?: Mixture;
  /** How many makers work side by side and share the files that a process may open. */
  readonly makers: number;
}

/** Which batch to make. */
export interface BatchJob extends Span {
  readonly epoch: number;
  readonly step: number;
  /** Where the global batch starts, of which this is one rank's part. */
  readonly globalStart: number;
}

/** Where the time of a batch went, in milliseconds. The sum is exact, the shares are those of every eighth sample. */
export interface BatchTimings {
  readonly readMs: number;
  readonly transformMs: number;
  readonly collateMs: number;
}

// The clock costs as much as a small sample's copy, so it is read at every eighth sample only.
const TIMED_EVERY = 8;

/** Makes batches of a data set by number. */
export class BatchMaker {
  readonly #recipe: BatchRecipe;
  readonly #records: number;
  readonly #reader: RecordReader;
  readonly #pipeline: Pipeline;
  /** Given up at the first batch that it cannot make. */
  #columns: ColumnMaker | undefined;
  #order: { readonly epoch: number; readonly recordAt: Order } | undefined;

  /**
   * Builds the transforms; opens no file yet.
   *
   * @throws {KdataError} `usage` when there is no such transform.
   */
  constructor(recipe: BatchRecipe) {
    this.#recipe = recipe;
    this.#records = epochLength(recipe);
    this.#pipeline = pipelineOf(recipe);
    this.#reader = new RecordReader(recipe.dataset, recipe.makers);
    if (!recipe.mixture) this.#columns = ColumnMaker.create(this.#reader, recipe.transforms);
  }

  /**
   * Makes a batch in memory that `allocate` gives.
   *
   * @throws {KdataError} what a reader or a transform finds, with the position; `shape` when samples disagree.
   */
  make<M extends ArrayBufferLike>(
    job: BatchJob,
    allocate: (byteLength: number) => M,
  ): CollatedBatch<M> & { readonly timings: BatchTimings } {
    return this.#makeOfColumns(job, allocate) ?? this.#makeOfSamples(job, allocate);
  }

  /** Closes the files. */
  close(): void {
    this.#reader.close();
  }

  #makeOfColumns<M extends ArrayBufferLike>(
    { epoch, start, size }: BatchJob,
    allocate: (byteLength: number) => M,
  ): (CollatedBatch<M> & { readonly timings: BatchTimings }) | undefined {
    if (!this.#columns) return undefined;
    const began = performance.now();
    const recordAt = this.#orderOf(epoch);
    const records = Float64Array.from({ length: size }, (_, row) => recordAt((start + row) % this.#records));
    const made = this.#columns.make(records, allocate);
    if (!made) {
      if (size > 1) this.#columns = undefined;
      return undefined;
    }
    const { batch, readAt, transformedAt } = made;
    const timings = {
      readMs: readAt - began,
      transformMs: transformedAt - readAt,
      collateMs: performance.now() - transformedAt,
    };
    return { ...batch, timings };
  }

  #makeOfSamples<M extends ArrayBufferLike>(
    { epoch, start, size }: BatchJob,
    allocate: (byteLength: number) => M,
  ): CollatedBatch<M> & { readonly timings: BatchTimings } {
    const recordAt = this.#orderOf(epoch);
    const stack = startStack(size, allocate);
    const shares = { read: 0, transform: 0, collate: 0 };
    const began = performance.now();
    for (let row = 0; row < size; row++) {
      const record = recordAt((start + row) % this.#records);
      if (row % TIMED_EVERY !== 0) {
        stack.add(this.#pipeline(this.#reader.read(record), epoch, record));
        continue;
      }
      const t0 = performance.now();
      const read = this.#reader.read(record);
      const t1 = performance.now();
      const sample = this.#pipeline(read, epoch, record);
      const t2 = performance.now();
      stack.add(sample);
      shares.read += t1 - t0;
      shares.transform += t2 - t1;
      shares.collate += performance.now() - t2;
    }
    const batch = stack.finish();
    return { ...batch, timings: divide(performance.now() - began, shares) };
  }

  #orderOf(epoch: number): Order {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, recordAt: orderOf(this.#recipe, epoch) };
    return this.#order.recordAt;
  }
}

function divide(
  totalMs: number,
  { read, transform, collate }: { read: number; transform: number; collate: number },
): BatchTimings {
  const perShare = totalMs / (read + transform + collate || 1);
  return { readMs: read * perShare, transformMs: transform * perShare, collateMs: collate * perShare };
}
