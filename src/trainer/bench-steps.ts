// Timing a trainer: what is measured, and one epoch of it.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { Backend, Explanation, Knobs } from "./backend.ts";
import type { BatchSource } from "./batch-source.ts";
import type { EpochLogs } from "./callbacks/callback.ts";
import type { Precision } from "./precision.ts";

/** What a variant changes. */
export interface BenchVariant {
  readonly backend: string;
  readonly knobs?: Knobs | undefined;
  readonly precision?: Precision;
}

/** The part of a trainer that is measured. */
export interface BenchedTrainer {
  backend(): Promise<Backend>;
  fit(data: BatchSource, options: object): Promise<unknown>;
  predict(data: BatchSource): Promise<unknown>;
  explain(): Explanation;
  close(): Promise<void>;
}

/** What is measured: a source of batches, and a trainer of the same model for each variant. */
export interface BenchSubject {
  readonly data: BatchSource;
  readonly knobs: Knobs;
  /** The backend that the knobs are meant for. */
  readonly backend: string;
  readonly precision: Precision;
  make(variant: BenchVariant): BenchedTrainer;
}

/** Knobs that are set count for the backend that they are meant for; another one has its defaults. */
export function defaultOf({ backend: chosen, knobs, precision }: BenchSubject, backend: string): BenchVariant {
  return { backend, knobs: backend === chosen ? knobs : {}, precision };
}

/** Why something cannot run here, or not with this model. Every other error is not for a table. */
export function reasonOf(error: unknown): string {
  if (error instanceof KdataError && ["package", "unsupported"].includes(error.code)) return error.message;
  throw error;
}

/** Trains one epoch, and gives what it logged. Options that are undefined are left out. */
export async function fitted(trainer: BenchedTrainer, data: BatchSource, options: object): Promise<EpochLogs> {
  let logs: EpochLogs | undefined;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const callbacks = [{ onEpochEnd: (epoch: EpochLogs) => void (logs = epoch) }];
  await trainer.fit(data, { ...Object.fromEntries(given), callbacks });
  if (logs === undefined) throw new KdataError("input", "Cannot bench: the data has no batch");
  return logs;
}

/** Gives batches in memory as a source of one epoch, again and again. */
export function sourceOf(batches: readonly Batch[]): BatchSource {
  return {
    stepsPerEpoch: batches.length,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield* batches;
    },
  };
}
