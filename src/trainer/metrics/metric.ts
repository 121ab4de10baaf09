// What a metric is to the training step: sums over a batch in the graph, added up over an epoch on the host.

import type { Sym } from "../graph.ts";

/** Measures a model's prediction against the target. */
export interface Metric {
  /** The name in logs and history. */
  readonly name: string;
  /**
   * Builds what a batch adds to the metric: float32 values of any shape, by name. The graph hands them back at each step, so they
   * are small; the host adds them over the batches in float64.
   *
   * @param target - what is wanted, as it is fed
   * @param prediction - what the model gives
   * @param weight - float32 `[batch]` or with more of the target's axes: 0 for what fills the batch
   * @throws {KdataError} `shape` when target, prediction and weight do not fit each other.
   */
  build(target: Sym, prediction: Sym, weight: Sym): Readonly<Record<string, Sym>>;
  /** Computes the metric from the sums so far: a number, or several, which are logged as `name/0`, `name/1`, ... */
  result(sums: Readonly<Record<string, Float64Array>>): number | readonly number[];
}

/** What every metric takes. */
export interface MetricOptions {
  /** The name in logs and history. Default: the metric's own. */
  readonly name?: string;
}

/** Divides, and gives 0 where nothing counted. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

/** Takes a sum by its name, or the first element of it. */
export function sumOf(sums: Readonly<Record<string, Float64Array>>, name: string): Float64Array {
  const sum = sums[name];
  if (sum === undefined) throw new TypeError(`Cannot compute the metric: there is no sum '${name}'`);
  return sum;
}

/** Takes a sum that is a scalar. */
export function scalarOf(sums: Readonly<Record<string, Float64Array>>, name: string): number {
  return sumOf(sums, name)[0] ?? NaN;
}
