// Where batches come from: anything that can be iterated, or whole arrays.

import type { Batch } from "../core/batch.ts";
import type { Tensor } from "../core/tensor.ts";

/** Batches to train on or to evaluate: a kdata loader, a generator, anything that can be iterated. One iteration is one epoch. */
export interface BatchSource extends AsyncIterable<Batch> {
  /** Steps of a whole epoch, where the source knows; for the progress bar only. */
  readonly stepsPerEpoch?: number;
  /** Says as JSON how far the source has come, where it can go on from there. Asked when a batch has arrived. */
  state?(): unknown;
  /** Goes on from a state with the next iteration, which gives the rest of that epoch. */
  load?(state: unknown): void;
  /** Frees what the source holds: worker threads, files. The trainer never calls it; whoever opened the source does. */
  close?(): Promise<void>;
}

/** Whole data sets in memory, a tensor for each feature with the samples along its first axis. */
export type ArrayData = Readonly<Record<string, Tensor>>;

/** What can be trained on: batches that come as promises or at once, or arrays. */
export type DataSource = BatchSource | Iterable<Batch> | ArrayData;

/** How arrays are cut into batches. */
export interface ArrayOptions {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
  /** The number of the first iteration: the order depends on it. */
  readonly epoch: number;
  readonly validationSplit?: number;
}

/** Batches to train on, and those that were held back to validate with. */
export interface SplitSource {
  readonly train: BatchSource;
  readonly validation: BatchSource | undefined;
}
