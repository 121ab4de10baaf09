// What an integration takes and gives: batches, one iteration an epoch. The loader is one, and so is whatever a trainer takes.

import type { Batch } from "../core/batch.ts";

/** Batches that can be iterated epoch after epoch: a loader, a generator, what {@link toBatches} makes. */
export interface BatchSource extends AsyncIterable<Batch> {
  /** Steps of a whole epoch, where the source knows. */
  readonly stepsPerEpoch?: number;
  /** Samples of a whole epoch, where the source knows. */
  readonly sampleCount?: number;
  /** Frees what the source holds: worker threads, files. */
  close?(): Promise<void>;
}
