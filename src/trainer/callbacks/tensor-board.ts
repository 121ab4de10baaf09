// Event files that TensorBoard shows, as Keras' TensorBoard callback writes them: https://keras.io/api/callbacks/tensorboard/.

import { appendFileSync, mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { KdataError } from "../../core/errors.ts";
import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Callback, CallbackTrainer } from "./callback.ts";
import { encodeEvent } from "./event-message.ts";

/** What is written. */
export interface TensorBoardOptions {
  /** Also the loss and the running metrics of every step (`batch`), or of every so many steps. Default `epoch`. */
  readonly updateFreq?: "epoch" | "batch" | number;
  /** Numbers of the validation go to a folder `validation`, those of the training to `train`. Default true; false: one file, in the folder itself. */
  readonly subfolders?: boolean;
}

/**
 * Writes `epoch_loss`, the metrics and `epoch_learning_rate` by epoch, and `batch_loss`, ... by step, to event files under a folder.
 *
 * @throws {KdataError} `output` when a file cannot be written.
 */
export function tensorBoard(logDir: string, options: TensorBoardOptions = {}): Callback {
  checkOptionNames("Cannot make tensorBoard", options, ["updateFreq", "subfolders"]);
  const { updateFreq = "epoch", subfolders = true } = options;
  const every = updateFreq === "epoch" ? Infinity : updateFreq === "batch" ? 1 : updateFreq;
  if (every !== Infinity) checkWhole("Cannot make tensorBoard", "updateFreq", every, 1);
  let trainer: CallbackTrainer | undefined;
  const files = new Map<string, EventFile>();

  function write(folder: "train" | "validation", step: number, scalars: Readonly<Record<string, number>>): void {
    if (Object.keys(scalars).length === 0) return;
    const path = subfolders ? join(logDir, folder) : logDir;
    const file = files.get(path) ?? new EventFile(path);
    files.set(path, file);
    file.append(step, scalars);
  }
  return {
    setTrainer(given) {
      trainer = given;
    },
    onTrainBegin() {
      files.clear();
    },
    onTrainBatchEnd({ loss, running }) {
      const step = trainer?.step ?? 0;
      if (step % every !== 0) return;
      write("train", step, tagged("batch", { ...running, loss }));
    },
    async onEpochEnd({ epoch, values }) {
      const names = Object.keys(values);
      const validation = names.filter((name) => name.startsWith("val_"));
      const training = names.filter((name) => !name.startsWith("val_"));
      const rate = { learning_rate: (await trainer?.learningRate()) ?? NaN };
      write("train", epoch, tagged("epoch", { ...pick(values, training), ...rate }));
      const held = pick(values, validation);
      const unprefixed = Object.fromEntries(Object.entries(held).map(([name, value]) => [name.slice(4), value]));
      write("validation", epoch, tagged("epoch", subfolders ? unprefixed : held));
    },
  };
}

/** Files of one process that are begun in one second differ by this number. */
let filesBegun = 0;

/** An event file; it begins to exist with the first event. */
class EventFile {
  readonly #path: string;

  constructor(folder: string) {
    const seconds = Math.floor(Date.now() / 1000);
    this.#path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${filesBegun++}`);
    attempt(folder, () => mkdirSync(folder, { recursive: true }));
    this.#write(encodeEvent({ wallTime: Date.now() / 1000, step: 0, fileVersion: "brain.Event:2" }));
  }

  append(step: number, scalars: Readonly<Record<string, number>>): void {
    this.#write(encodeEvent({ wallTime: Date.now() / 1000, step, scalars }));
  }

  #write(bytes: Uint8Array): void {
    attempt(this.#path, () => {
      appendFileSync(this.#path, bytes);
    });
  }
}

function tagged(prefix: "batch" | "epoch", values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}_${name}`, value]));
}

function pick(values: Readonly<Record<string, number>>, names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, values[name] ?? NaN]));
}

function attempt(path: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    throw new KdataError("output", `Cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
