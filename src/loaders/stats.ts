// What a loader did and where the time went.

import { countDelivered } from "./account.ts";
import type { MadeBatch } from "./batch-producer.ts";
import { batchBytes } from "./collate.ts";
import type { CacheStats } from "./sample-cache.ts";
import type { BatchTimings } from "./timings.ts";

/**
 * What a loader has done since it was opened. Times in milliseconds; those of the stages are summed up over all workers, for the
 * batches that were delivered.
 */
export interface LoaderStats {
  /** Batches delivered. */
  readonly batches: number;
  /** Samples delivered, padded ones not counted. */
  readonly samples: number;
  /** Bytes that were read from files. */
  readonly bytesRead: number;
  /** Bytes of the features of the batches. */
  readonly bytesDelivered: number;
  /** Reading from files. */
  readonly readMs: number;
  /** What the reader does beside that: checksums, decompression, decoding of the format. */
  readonly decodeMs: number;
  /** All transforms together. */
  readonly transformMs: number;
  /** Each transform, in their order. */
  readonly transforms: readonly { readonly name: string; readonly ms: number }[];
  /** Copying samples into batches. */
  readonly collateMs: number;
  /** From asking for a batch to getting it, as the consumer saw it. */
  readonly waitMs: number;
  /** From the first request to the first batch. `undefined` until then. */
  readonly firstBatchMs: number | undefined;
  /** Worker threads that there may be; 0 where this thread makes the batches. */
  readonly workers: number;
  /** Which share of the time, from the first request to the last delivery, a worker spent making batches, on average: 0 to 1. */
  readonly busy: number;
  /** What a `cache` among the transforms did, in all workers; batches that were not delivered included. */
  readonly cache?: CacheStats;
  /** Batches that were made and waited for their delivery. */
  readonly queue: {
    readonly now: number;
    /** On average over the requests. */
    readonly mean: number;
  };
}

/** Keeps the statistics of one loader. */
export class StatsBook {
  readonly #transforms: readonly string[];
  readonly #workers: number;
  readonly #transformsMs: number[];
  #batches = 0;
  #samples = 0;
  #bytesRead = 0;
  #bytesDelivered = 0;
  #readMs = 0;
  #decodeMs = 0;
  #collateMs = 0;
  #waitMs = 0;
  #requests = 0;
  #queued = 0;
  #firstRequest: number | undefined;
  #firstBatch: number | undefined;
  #lastBatch = 0;

  /** `transforms` are their names, in order. */
  constructor(transforms: readonly string[], workers: number) {
    this.#transforms = transforms;
    this.#workers = workers;
    this.#transformsMs = transforms.map(() => 0);
  }

  /** Takes note that a batch is asked for, with so many that wait for their delivery. */
  asked(at: number, ready: number): void {
    this.#firstRequest ??= at;
    this.#requests++;
    this.#queued += ready;
  }

  /** Takes note of the answer to a request, also where it is no batch. */
  answered(askedAt: number): void {
    this.#lastBatch = performance.now();
    this.#waitMs += this.#lastBatch - askedAt;
  }

  /** Takes note of a batch, also where it is left out because it is empty. */
  made({ batch, account, timings }: MadeBatch, isDelivered: boolean): void {
    this.#addTimings(timings);
    if (!isDelivered) return;
    this.#firstBatch ??= this.#lastBatch;
    this.#batches++;
    this.#samples += countDelivered(batch.keys.length, account);
    this.#bytesDelivered += batchBytes(batch);
  }

  /** Sums up. */
  report(ready: number): LoaderStats {
    const transformMs = this.#transformsMs.reduce((sum, ms) => sum + ms, 0);
    const busyMs = this.#readMs + this.#decodeMs + transformMs + this.#collateMs;
    const elapsedMs = this.#lastBatch - (this.#firstRequest ?? this.#lastBatch);
    const firstBatchMs =
      this.#firstBatch === undefined ? undefined : this.#firstBatch - (this.#firstRequest ?? this.#firstBatch);
    return {
      batches: this.#batches,
      samples: this.#samples,
      bytesRead: this.#bytesRead,
      bytesDelivered: this.#bytesDelivered,
      readMs: this.#readMs,
      decodeMs: this.#decodeMs,
      transformMs,
      transforms: this.#transforms.map((name, place) => ({ name, ms: this.#transformsMs[place] ?? 0 })),
      collateMs: this.#collateMs,
      waitMs: this.#waitMs,
      firstBatchMs,
      workers: this.#workers,
      busy: elapsedMs > 0 ? Math.min(1, busyMs / (elapsedMs * Math.max(1, this.#workers))) : 0,
      queue: { now: ready, mean: this.#requests > 0 ? this.#queued / this.#requests : 0 },
    };
  }

  #addTimings({ readMs, decodeMs, transformsMs, collateMs, bytesRead }: BatchTimings): void {
    this.#readMs += readMs;
    this.#decodeMs += decodeMs;
    this.#collateMs += collateMs;
    this.#bytesRead += bytesRead;
    for (const [place, ms] of transformsMs.entries()) {
      this.#transformsMs[place] = (this.#transformsMs[place] ?? 0) + ms;
    }
  }
}
