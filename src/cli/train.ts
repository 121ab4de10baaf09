// `kdata train MODULE`: runs a user's module of model, data and settings on the backend that was asked for.

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError, messageOf } from "../core/errors.ts";
import {
  Layer,
  Trainer,
  callbacks,
  precisionNames,
  progressBar,
  resolvePrecision,
  type Backend,
  type BatchSource,
  type Callback,
  type CheckpointOptions,
  type History,
  type Knobs,
  type Precision,
  type ProgressStream,
  type TrainingData,
  type TrainingModule,
  type TrainingSettings,
} from "../trainer/index.ts";
import { backendNames } from "../trainer/registry.ts";
import type { CommandDefinition } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { writeWhole } from "../trainer/checkpoint.ts";
import { importModule } from "./module.ts";
import { parseCount } from "./numbers.ts";

const DATA_SHAPE = "{ train, validation? } of iterable batches, or a function that returns it";
const EXPORTS_HINT =
  "a module exports `model` (a Layer), `data` ({ train, validation? } or a function) and `settings` ({ optimizer, loss, ... })";

/** Settings of the command line; they come before those of the module. */
export interface TrainOptions {
  readonly backend?: string;
  readonly epochs?: number;
  readonly seed?: number;
  readonly precision?: Precision;
  /** Settings of the backend; each comes before the module's. */
  readonly knobs?: Knobs;
  /** A folder under which the run gets a folder of its own with `model.safetensors`, `model.onnx`, `history.json` and an event file. */
  readonly logdir?: string;
  /** A folder for checkpoints: one after each epoch, and one when the run is stopped. */
  readonly checkpoint?: string;
  /** Goes on from the newest whole checkpoint. */
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  /** Where the lines for people go; left out, there are none. */
  readonly progress?: ProgressStream;
}

/** What a training run came to; `kdata train --json` prints it. */
export interface TrainReport {
  readonly schema: "kdata.train/1";
  readonly backend: string;
  readonly engine: string;
  readonly device: string;
  readonly precision: Precision;
  readonly seed: number;
  readonly epochs: number;
  readonly seconds: number;
  readonly history: History;
  /** The folder of the run's files, with `logdir`. */
  readonly run?: string;
}

/**
 * Trains what a module exports: `model` (a Layer), `data` (batches to train on and to validate with, or a function that opens
 * them) and `settings` (optimizer, loss, metrics, epochs, ...).
 *
 * @throws {KdataError} `input` when the module is missing or throws, `usage` when it lacks an export, `output` when the run's
 *   folder cannot be made, before anything is trained; `aborted` through `signal`, with `logdir` after the weights were saved;
 *   and what training throws.
 */
export async function train(modulePath: string, options: TrainOptions = {}): Promise<TrainReport> {
  const module = checkModule(await importModule(pathToFileURL(resolve(modulePath)).href), modulePath);
  const { epochs = 1, ...settings } = mergeSettings(module.settings, options);
  const trainer = new Trainer(module.model, settings);
  const backend = await openBackend(trainer);
  const precision = resolvePrecision(settings.precision);
  const run = options.logdir === undefined ? undefined : makeRunFolder(options.logdir, modulePath);
  try {
    const data = await openData(module, modulePath);
    try {
      options.progress?.write(`${banner(backend, { ...settings, precision }, data)}\n`);
      const started = performance.now();
      const history = await fitAndSave(trainer, data, { epochs, run, options });
      const seconds = (performance.now() - started) / 1000;
      const { name, engine, device } = backend;
      return {
        schema: "kdata.train/1",
        backend: name,
        engine,
        device,
        precision,
        seed: settings.seed ?? 0,
        epochs,
        seconds,
        history,
        ...(run !== undefined && { run }),
      };
    } finally {
      await data.train.close?.();
      await data.validation?.close?.();
    }
  } finally {
    await trainer.close();
  }
}

