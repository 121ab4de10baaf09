// Clock and sums of one epoch: what a step cost, what it waited, and the means so far.

import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import type { EpochLogs, StepLogs } from "./callbacks/callback.ts";
import { median } from "./median.ts";
import type { Metric } from "./metrics/metric.ts";
import { metricOutput } from "./train-step.ts";

/** What of a metric is computed here. */
export type MetricResult = Pick<Metric, "name" | "result">;

/** The sums of an epoch that is not over. */
export interface SavedSums {
  readonly samples: number;
  readonly weight: number;
  readonly loss: number;
  /** By metric, by sum. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

/** Adds up loss and metrics over the steps of an epoch, in float64. */
export class RunningSums {
  readonly #metrics: readonly MetricResult[];
  readonly #sums = new Map<MetricResult, Record<string, Float64Array>>();
  #samples = 0;
  #weight = 0;
  #loss = 0;

  constructor(metrics: readonly MetricResult[]) {
    this.#metrics = metrics;
  }

  /** Samples so far, those that fill a batch not among them. */
  get samples(): number {
    return this.#samples;
  }

  /** Adds the outputs of a step with so many samples, and gives the step's loss. */
  add(outputs: ReadonlyMap<string, HostTensor>, samples: number): number {
    const loss = Number(output(outputs, "loss").data[0]);
    const weight = Number(output(outputs, "weight").data[0]);
    this.#samples += samples;
    this.#weight += weight;
    if (weight !== 0) this.#loss += loss * weight;
    for (const metric of this.#metrics) {
      const sums = this.#sums.get(metric) ?? {};
      this.#sums.set(metric, sums);
      const prefix = metricOutput(metric.name, "");
      for (const [name, { data }] of outputs) {
        if (!name.startsWith(prefix)) continue;
        const sum = (sums[name.slice(prefix.length)] ??= new Float64Array(data.length));
        for (let i = 0; i < data.length; i++) sum[i] = (sum[i] ?? 0) + Number(data[i]);
      }
    }
    return loss;
  }

  /** Copies the sums so far, for a checkpoint. */
  save(): SavedSums {
    const metrics = Object.fromEntries(
      Array.from(this.#sums, ([{ name }, sums]) => [
        name,
        Object.fromEntries(Object.entries(sums).map(([sum, values]) => [sum, Array.from(values)])),
      ]),
    );
    return { samples: this.#samples, weight: this.#weight, loss: this.#loss, metrics };
  }

  /** Goes on from sums that were saved. */
  load({ samples, weight, loss, metrics }: SavedSums): void {
    this.#samples = samples;
    this.#weight = weight;
    this.#loss = loss;
    for (const metric of this.#metrics) {
      const sums = Object.entries(metrics[metric.name] ?? {});
      this.#sums.set(metric, Object.fromEntries(sums.map(([sum, values]) => [sum, Float64Array.from(values)])));
    }
  }

  /** The values so far: `loss` first, then each metric; the loss is 0 as long as nothing counted. */
  values(): Record<string, number> {
    const values: Record<string, number> = { loss: this.#loss / (this.#weight || 1) };
    for (const metric of this.#metrics) {
      const sums = this.#sums.get(metric);
      if (sums === undefined) continue;
      const result = metric.result(sums);
      if (typeof result === "number") values[metric.name] = result;
      else for (const [i, value] of result.entries()) values[`${metric.name}/${i}`] = value;
    }
    return values;
  }
}

/** Measures one epoch. Call `waiting`, `arrived`, `stepped` in turn, and `finished` at the end. */
export class EpochMeter {
  readonly #sums: RunningSums;
  readonly #stepMs: number[] = [];
  readonly #start = performance.now();
  #end = this.#start;
  #mark = this.#start;
  #waitMs = 0;
  #lastWaitMs = 0;

  readonly #resumedSamples: number;

  /** Begins an epoch, or goes on with one whose sums were saved. */
  constructor(metrics: readonly MetricResult[], saved?: SavedSums) {
    this.#sums = new RunningSums(metrics);
    if (saved) this.#sums.load(saved);
    this.#resumedSamples = this.#sums.samples;
  }

  /** Samples that counted so far. */
  get samples(): number {
    return this.#sums.samples;
  }

  /** Steps so far. */
  get steps(): number {
    return this.#stepMs.length;
  }

  waiting(): void {
    this.#mark = performance.now();
  }

  arrived(): void {
    const now = performance.now();
    this.#lastWaitMs = now - this.#mark;
    this.#waitMs += this.#lastWaitMs;
    this.#mark = now;
  }

  stepped(
    outputs: ReadonlyMap<string, HostTensor>,
    samples: number,
  ): Omit<StepLogs, "epoch" | "step" | "steps" | "keys"> {
    const stepMs = performance.now() - this.#mark;
    this.#stepMs.push(stepMs);
    const loss = this.#sums.add(outputs, samples);
    return { samples, loss, running: this.#sums.values(), stepMs, waitMs: this.#lastWaitMs };
  }

  /** Copies the sums so far, for a checkpoint. */
  save(): SavedSums {
    return this.#sums.save();
  }

  finished(): void {
    this.#end = performance.now();
    this.#waitMs += this.#end - this.#mark;
  }

  values(): Record<string, number> {
    return this.#sums.values();
  }

  logs(epoch: number, epochs: number, values: Readonly<Record<string, number>>): EpochLogs {
    const seconds = (this.#end - this.#start) / 1000;
    return {
      epoch,
      epochs,
      steps: this.steps,
      samples: this.#sums.samples,
      values,
      seconds,
      msPerStep: median(this.#stepMs),
      firstStepMs: this.#stepMs[0] ?? NaN,
      samplesPerSecond: (this.#sums.samples - this.#resumedSamples) / seconds,
      dataWait: this.#waitMs / (seconds * 1000),
    };
  }
}

/**
 * Takes an output of a step.
 *
 * @throws {KdataError} `backend` when the backend returned none of that name.
 */
export function output(outputs: ReadonlyMap<string, HostTensor>, name: string): HostTensor {
  const found = outputs.get(name);
  if (!found) throw new KdataError("backend", `The backend returned no '${name}'`);
  return found;
}
