// Evaluation and prediction: every batch through the model, nothing trained.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import type { Turns } from "../core/turns.ts";
import { abortedError, BatchFeed, type ReadyStep } from "./batch-feed.ts";
import type { BatchSource } from "./batch-source.ts";
import type { Callback } from "./callbacks/callback.ts";
import { output, RunningSums } from "./epoch-meter.ts";
import type { Metric } from "./metrics/metric.ts";

/** What goes over the batches of a source. */
export interface Pass {
  readonly data: BatchSource;
  readonly prepare: (batch: Batch, idle: Promise<unknown>) => Promise<ReadyStep["run"]>;
  readonly steps: number | undefined;
  readonly callbacks: readonly Callback[];
  readonly signal: AbortSignal | undefined;
  readonly turns: Turns;
}

/**
 * Computes loss and metrics over all batches: exact means over their samples.
 *
 * @throws {KdataError} `input` when there is no sample, `aborted` through the signal.
 */
export async function evaluateAll(pass: Pass, metrics: readonly Metric[]): Promise<Record<string, number>> {
  const { callbacks } = pass;
  const sums = new RunningSums(metrics);
  for (const callback of callbacks) await callback.onTestBegin?.();
  await runAll(pass, {
    async begin(step) {
      for (const callback of callbacks) await callback.onTestBatchBegin?.({ step });
    },
    async end(step, ready, outputs) {
      sums.add(outputs, ready.samples);
      for (const callback of callbacks) await callback.onTestBatchEnd?.({ step, samples: ready.samples });
    },
  });
  if (sums.samples === 0) throw new KdataError("input", "Cannot evaluate: the data has no samples");
  const values = sums.values();
  for (const callback of callbacks) await callback.onTestEnd?.(values);
  return values;
}

/** Computes what the model returns for every sample, in order: a float32 tensor `[samples, ...]`. */
export async function predictAll(pass: Pass): Promise<Tensor<"float32">> {
  const { callbacks } = pass;
  const parts: Float32Array[] = [];
  let rowShape: readonly number[] = [];
  let rows = 0;
  for (const callback of callbacks) await callback.onPredictBegin?.();
  await runAll(pass, {
    async begin(step) {
      for (const callback of callbacks) await callback.onPredictBatchBegin?.({ step });
    },
    async end(step, { samples }, outputs) {
      const prediction = output(outputs, "prediction");
      rowShape = prediction.shape.slice(1);
      rows += samples;
      parts.push((prediction.data as Float32Array).slice(0, samples * elementCount(rowShape)));
      for (const callback of callbacks) await callback.onPredictBatchEnd?.({ step, samples });
    },
  });
  for (const callback of callbacks) await callback.onPredictEnd?.();
  const joined = new Float32Array(rows * elementCount(rowShape));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return { dtype: "float32", shape: [rows, ...rowShape], data: joined };
}

interface PassEvents {
  begin(step: number): Promise<void>;
  end(step: number, ready: ReadyStep, outputs: Awaited<ReturnType<ReadyStep["run"]>>): Promise<void>;
}

async function runAll({ data, prepare, steps = Infinity, signal, turns }: Pass, events: PassEvents): Promise<void> {
  const feed = new BatchFeed(data, prepare);
  let running: Promise<unknown> = Promise.resolve();
  try {
    for (let step = 0; step < steps; step++) {
      const ready = await feed.take(signal);
      if (!ready) break;
      await events.begin(step);
      const outputs = ready.run();
      running = outputs;
      if (step + 1 < steps) feed.begin(outputs);
      await events.end(step, ready, await outputs);
      if (turns.isOver()) await turns.yield();
      if (signal?.aborted) throw abortedError(signal);
    }
  } finally {
    await running.catch(() => undefined);
    await feed.close(signal?.aborted);
  }
}