/** The verb for the command line. */
export const trainCommand: CommandDefinition<{
  backend?: string;
  epochs?: string;
  seed?: string;
  precision?: string;
  knob?: string[];
  logdir?: string;
  checkpoint?: string;
  resume?: boolean;
}> = {
  configure(command) {
    command
      .argument("<module>", "a module, TypeScript or not, that exports model, data and settings")
      .option("--backend <name>", `${backendNames.join(", ")}; before KDATA_BACKEND, before the module's own`)
      .option("--epochs <count>", "iterations over the data")
      .option("--seed <number>", "seed of the initial weights")
      .option("--precision <policy>", `${precisionNames.join(", ")}; before KDATA_PRECISION, before the module's own`)
      .option("--knob <name=value...>", "settings of the backend, such as threads=1")
      .option(
        "--logdir <dir>",
        "folder for a folder with the weights, the ONNX model, the history and the events of this run",
      )
      .option("--checkpoint <dir>", "folder for checkpoints: after each epoch, and when the run is stopped")
      .option("--resume", "go on from the newest whole checkpoint, if there is one");
  },
  async run({
    args: [module = ""],
    flags: { backend, epochs, seed, precision, knob, logdir, checkpoint, resume },
    output,
    progress,
  }) {
    if (resume === true && checkpoint === undefined) {
      throw new KdataError("usage", "--resume goes on from a checkpoint: give --checkpoint DIR");
    }
    const report = await interruptible((signal) =>
      train(module, {
        signal,
        ...(backend !== undefined && { backend }),
        ...(epochs !== undefined && { epochs: parseCount(epochs, "--epochs") }),
        ...(seed !== undefined && { seed: parseCount(seed, "--seed", 0) }),
        ...(precision !== undefined && { precision: resolvePrecision(precision) }),
        ...(knob && { knobs: parseKnobs(knob) }),
        ...(logdir !== undefined && { logdir }),
        ...(checkpoint !== undefined && { checkpoint, resume: resume === true }),
        ...(progress.stream && { progress: progress.stream }),
      }),
    );
    await output.report(report, []);
    return undefined;
  },
};

/**
 * Checks what a module exports.
 *
 * @throws {KdataError} `usage` when it lacks an export.
 */
export function checkModule(exports: Record<string, unknown>, path: string): TrainingModule {
  const { model, data, settings } = exports;
  if (!(model instanceof Layer)) throw missingExport(path, "model", "a Layer");
  if (typeof data !== "function" && !hasBatches(data)) throw missingExport(path, "data", DATA_SHAPE);
  if (typeof settings !== "object" || settings === null || !("optimizer" in settings) || !("loss" in settings)) {
    throw missingExport(path, "settings", "an object with optimizer and loss");
  }
  return { model, data: data as TrainingModule["data"], settings: settings as TrainingSettings };
}

function missingExport(path: string, name: string, wanted: string): KdataError {
  return new KdataError("usage", `Cannot train ${path}: it must export \`${name}\`, ${wanted}`, { hint: EXPORTS_HINT });
}

function hasBatches(data: unknown): data is TrainingData {
  if (typeof data !== "object" || data === null || !("train" in data)) return false;
  return typeof data.train === "object" && data.train !== null && Symbol.asyncIterator in data.train;
}

/** Opens the module's data. What its function throws is the module's own mistake, unless kdata says otherwise. */
export async function openData({ data }: TrainingModule, path: string): Promise<TrainingData> {
  if (typeof data !== "function") return data;
  let opened: unknown;
  try {
    opened = await data();
  } catch (error) {
    if (error instanceof KdataError) throw error;
    throw new KdataError("usage", `Cannot open the data of ${path}: ${messageOf(error)}`, {
      cause: error,
      hint: "--debug shows where it was thrown",
    });
  }
  if (!hasBatches(opened)) {
    throw new KdataError("usage", `Cannot open the data of ${path}: its function must return ${DATA_SHAPE}`, {
      hint: EXPORTS_HINT,
    });
  }
  return opened;
}

/** Flags beat the environment, which the trainer reads where no backend is named, which beats the module. */
export function mergeSettings(
  settings: TrainingSettings,
  { backend, epochs, seed, precision, knobs }: TrainOptions,
): TrainingSettings {
  const chosen = backend ?? process.env["KDATA_BACKEND"];
  const policy = precision ?? (process.env["KDATA_PRECISION"] ? resolvePrecision() : undefined);
  return {
    ...settings,
    ...(chosen !== undefined && chosen !== "" && { backend: chosen }),
    ...(epochs !== undefined && { epochs }),
    ...(seed !== undefined && { seed }),
    ...(policy !== undefined && { precision: policy }),
    ...(knobs && { knobs: { ...settings.knobs, ...knobs } }),
  };
}

/**
 * Reads `name=value`: a number, true, false, or text.
 *
 * @throws {KdataError} `usage` when it is nothing of the kind.
 */
