// Saves the model as it trains, as Keras' ModelCheckpoint does: https://keras.io/api/callbacks/model_checkpoint/.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Callback, CallbackTrainer } from "./callback.ts";
import { isBetter, monitored, resolveMode, worst, type MonitorMode } from "./monitor.ts";
import { fillPattern } from "./path-pattern.ts";

/** What to save and when. */
export interface ModelCheckpointOptions {
  /** The number that decides with `saveBestOnly`. Default `val_loss`. */
  readonly monitor?: string;
  /** Saves only what is better than all before. Default false. */
  readonly saveBestOnly?: boolean;
  /** Leaves out the optimizer's state; `load(path, { weightsOnly: true })` reads it. Default false. */
  readonly saveWeightsOnly?: boolean;
  /** Default `auto`: by the name. */
  readonly mode?: MonitorMode;
  /** After each epoch, or after so many steps. Default `epoch`. */
  readonly saveFreq?: "epoch" | number;
  /** What the first one has to be better than. */
  readonly initialValueThreshold?: number;
}

const names: Readonly<Record<keyof ModelCheckpointOptions, true>> = {
  monitor: true,
  saveBestOnly: true,
  saveWeightsOnly: true,
  mode: true,
  saveFreq: true,
  initialValueThreshold: true,
};

/**
 * Saves by `trainer.save` to `filepath`, in which `{epoch:02d}` (from 1 on), `{batch}` (with `saveFreq` a number) and `{val_loss:.2f}` are
 * filled in.
 *
 * @throws {KdataError} `usage` for an unknown option, or a number that the run does not have.
 */
export function modelCheckpoint(filepath: string, options: ModelCheckpointOptions = {}): Callback {
  checkOptionNames("Cannot make modelCheckpoint", options, Object.keys(names));
  const { monitor = "val_loss", saveBestOnly = false, saveWeightsOnly = false, saveFreq = "epoch" } = options;
  if (saveFreq !== "epoch") checkWhole("Cannot make modelCheckpoint", "saveFreq", saveFreq, 1);
  const mode = resolveMode(options.mode ?? "auto", monitor);
  let best = options.initialValueThreshold ?? worst(mode);
  let trainer: CallbackTrainer | undefined;
  let sinceSaved = 0;

  async function save(
    place: Readonly<Record<string, number>>,
    values: Readonly<Record<string, number>>,
  ): Promise<void> {
    if (saveBestOnly) {
      const value = monitored("modelCheckpoint", values, monitor);
      if (!isBetter(value, best, mode)) return;
      best = value;
    }
    await trainer?.save(fillPattern(filepath, { ...values, ...place }), { weightsOnly: saveWeightsOnly });
  }
  return {
    ...(saveBestOnly && { monitor: { name: monitor, by: "modelCheckpoint" } }),
    setTrainer(given) {
      trainer = given;
    },
    async onTrainBatchEnd({ epoch, step, running }) {
      if (saveFreq === "epoch" || ++sinceSaved < saveFreq) return;
      sinceSaved = 0;
      await save({ epoch: epoch + 1, batch: step + 1 }, running);
    },
    async onEpochEnd({ epoch, values }) {
      if (saveFreq === "epoch") await save({ epoch: epoch + 1 }, values);
    },
    state: () => ({ values: { best: String(best), sinceSaved } }),
    load({ values }) {
      const saved = values as { best: string; sinceSaved: number };
      best = Number(saved.best);
      sinceSaved = saved.sinceSaved;
    },
  };
}
