// `kdata bench --backends all MODULE`: steps of a user's model on each backend, and what its knobs do.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError } from "../core/errors.ts";
import { Trainer, type TrainerBenchOptions, type TrainerBenchReport } from "../trainer/index.ts";
import { importModule } from "./module.ts";
import { parseCount } from "./numbers.ts";
import { checkModule, mergeSettings, openData } from "./train.ts";

export { formatTrainerBench } from "../trainer/index.ts";

/** The flags of `kdata bench` that are about training. */
export interface BenchTrainFlags {
  readonly backends?: string;
  readonly knobs?: boolean;
  readonly steps?: string;
  readonly rounds?: string;
}

/**
 * Reads the flags as options of {@link benchModule}.
 *
 * @throws {KdataError} `usage` when a number is none.
 */
export function readBenchTrainFlags({ backends = "all", knobs, steps, rounds }: BenchTrainFlags): TrainerBenchOptions {
  return {
    ...(backends !== "all" && { backends: backends.split(",") }),
    ...(knobs === true && { knobs }),
    ...(steps !== undefined && { steps: parseCount(steps, "--steps") }),
    ...(rounds !== undefined && { rounds: parseCount(rounds, "--rounds") }),
  };
}

/**
 * Measures what a module for `kdata train` exports; see `Trainer.bench`.
 *
 * @throws {KdataError} what `train` throws for a module that is none.
 */
export async function benchModule(path: string, options: TrainerBenchOptions): Promise<TrainerBenchReport> {
  const module = checkModule(await importModule(pathToFileURL(resolve(path)).href), path);
  const settings = { ...mergeSettings(module.settings, {}) };
  delete settings.epochs; // a bench counts steps
  const trainer = new Trainer(module.model, settings);
  const data = await openData(module, path);
  try {
    return await trainer.bench(data.train, options);
  } catch (error) {
    if (error instanceof RangeError) throw new KdataError("usage", error.message, { cause: error });
    throw error;
  } finally {
    await trainer.close();
    await data.train.close?.();
    await data.validation?.close?.();
  }
}
