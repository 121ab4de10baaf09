// What a loader is asked for, held to what can be done.

import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import type { DecodeOptions, Limits } from "../readers/format.ts";
import { resolveLimits } from "../readers/limits.ts";
import { buildTransform, type TransformDescription } from "../transforms/registry.ts";
import { checkShuffle, type Shuffle } from "./order.ts";
import { findPlace } from "./rank.ts";
import type { LoaderState } from "./state.ts";
import { remainders, type Remainder } from "./topology.ts";

/** How a data set is loaded. */
export interface LoaderOptions extends DecodeOptions {
  /** Samples of one batch, on each rank. */
  readonly batchSize: number;
  /** Applied to each sample, in order. */
  readonly transforms?: readonly TransformDescription[];
  /**
   * Another order in each epoch; without it the order of the shards and their records. `{ blockSize }` reads blocks of records in
   * sequence, for slow storage: see {@link BlockShuffle} for the randomness that it costs. Default false.
   */
  readonly shuffle?: Shuffle;
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
  /**
   * Which part of each global batch this process takes, from 0 on, and how many processes share the data set. Default: what
   * torchrun, Open MPI, PMI, srun or a Kubernetes indexed job say in the environment, else 0 of 1. Give both,
   * `rank: 0, worldSize: 1`, to have every process load everything whatever the environment says.
   */
  readonly rank?: number;
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
} as const satisfies Partial<LoaderOptions>;

/** The start of every complaint. */
const ACTION = "Cannot load";

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
  strayMembers: true,
  signal: true,
  state: true,
};

/**
 * Fills in the defaults and checks what is left.
 *
 * @throws {KdataError} `usage` for an option, a limit, a remainder or a transform that is not known, and when the environment
 *   contradicts itself about rank and world size.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when `shuffle` is none of its forms.
 */
export function resolveOptions(options: LoaderOptions): ResolvedOptions {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const resolved: ResolvedOptions = { ...defaults, ...options, ...findPlace(options) };
  const { batchSize, seed, workers, prefetch, remainder, rank, worldSize, transforms, limits } = resolved;
  checkShuffle(ACTION, resolved.shuffle);
  checkName(ACTION, "remainder", remainder, remainders);
  checkWhole(ACTION, "batchSize", batchSize, 1);
  checkWhole(ACTION, "seed", seed, 0);
  checkWhole(ACTION, "worldSize", worldSize, 1);
  checkWhole(ACTION, "rank", rank, 0, worldSize - 1);
  if (workers !== "auto") checkWhole(ACTION, "workers", workers, 0);
  if (prefetch !== undefined) checkWhole(ACTION, "prefetch", prefetch, 1);
  resolveLimits(limits);
  for (const transform of transforms) buildTransform(transform);
  return resolved;
}
