// `kdata train MODULE`: runs a user's module of model, data and settings on the backend that was asked for.

import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError } from "../core/errors.ts";
import {
  Layer,
  Trainer,
  progressBar,
  type BatchSource,
  type Callback,
  type History,
  type ProgressStream,
  type TrainingData,
  type TrainingModule,
  type TrainingSettings,
} from "../trainer/index.ts";
import { backendNames } from "../trainer/registry.ts";
import type { CommandDefinition } from "./command.ts";
import { interruptible } from "./interrupt.ts";
import { importModule } from "./module.ts";
import { parseCount } from "./numbers.ts";

/** Settings of the command line; they come before those of the module. */
export interface TrainOptions {
  readonly backend?: string;
  readonly epochs?: number;
  readonly seed?: number;
  /** A folder under which the run gets a folder of its own with `model.safetensors`, `model.onnx` and `history.json`. */
  readonly logdir?: string;
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
 * @throws {KdataError} `input` when the module is missing, `usage` when it lacks an export, and what training throws.
 */
export async function train(modulePath: string, options: TrainOptions = {}): Promise<TrainReport> {
  const module = checkModule(await importModule(pathToFileURL(resolve(modulePath)).href), modulePath);
  const settings = mergeSettings(module.settings, options);
  const trainer = new Trainer(module.model, settings);
  const backend = await trainer.backend();
  const data = typeof module.data === "function" ? await module.data() : module.data;
  const started = performance.now();
  try {
    options.progress?.write(`${banner(backend, settings, data)}\n`);
    const history = await trainer.fit(data.train, {
      epochs: settings.epochs ?? 1,
      callbacks: listeners(options.progress),
      ...(data.validation && { validation: data.validation }),
      ...(options.signal && { signal: options.signal }),
    });
    const run =
      options.logdir === undefined ? undefined : await saveRun(options.logdir, modulePath, { trainer, history });
    if (run !== undefined) options.progress?.write(`saved ${run}/{model.safetensors,model.onnx,history.json}\n`);
    return {
      schema: "kdata.train/1",
      backend: backend.name,
      engine: backend.engine,
      device: backend.device,
      seed: settings.seed ?? 0,
      epochs: settings.epochs ?? 1,
      seconds: (performance.now() - started) / 1000,
      history,
      ...(run !== undefined && { run }),
    };
  } finally {
    await trainer.close();
    await data.train.close?.();
    await data.validation?.close?.();
  }
}

/** The verb for the command line. */
export const trainCommand: CommandDefinition<{ backend?: string; epochs?: string; seed?: string; logdir?: string }> = {
  configure(command) {
    command
      .argument("<module>", "a module, TypeScript or not, that exports model, data and settings")
      .option("--backend <name>", `${backendNames.join(", ")}; before KDATA_BACKEND, before the module's own`)
      .option("--epochs <count>", "iterations over the data")
      .option("--seed <number>", "seed of the initial weights")
      .option("--logdir <dir>", "folder for a folder with the weights, the ONNX model and the history of this run");
  },
  async run({ args: [module = ""], flags: { backend, epochs, seed, logdir }, output, progress }) {
    const report = await interruptible((signal) =>
      train(module, {
        signal,
        ...(backend !== undefined && { backend }),
        ...(epochs !== undefined && { epochs: parseCount(epochs, "--epochs") }),
        ...(seed !== undefined && { seed: parseCount(seed, "--seed", 0) }),
        ...(logdir !== undefined && { logdir }),
        ...(progress.stream && { progress: progress.stream }),
      }),
    );
    await output.report(report, []);
    return undefined;
  },
};

function checkModule(exports: Record<string, unknown>, path: string): TrainingModule {
  const { model, data, settings } = exports;
  if (!(model instanceof Layer)) throw missingExport(path, "model", "a Layer");
  if (typeof data !== "function" && !hasBatches(data)) {
    throw missingExport(path, "data", "{ train, validation? } or a function that returns it");
  }
  if (typeof settings !== "object" || settings === null || !("optimizer" in settings) || !("loss" in settings)) {
    throw missingExport(path, "settings", "an object with optimizer and loss");
  }
  return { model, data: data as TrainingModule["data"], settings: settings as TrainingSettings };
}

function missingExport(path: string, name: string, wanted: string): KdataError {
  return new KdataError("usage", `Cannot train ${path}: it must export \`${name}\`, ${wanted}`, {
    hint: "examples/mnist.ts shows the three exports: model, data, settings",
  });
}

function hasBatches(data: unknown): data is TrainingData {
  return typeof data === "object" && data !== null && "train" in data;
}

/** Flags beat the environment, which the trainer reads where no backend is named, which beats the module. */
function mergeSettings(settings: TrainingSettings, { backend, epochs, seed }: TrainOptions): TrainingSettings {
  const fromEnvironment = process.env["KDATA_BACKEND"];
  const chosen = backend ?? fromEnvironment;
  return {
    ...settings,
    ...(chosen !== undefined && chosen !== "" && { backend: chosen }),
    ...(epochs !== undefined && { epochs }),
    ...(seed !== undefined && { seed }),
  };
}

/** `backend onnx 1.30.0 cpu (2 threads) · seed 42 · 60,000 train / 10,000 test` */
function banner(
  { name, engine, device }: { name: string; engine: string; device: string },
  settings: TrainingSettings,
  data: TrainingData,
): string {
  const version = engine.split(" ").at(-1) ?? "";
  const parts = [`backend ${name} ${version} ${device}`, `seed ${settings.seed ?? 0}`];
  const sizes = [sampleCount(data.train, "train"), sampleCount(data.validation, "test")].filter((text) => text !== "");
  if (sizes.length > 0) parts.push(sizes.join(" / "));
  return parts.join(" · ");
}

function sampleCount(source: BatchSource | undefined, name: string): string {
  const count = source && "sampleCount" in source ? source.sampleCount : undefined;
  return typeof count === "number" ? `${count.toLocaleString("en-US")} ${name}` : "";
}

function listeners(progress: ProgressStream | undefined): Callback[] {
  return progress ? [progressBar(progress)] : [];
}

async function saveRun(
  logdir: string,
  modulePath: string,
  { trainer, history }: { trainer: Trainer; history: History },
): Promise<string> {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const run = join(logdir, `${basename(modulePath).replace(/\.[^.]+$/, "")}-${stamp}`);
  try {
    mkdirSync(run, { recursive: true });
    await trainer.save(join(run, "model.safetensors"));
    writeFileSync(join(run, "model.onnx"), await trainer.exportOnnx());
    writeFileSync(join(run, "history.json"), `${JSON.stringify(history, null, 2)}\n`);
  } catch (error) {
    if (error instanceof KdataError) throw error;
    throw new KdataError("output", `Cannot write ${run}: ${(error as Error).message}`, { cause: error });
  }
  return run;
}
