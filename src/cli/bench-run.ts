// One run of `kdata bench`: a loader for some seconds, and where its time went.

import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Batch } from "../core/batch.ts";
import type { Loader } from "../loaders/loader.ts";
import type { LoaderStats } from "../loaders/stats.ts";

/** How long, and what for. */
export interface RunSettings {
  readonly seconds: number;
  /** What is done with each batch: a training step. Left out: nothing. */
  readonly onBatch?: ((batch: Batch) => Promise<void> | void) | undefined;
}

/** Where the time of a run went. */
export const stages = ["read", "decode", "transform", "collate", "hand-off", "consumer"] as const;

/** One of {@link stages}. */
export type Stage = (typeof stages)[number];

/** What one run came to. */
export interface BenchRun {
  readonly workers: number;
  readonly seconds: number;
  readonly batches: number;
  readonly samples: number;
  readonly batchesPerSecond: number;
  readonly samplesPerSecond: number;
  readonly firstBatchMs: number;
  /** From asking for a batch to getting it, the first one left out. */
  readonly waitMs: { readonly p50: number; readonly p99: number };
  /** Which share of the time the main thread was not idle. */
  readonly mainThreadBusy: number;
  /** How late timers of the main thread came. */
  readonly eventLoopDelayMs: { readonly p99: number };
  /**
   * Milliseconds of each stage. The first four over all workers; `consumer` is what was done with the batches, `hand-off` what of the
   * time is left when consumer and workers are accounted for, each in their own thread.
   */
  readonly stagesMs: Readonly<Record<Stage, number>>;
  readonly stats: LoaderStats;
}

/** The result of the run is what happened by the end of it, and an epoch that ends before begins anew. */
export async function runBench(train: Loader, { seconds, onBatch }: RunSettings): Promise<BenchRun> {
  const waits: number[] = [];
  let consumerMs = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const utilization = performance.eventLoopUtilization();
  const began = performance.now();
  const end = began + seconds * 1000;
  let hasBatches = true;
  let isOver = false;
  while (!isOver && hasBatches) {
    hasBatches = false;
    let asked = performance.now();
    for await (const batch of train) {
      hasBatches = true;
      const given = performance.now();
      waits.push(given - asked);
      await onBatch?.(batch);
      asked = performance.now();
      consumerMs += asked - given;
      isOver = asked >= end;
      if (isOver) break;
    }
  }
  const elapsedMs = performance.now() - began;
  const { utilization: mainThreadBusy } = performance.eventLoopUtilization(utilization);
  delay.disable();
  const stats = train.stats();
  const [firstBatchMs = 0, ...later] = waits;
  return {
    workers: stats.workers,
    seconds: elapsedMs / 1000,
    batches: stats.batches,
    samples: stats.samples,
    // The first batch comes late because threads start and files are opened: it has a figure of its own.
    batchesPerSecond: rateWithoutFirst(stats.batches, stats.batches, elapsedMs, firstBatchMs),
    samplesPerSecond: rateWithoutFirst(stats.samples, stats.batches, elapsedMs, firstBatchMs),
    firstBatchMs,
    waitMs: { p50: percentile(later, 0.5), p99: percentile(later, 0.99) },
    mainThreadBusy,
    eventLoopDelayMs: { p99: delay.percentile(99) / 1e6 },
    stagesMs: divideStages(stats, elapsedMs, consumerMs),
    stats,
  };
}

function rateWithoutFirst(count: number, batches: number, elapsedMs: number, firstBatchMs: number): number {
  if (batches < 2) return elapsedMs > 0 ? (count * 1000) / elapsedMs : 0;
  return (count * (1 - 1 / batches) * 1000) / (elapsedMs - firstBatchMs);
}

function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** A transform that decodes counts as decoding: to its user it is one whether the reader or a transform does it. */
function divideStages(stats: LoaderStats, elapsedMs: number, consumerMs: number): Record<Stage, number> {
  const decodingMs = stats.transforms.reduce((sum, { name, ms }) => (name.startsWith("decode") ? sum + ms : sum), 0);
  const read = stats.readMs;
  const decode = stats.decodeMs + decodingMs;
  const transform = stats.transformMs - decodingMs;
  const collate = stats.collateMs;
  const makingMs = (read + decode + transform + collate) / Math.max(1, stats.workers);
  // In one thread both take turns; with workers they run side by side.
  const accountedMs = stats.workers === 0 ? makingMs + consumerMs : Math.max(makingMs, consumerMs);
  return {
    read,
    decode,
    transform,
    collate,
    "hand-off": Math.max(0, elapsedMs - accountedMs),
    consumer: consumerMs,
  };
}