function parseKnobs(given: readonly string[]): Knobs {
  // Whether a value is one that the knob can have is the backend's to say.
  return Object.fromEntries(
    given.map((text): [string, string | number | boolean] => {
      const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (name === undefined || value === undefined) {
        throw new KdataError("usage", `--knob takes name=value, not '${text}'`);
      }
      if (value === "true" || value === "false") return [name, value === "true"];
      return [name, /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
    }),
  );
}

/** Loads the backend. A knob with a wrong value is a mistake of the module's or of the command line's. */
async function openBackend(trainer: Trainer): Promise<Backend> {
  try {
    return await trainer.backend();
  } catch (error) {
    if (error instanceof RangeError) throw new KdataError("usage", error.message, { cause: error });
    throw error;
  }
}

/** `backend onnx 1.30.0 cpu (2 threads) · seed 42 · 60,000 train / 10,000 test` */
function banner(
  { name, engine, device }: { name: string; engine: string; device: string },
  settings: TrainingSettings,
  data: TrainingData,
): string {
  const version = engine.split(" ").at(-1) ?? "";
  const { precision = "float32" } = settings;
  const parts = [
    `backend ${name} ${version} ${device}`,
    ...(precision === "float32" ? [] : [precision]),
    `seed ${settings.seed ?? 0}`,
  ];
  const sizes = [sampleCount(data.train, "train"), sampleCount(data.validation, "test")].filter((text) => text !== "");
  if (sizes.length > 0) parts.push(sizes.join(" / "));
  return parts.join(" · ");
}

function sampleCount(source: BatchSource | undefined, name: string): string {
  const count = source && "sampleCount" in source ? source.sampleCount : undefined;
  return typeof count === "number" ? `${count.toLocaleString("en-US")} ${name}` : "";
}

/** Trains, and with a run's folder saves what came of it, also when it was stopped on the way. */
async function fitAndSave(
  trainer: Trainer,
  data: TrainingData,
  { epochs, run, options }: { epochs: number; run: string | undefined; options: TrainOptions },
): Promise<History> {
  let history: History = {};
  const { signal, progress, checkpoint, resume = false } = options;
  const saving: CheckpointOptions = checkpoint === undefined ? {} : { checkpoint, resume };
  let steps = 0;
  const record: Callback = {
    onTrainBatchEnd() {
      steps++;
    },
    onEpochEnd({ values }) {
      for (const [name, value] of Object.entries(values)) (history[name] ??= []).push(value);
    },
  };
  try {
    history = await trainer.fit(data.train, {
      epochs,
      ...saving,
      callbacks: [
        record,
        ...(run === undefined ? [] : [callbacks.tensorBoard(run, { subfolders: false })]),
        ...(progress ? [progressBar(progress)] : []),
      ],
      ...(data.validation && { validation: data.validation }),
      ...(signal && { signal }),
    });
  } catch (error) {
    const wasStopped = error instanceof KdataError && error.code === "aborted";
    if (wasStopped && steps > 0 && run !== undefined) await saveRun(run, { trainer, history, progress });
    throw error;
  }
  if (run !== undefined) await saveRun(run, { trainer, history, progress });
  return history;
}

/** Makes a folder that no other run has: the module's name, the time, and a number where two runs start in one second. */
function makeRunFolder(logdir: string, modulePath: string): string {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const name = join(logdir, `${basename(modulePath).replace(/\.[^.]+$/, "")}-${stamp}`);
  try {
    mkdirSync(logdir, { recursive: true });
    for (let number = 1; ; number++) {
      const run = number === 1 ? name : `${name}-${number}`;
      if (existsSync(run)) continue;
      mkdirSync(run);
      return run;
    }
  } catch (error) {
    throw new KdataError("output", `Cannot make a folder in ${logdir}: ${messageOf(error)}`, { cause: error });
  }
}

async function saveRun(
  run: string,
  { trainer, history, progress }: { trainer: Trainer; history: History; progress: ProgressStream | undefined },
): Promise<void> {
  const saved = ["model.safetensors"];
  await trainer.save(join(run, "model.safetensors"));
  try {
    writeWhole(join(run, "model.onnx"), [await trainer.exportOnnx()]);
    saved.push("model.onnx");
  } catch (error) {
    if (!(error instanceof KdataError) || error.code !== "unsupported") throw error;
    progress?.write(`no model.onnx: ${error.message}\n`);
  }
  const text = `${JSON.stringify(history, null, 2)}\n`;
  writeWhole(join(run, "history.json"), [new TextEncoder().encode(text)]);
  const events = readdirSync(run).filter((name) => name.startsWith("events.out.tfevents"));
  progress?.write(`saved ${run}/{${[...saved, "history.json", ...events].join(",")}}\n`);
}
