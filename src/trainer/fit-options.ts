// The options of fit, evaluate and predict.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { DataSource } from "./batch-source.ts";
import type { Callback } from "./callbacks/callback.ts";
import { checkCallbacks } from "./check-parts.ts";
import { checkpointOptionNames, type CheckpointOptions } from "./checkpoint-options.ts";
import { checkClassWeight } from "./weights.ts";

/** How arrays are cut into batches. */
export interface ArrayBatchOptions {
  /** Samples of a batch, where the data is arrays. Default 32. */
  readonly batchSize?: number;
}

/** How long and with what company `fit` runs. */
export interface FitOptions extends ArrayBatchOptions, CheckpointOptions {
  /** Epochs to train; with `initialEpoch` the number of the epoch to stop before. Default 1. */
  readonly epochs?: number;
  /** The number of the first epoch. Default: as many as were trained before. */
  readonly initialEpoch?: number;
  /** Batches of an epoch. Default: one iteration over the data. The next epoch goes on where this one stops; at its end the data is iterated again. */
  readonly stepsPerEpoch?: number;
  /** Another order in each epoch, from the trainer's seed, where the data is arrays. Default true. */
  readonly shuffle?: boolean;
  /** Evaluated after each epoch; its numbers are logged with the prefix `val_`. */
  readonly validation?: DataSource;
  /** The share of the samples, the last ones, that is held back to validate with, where the data is arrays. */
  readonly validationSplit?: number;
  /** Batches of a validation. Default: all. */
  readonly validationSteps?: number;
  readonly callbacks?: readonly Callback[];
  /** Weights by class number, 1 for one that is missing; they multiply the weights of samples, in training only. */
  readonly classWeight?: Readonly<Record<number, number>>;
  /** Stops after the step that is running, with a `KdataError` `aborted`; with `checkpoint` saves one first. */
  readonly signal?: AbortSignal;
}

/** How much of the data is evaluated. */
export interface EvaluateOptions extends ArrayBatchOptions {
  /** Batches to take. Default: all. */
  readonly steps?: number;
  readonly callbacks?: readonly Callback[];
  /** Stops after the batch that is running, with a `KdataError` `aborted`. */
  readonly signal?: AbortSignal;
}

const fitOptionNames: Readonly<Record<keyof FitOptions, true>> = {
  ...checkpointOptionNames,
  epochs: true,
  initialEpoch: true,
  stepsPerEpoch: true,
  batchSize: true,
  shuffle: true,
  validation: true,
  validationSplit: true,
  validationSteps: true,
  callbacks: true,
  classWeight: true,
  signal: true,
};

const evaluateOptionNames: Readonly<Record<keyof EvaluateOptions, true>> = {
  batchSize: true,
  steps: true,
  callbacks: true,
  signal: true,
};

/**
 * Checks the options of `fit`.
 *
 * @throws {KdataError} `usage` for an unknown name.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when two options exclude each other, or a callback is none.
 */
export function checkFitOptions(options: FitOptions): void {
  const action = "Cannot fit";
  checkOptionNames(action, options, Object.keys(fitOptionNames));
  checkCallbacks(options.callbacks ?? []);
  const { epochs = 1, initialEpoch = 0, validationSplit = 0, validation, classWeight } = options;
  checkWhole(action, "epochs", epochs, 1);
  if (options.initialEpoch !== undefined) checkWhole(action, "initialEpoch", initialEpoch, 0, epochs - 1);
  checkCounts(action, options, ["stepsPerEpoch", "batchSize", "validationSteps"]);
  if (!(validationSplit >= 0 && validationSplit < 1)) {
    throw new RangeError(`${action}: validationSplit must be from 0 to below 1, not ${validationSplit}`);
  }
  if (validationSplit > 0 && validation) throw new TypeError(`${action}: give validation or validationSplit, not both`);
  if (classWeight) checkClassWeight(classWeight);
}

/**
 * Checks the options of `evaluate` and `predict`.
 *
 * @throws {KdataError} `usage` for an unknown name.
 * @throws {RangeError} when a number is out of its range.
 */
export function checkEvaluateOptions(action: string, options: EvaluateOptions): void {
  checkOptionNames(action, options, Object.keys(evaluateOptionNames));
  checkCounts(action, options, ["batchSize", "steps"]);
}

function checkCounts<Name extends string>(
  action: string,
  options: Partial<Record<Name, number>>,
  names: readonly Name[],
): void {
  for (const name of names) {
    const count = options[name];
    if (count !== undefined) checkWhole(action, name, count, 1);
  }
}
