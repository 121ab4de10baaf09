// Lowers the learning rate when a run gets no better, as Keras' ReduceLROnPlateau does:
// https://keras.io/api/callbacks/reduce_lr_on_plateau/.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Callback, CallbackTrainer } from "./callback.ts";
import { isBetter, monitored, resolveMode, worst, type MonitorMode } from "./monitor.ts";

/** When and how to lower the rate. */
export interface ReduceLROnPlateauOptions {
  /** A number of an epoch. Default `val_loss`. */
  readonly monitor?: string;
  /** What the rate is multiplied by, below 1. Default 0.1. */
  readonly factor?: number;
  /** Epochs without a better value until the rate is lowered. Default 10. */
  readonly patience?: number;
  /** Default `auto`: by the name. */
  readonly mode?: MonitorMode;
  /** What counts as better must be better by more than this. Default 1e-4. */
  readonly minDelta?: number;
  /** Epochs after a change in which nothing is counted. Default 0. */
  readonly cooldown?: number;
  /** The lowest rate. Default 0. */
  readonly minLearningRate?: number;
}

const names: Readonly<Record<keyof ReduceLROnPlateauOptions, true>> = {
  monitor: true,
  factor: true,
  patience: true,
  mode: true,
  minDelta: true,
  cooldown: true,
  minLearningRate: true,
};

/**
 * Multiplies the learning rate by `factor` when a number of the epochs gets no better.
 *
 * @throws {KdataError} `usage` for an unknown option; at the first epoch when there is no such number.
 * @throws {RangeError} when `factor` is not from 0 to below 1.
 */
export function reduceLROnPlateau(options: ReduceLROnPlateauOptions = {}): Callback {
  checkOptionNames("Cannot make reduceLROnPlateau", options, Object.keys(names));
  const {
    monitor = "val_loss",
    factor = 0.1,
    patience = 10,
    minDelta = 1e-4,
    cooldown = 0,
    minLearningRate = 0,
  } = options;
  if (!(factor >= 0 && factor < 1))
    throw new RangeError(`Cannot make reduceLROnPlateau: factor ${factor} is not below 1`);
  checkWhole("Cannot make reduceLROnPlateau", "patience", patience, 0);
  const mode = resolveMode(options.mode ?? "auto", monitor);
  let trainer: CallbackTrainer | undefined;
  let watch = { best: worst(mode), wait: 0, cooling: 0 };
  let isLoaded = false;
  return {
    monitor: { name: monitor, by: "reduceLROnPlateau" },
    setTrainer(given) {
      trainer = given;
    },
    onTrainBegin() {
      if (!isLoaded) watch = { best: worst(mode), wait: 0, cooling: 0 };
      isLoaded = false;
    },
    async onEpochEnd({ values }) {
      const value = monitored("reduceLROnPlateau", values, monitor);
      if (watch.cooling > 0) watch = { ...watch, cooling: watch.cooling - 1, wait: 0 };
      if (isBetter(value, watch.best, mode, minDelta)) {
        watch = { ...watch, best: value, wait: 0 };
        return;
      }
      if (watch.cooling > 0 || ++watch.wait < patience || !trainer) return;
      const rate = await trainer.learningRate();
      if (rate <= minLearningRate) return;
      await trainer.setLearningRate(Math.max(rate * factor, minLearningRate));
      watch = { ...watch, cooling: cooldown, wait: 0 };
    },
    state: () => ({ values: { ...watch, best: String(watch.best) } }),
    load({ values }) {
      const { best, wait, cooling } = values as { best: string; wait: number; cooling: number };
      watch = { best: Number(best), wait, cooling };
      isLoaded = true;
    },
  };
}
