// What a loader is asked for, held to what can be done.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { DecodeOptions, Limits } from "../readers/format.ts";
import { resolveLimits } from "../readers/limits.ts";
import { buildTransform, type TransformDescription } from "../transforms/registry.ts";
import type { LoaderState } from "./state.ts";
import { remainders, type Remainder } from "./topology.ts";

/** How a data set is loaded. */
export interface LoaderOptions extends DecodeOptions {
  /** Samples of one batch, on each rank. */
  readonly batchSize: number;
  /** Applied to each sample, in order. */
  readonly transforms?: readonly TransformDescription[];
  /** Another order in each epoch; without it the order of the shards and their records. Default false. */
  readonly shuffle?: boolean;
  /** The only source of randomness. Default 0. */
  readonly seed?: number;
  /**
   * Threads that read, transform and batch; 0 does it in the thread that asks. Default `auto`: 0 where a sample takes at most
   * 16 KiB as stored and as transformed (measured at the first one), because a hop then costs more than it saves; otherwise
   * the number of cores. More threads than cores make nothing faster: each costs memory of its own for the interpreter and
   * for its batches, and all of them share 768 open files.
   */
  readonly workers?: number | "auto";
  /** Batches that are being made or wait for delivery, over all workers. Default 2 for each worker; means nothing with 0 workers. */
  readonly prefetch?: number;
  /** What becomes of the samples that do not fill a batch: see {@link Remainder}. Default `short`. */
  readonly remainder?: Remainder;
  /** Which part of each global batch this process takes, from 0 on. Default 0. */
  readonly rank?: number;
  /** How many processes share the data set. Default 1. */
  readonly worldSize?: number;
  /** The format's name. Found by content if left out. */
  readonly format?: string;
  /** What a file may declare before it is refused. */
  readonly limits?: Partial<Limits>;
  /** Ends everything with a `KdataError` `aborted`. */
  readonly signal?: AbortSignal;
  /** Goes on where another loader stopped. */
  readonly state?: LoaderState;
}

/** Options with their defaults filled in. */
export type ResolvedOptions = LoaderOptions &
  Required<Omit<LoaderOptions, "prefetch" | "format" | "limits" | "signal" | "state" | keyof DecodeOptions>>;

const defaults = {
  transforms: [],
  shuffle: false,
  seed: 0,
  workers: "auto",
  remainder: "short",
  rank: 0,
  worldSize: 1,
} as const satisfies Partial<LoaderOptions>;

const optionNames: Readonly<Record<keyof LoaderOptions, true>> = {
  batchSize: true,
  transforms: true,
  shuffle: true,
  seed: true,
  workers: true,
  prefetch: true,
  remainder: true,
  rank: true,
  worldSize: true,
  format: true,
  limits: true,
  features: true,
  message: true,
  signal: true,
  state: true,
};

/**
 * Fills in the defaults and checks what is left.
 *
 * @throws {KdataError} `usage` for an option, a limit, a remainder or a transform that is not known.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when `shuffle` is neither true nor false.
 */
export function resolveOptions(options: LoaderOptions): ResolvedOptions {
  for (const name of Object.keys(options)) checkName("option", name, Object.keys(optionNames));
  const resolved: ResolvedOptions = { ...defaults, ...options };
  const { batchSize, seed, workers, prefetch, remainder, rank, worldSize, transforms, limits } = resolved;
  checkFlag("shuffle", resolved.shuffle);
  checkName("remainder", remainder, remainders);
  checkWhole("batchSize", batchSize, 1);
  checkWhole("seed", seed, 0);
  checkWhole("worldSize", worldSize, 1);
  checkWhole("rank", rank, 0, worldSize - 1);
  if (workers !== "auto") checkWhole("workers", workers, 0);
  if (prefetch !== undefined) checkWhole("prefetch", prefetch, 1);
  resolveLimits(limits);
  for (const transform of transforms) buildTransform(transform);
  return resolved;
}

function checkName(what: string, name: string, allowed: readonly string[]): void {
  if (allowed.includes(name)) return;
  const nearest = nearestName(name, allowed);
  throw new KdataError("usage", `Cannot load: there is no ${what} '${name}', only ${allowed.join(", ")}`, {
    ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
  });
}

function checkFlag(name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new TypeError(`Cannot load: ${name} must be true or false, not ${JSON.stringify(value)}`);
}

function checkWhole(name: string, value: number, least: number, greatest = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= greatest) return;
  const range = greatest === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${greatest}`;
  throw new RangeError(`Cannot load: ${name} must be a whole number ${range}, not ${String(value)}`);
}
