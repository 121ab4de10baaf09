// Ends a run that gets no better, as Keras' EarlyStopping does: https://keras.io/api/callbacks/early_stopping/.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { HostTensor } from "../backend.ts";
import type { Callback, CallbackTrainer } from "./callback.ts";
import { isBetter, monitored, resolveMode, worst, type MonitorMode } from "./monitor.ts";

/** When to stop. */
export interface EarlyStoppingOptions {
  /** A number of an epoch. Default `val_loss`. */
  readonly monitor?: string;
  /** What counts as better must be better by more than this. Default 0. */
  readonly minDelta?: number;
  /** Epochs without a better value until the run ends. Default 0. */
  readonly patience?: number;
  /** Default `auto`: by the name. */
  readonly mode?: MonitorMode;
  /** Until a value is better than this, each epoch counts as one without. */
  readonly baseline?: number;
  /** At the end the weights are those of the best epoch. Default false. */
  readonly restoreBestWeights?: boolean;
  /** Epochs before this one are not looked at. Default 0. */
  readonly startFromEpoch?: number;
}

/** Says what became of the run. */
export interface EarlyStopping extends Callback {
  /** The epoch after which it was ended, counted from 0. */
  readonly stoppedEpoch: number | undefined;
  /** The epoch with the best value, counted from 0. */
  readonly bestEpoch: number | undefined;
}

const names: Readonly<Record<keyof EarlyStoppingOptions, true>> = {
  monitor: true,
  minDelta: true,
  patience: true,
  mode: true,
  baseline: true,
  restoreBestWeights: true,
  startFromEpoch: true,
};

interface Watch {
  best: number;
  wait: number;
  bestEpoch: number | undefined;
}

/**
 * Sets `trainer.stopTraining` when a number of the epochs gets no better. What it has seen is part of a checkpoint, the best weights too.
 *
 * @throws {KdataError} `usage` for an unknown option; at the first epoch when there is no such number.
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  checkOptionNames("Cannot make earlyStopping", options, Object.keys(names));
  const { monitor = "val_loss", patience = 0, baseline, restoreBestWeights = false, startFromEpoch = 0 } = options;
  checkWhole("Cannot make earlyStopping", "patience", patience, 0);
  const minDelta = Math.abs(options.minDelta ?? 0);
  const mode = resolveMode(options.mode ?? "auto", monitor);
  let trainer: CallbackTrainer | undefined;
  let watch: Watch = { best: worst(mode), wait: 0, bestEpoch: undefined };
  let bestWeights: ReadonlyMap<string, HostTensor> | undefined;
  let stoppedEpoch: number | undefined;
  let isLoaded = false;
  return {
    monitor: { name: monitor, by: "earlyStopping" },
    get stoppedEpoch() {
      return stoppedEpoch;
    },
    get bestEpoch() {
      return watch.bestEpoch;
    },
    setTrainer(given) {
      trainer = given;
    },
    onTrainBegin() {
      stoppedEpoch = undefined;
      if (!isLoaded) {
        watch = { best: worst(mode), wait: 0, bestEpoch: undefined };
        bestWeights = undefined;
      }
      isLoaded = false;
    },
    async onEpochEnd({ epoch, values }) {
      if (epoch < startFromEpoch || !trainer) return;
      const value = monitored("earlyStopping", values, monitor);
      watch.wait++;
      if (restoreBestWeights && !bestWeights) {
        bestWeights = await trainer.weights();
        watch.bestEpoch = epoch;
      }
      if (isBetter(value, watch.best, mode, minDelta)) {
        watch.best = value;
        watch.bestEpoch = epoch;
        if (restoreBestWeights) bestWeights = await trainer.weights();
        if (baseline === undefined || isBetter(value, baseline, mode, minDelta)) watch.wait = 0;
        return;
      }
      if (watch.wait >= patience && epoch > 0) {
        stoppedEpoch = epoch;
        trainer.stopTraining = true;
      }
    },
    async onTrainEnd() {
      if (bestWeights) await trainer?.setWeights(bestWeights);
    },
    state: () => ({
      values: { best: String(watch.best), wait: watch.wait, bestEpoch: watch.bestEpoch ?? null },
      ...(bestWeights && { tensors: bestWeights }),
    }),
    load({ values, tensors }) {
      const { best, wait, bestEpoch } = values as { best: string; wait: number; bestEpoch: number | null };
      watch = { best: Number(best), wait, bestEpoch: bestEpoch ?? undefined };
      bestWeights = tensors && tensors.size > 0 ? tensors : undefined;
      isLoaded = true;
    },
  };
}
