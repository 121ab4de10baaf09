// Who makes the batches of a loader: the thread that asks, or a pool of workers.

import type { BatchRecipe } from "./batch-maker.ts";
import type { BatchProducer } from "./batch-producer.ts";
import { findWorkerEntry } from "./entry.ts";
import { InThreadProducer } from "./in-thread.ts";
import type { ResolvedOptions } from "./options.ts";
import { WorkerPool } from "./pool.ts";
import { autoDepth, BATCHES_PER_WORKER, fixedDepth } from "./prefetch-depth.ts";

/** What decides who makes the batches. */
type ProducerOptions = Pick<ResolvedOptions, "maxPrefetchBytes" | "workerTimeoutMs"> & {
  readonly workers: number;
  readonly prefetch?: number | "auto";
};

/** Makes what makes the batches. */
export function createProducer(
  recipe: BatchRecipe,
  { workers, prefetch, maxPrefetchBytes, workerTimeoutMs }: ProducerOptions,
): BatchProducer {
  if (workers === 0) return new InThreadProducer(recipe);
  const depth =
    prefetch === "auto"
      ? autoDepth({ workers, maxBytes: maxPrefetchBytes })
      : fixedDepth(prefetch ?? workers * BATCHES_PER_WORKER);
  return new WorkerPool({ entry: findWorkerEntry(), recipe, workers, depth, timeoutMs: workerTimeoutMs });
}
