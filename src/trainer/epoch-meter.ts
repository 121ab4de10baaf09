// Clock and sums of one epoch: what a step cost, what it waited, and the means so far.

import type { HostTensor } from "./backend.ts";
import type { EpochLogs, StepLogs } from "./callbacks.ts";

/** Weighted sums over samples. */
export interface Sums {
  weight: number;
  loss: number;
  metrics: Record<string, number>;
}

/** Turns sums into means: `loss` first, then each metric; 0 as long as no sample counted. */
export function runningMeans(sums: Sums): Record<string, number> {
  const weight = sums.weight || 1;
  const means: Record<string, number> = { loss: sums.loss / weight };
  for (const [name, sum] of Object.entries(sums.metrics)) means[name] = sum / weight;
  return means;
}

/** Reads the outputs of a step into sums and gives back the step's own loss and weight. */
type Add = (sums: Sums, outputs: ReadonlyMap<string, HostTensor>) => { loss: number; weight: number };

/** Measures one epoch. Call `waiting`, `arrived`, `stepped` in turn, and `finished` at the end. */
export class EpochMeter {
  readonly #sums: Sums = { weight: 0, loss: 0, metrics: {} };
  readonly #stepMs: number[] = [];
  readonly #start = performance.now();
  #end = this.#start;
  #mark = this.#start;
  #waitMs = 0;
  #lastWaitMs = 0;

  /** Samples that counted so far. */
  get samples(): number {
    return this.#sums.weight;
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

  stepped(outputs: ReadonlyMap<string, HostTensor>, add: Add): Omit<StepLogs, "epoch" | "steps"> {
    const stepMs = performance.now() - this.#mark;
    const step = this.#stepMs.push(stepMs) - 1;
    const { loss, weight } = add(this.#sums, outputs);
    return { step, samples: weight, loss, running: runningMeans(this.#sums), stepMs, waitMs: this.#lastWaitMs };
  }

  finished(): void {
    this.#end = performance.now();
    this.#waitMs += this.#end - this.#mark;
  }

  values(): Record<string, number> {
    return runningMeans(this.#sums);
  }

  logs(epoch: number, epochs: number, values: Readonly<Record<string, number>>): EpochLogs {
    const seconds = (this.#end - this.#start) / 1000;
    return {
      epoch,
      epochs,
      steps: this.steps,
      samples: this.#sums.weight,
      values,
      seconds,
      msPerStep: median(this.#stepMs),
      firstStepMs: this.#stepMs[0] ?? NaN,
      samplesPerSecond: this.#sums.weight / seconds,
      dataWait: this.#waitMs / (seconds * 1000),
    };
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
