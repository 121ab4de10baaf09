// What a trainer is made of, and the checks that need no model.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { Knobs } from "./backend.ts";
import type { InputNames } from "./inputs.ts";
import type { Loss } from "./losses/loss.ts";
import type { Metric } from "./metrics/metric.ts";
import type { Optimizer } from "./optimizers/optimizer.ts";
import type { Precision } from "./precision.ts";

/** What and how a `Trainer` trains. */
export interface TrainerOptions {
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  readonly metrics?: readonly Metric[];
  /**
   * The feature of a batch that the model takes. Default `x`. For a model of several inputs a list of features, or the
   * model's names with the features' (`{ query: "question" }`): the model takes a record of them.
   */
  readonly input?: InputNames;
  /** The feature of a batch that the loss and the metrics compare with. Default `y`. */
  readonly target?: string;
  /**
   * The feature of a batch with the weight of each sample, `[batch]`, or of each place of a sequence, `[batch, time]`: loss and
   * metrics are weighted means, divided by the sum of the weights. Default: every sample weighs 1.
   */
  readonly sampleWeight?: string;
  /** A backend's name. Default: the environment's `KDATA_BACKEND`, else `onnx`. */
  readonly backend?: string;
  /** Settings that only this backend knows, such as `threads`; an unknown one is refused. */
  readonly knobs?: Knobs;
  /**
   * What values between layers are rounded to: `float32`, `mixed_bfloat16` or `mixed_float16`. Weights, sums and losses stay float32,
   * and in float16 the loss is scaled by itself. Default: the environment's `KDATA_PRECISION`, else `float32`.
   */
  readonly precision?: Precision;
  /**
   * Computes in a thread of its own, so that loading, progress and signals never wait for a step. Default: where the backend
   * blocks the thread that asks, which all do but `reference`.
   */
  readonly computeThread?: boolean;
  /** The seed of the initial weights and of what layers draw at each step. Default 0. */
  readonly seed?: number;
}

const trainerOptionNames: Readonly<Record<keyof TrainerOptions, true>> = {
  optimizer: true,
  loss: true,
  metrics: true,
  input: true,
  target: true,
  sampleWeight: true,
  backend: true,
  knobs: true,
  precision: true,
  computeThread: true,
  seed: true,
};

/**
 * Checks what a trainer is given, but for its parts.
 *
 * @throws {KdataError} `usage` when there is no such option.
 * @throws {RangeError} when the seed is not a whole number from 0 on.
 */
export function checkTrainerOptions(options: TrainerOptions): void {
  checkOptionNames("Cannot make trainer", options, Object.keys(trainerOptionNames));
  checkWhole("Cannot make trainer", "seed", options.seed ?? 0, 0);
}

/**
 * Checks that every number of an epoch has a name of its own.
 *
 * @throws {TypeError} with the name that comes twice.
 */
export function checkMetricNames(metrics: readonly Metric[]): void {
  for (const [i, { name }] of metrics.entries()) {
    if (name !== "loss" && metrics.findIndex((metric) => metric.name === name) === i) continue;
    throw new TypeError(`Cannot make trainer: two numbers would be called '${name}'; give a metric another { name }`);
  }
}
