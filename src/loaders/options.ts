// What a loader is asked for, held to what can be done.

import { KdataError } from "../core/errors.ts";
import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import type { DecodeOptions, Limits } from "../readers/format.ts";
import { resolveLimits } from "../readers/limits.ts";
import { decodeOptions } from "../readers/tolerance.ts";
import { checkChain } from "../transforms/chain.ts";
import type { TransformDescription } from "../transforms/registry.ts";
import { allowedFailures, type OnError } from "./ledger.ts";
import { checkShuffle, type Shuffle } from "./order.ts";
import { findPlace } from "./rank.ts";
import type { LoaderState } from "./state.ts";
import { remainders, type Remainder } from "./topology.ts";

/** How a data set is loaded. */
export interface LoaderOptions extends DecodeOptions {
  /** Samples of one batch, on each rank. */
  readonly batchSize: number;
  /** Applied in order: to each sample, and behind those, to each batch. */
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
   * 16 KiB as stored and as transformed (measured at the first one) and no transform decodes or resizes images, because a hop then
   * costs more than it saves; otherwise the number of cores. More threads than cores make nothing faster: each costs memory of its own for the interpreter and
   * for its batches, and all of them share 768 open files.
   */
  readonly workers?: number | "auto";
  /**
   * Batches that are being made or wait for delivery, over all workers. Default 2 for each worker; means nothing with 0 workers.
   * `auto` begins there and takes one more each time that the consumer waits, within {@link maxPrefetchBytes}, and one less after a
   * while without a wait. The order does not depend on it.
   */
  readonly prefetch?: number | "auto";
  /** What the batches of `prefetch: "auto"` may take together, two for each worker always allowed. Default 1 GiB. */
  readonly maxPrefetchBytes?: number;
  /**
   * A worker that begins no record for so many milliseconds is ended and replaced, and its batch is made again; a second time it is an
   * error `worker`. One that is slow but goes on from record to record is left alone. Default five minutes.
   */
  readonly workerTimeoutMs?: number;
  /**
   * What becomes of a bad sample: one that cannot be read or transformed, for a reason that lies in it (`format`, `truncated`,
   * `checksum`, `limit`, `unsupported`, `shape`). Default `throw`: its error, at its place in the order. `skip` leaves it out; a
   * function decides, in this thread and in the order of the epoch. A sample that is left out moves no other one: its batch is
   * shorter by it. A batch of which nothing is left is left out as well; where there are other ranks, which make the same step,
   * it gets one padded sample instead, the next one that is good. Samples that do not fit together in a batch are always an error:
   * which of them is at fault cannot be told.
   */
  readonly onError?: OnError;
  /**
   * How many samples may be skipped, in one epoch and on one rank: a whole number, or a rate of the samples of the epoch, rounded
   * down: a fraction below 1 or `"1%"`. One more ends the epoch with its error. After a resume in the middle of an epoch it holds
   * for the rest. Default: any number. Means nothing without `onError`, and is refused there.
   */
  readonly maxFailures?: number | string;
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
  maxPrefetchBytes: 2 ** 30,
  workerTimeoutMs: 300_000,
  onError: "throw",
  maxFailures: Infinity,
} as const satisfies Partial<LoaderOptions>;

// setTimeout takes a longer time for 1 ms.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The start of every complaint. */
const ACTION = "Cannot load";

const optionNames: Readonly<Record<keyof LoaderOptions, true>> = {
  batchSize: true,
  transforms: true,
  shuffle: true,
  seed: true,
  workers: true,
  prefetch: true,
  maxPrefetchBytes: true,
  workerTimeoutMs: true,
  onError: true,
  maxFailures: true,
  remainder: true,
  rank: true,
  worldSize: true,
  format: true,
  limits: true,
  ...decodeOptions,
  signal: true,
  state: true,
};

/**
 * Fills in the defaults and checks what is left.
 *
 * @throws {KdataError} `usage` for an option, a limit, a remainder or a transform that is not known, for `maxFailures` without
 *   `onError`, and when the environment contradicts itself about rank and world size.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when `shuffle` is none of its forms.
 */
export function resolveOptions(options: LoaderOptions): ResolvedOptions {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const resolved: ResolvedOptions = { ...defaults, ...options, ...findPlace(options) };
  const { workers, prefetch } = resolved;
  checkShuffle(ACTION, resolved.shuffle);
  checkSharedOptions(ACTION, resolved);
  if (workers !== "auto") checkWhole(ACTION, "workers", workers, 0);
  if (prefetch !== undefined && prefetch !== "auto") checkWhole(ACTION, "prefetch", prefetch, 1);
  checkWhole(ACTION, "maxPrefetchBytes", resolved.maxPrefetchBytes, 1);
  checkWhole(ACTION, "workerTimeoutMs", resolved.workerTimeoutMs, 1, MAX_TIMER_MS);
  return resolved;
}

/** The options that loaders of files and of streams have both, resolved. */
type SharedOptions = Pick<LoaderOptions, "batchSize" | "limits"> &
  Required<Pick<LoaderOptions, "seed" | "remainder" | "rank" | "worldSize" | "transforms" | "onError" | "maxFailures">>;

/**
 * Checks the options that every loader has.
 *
 * @throws {KdataError} `usage` for a limit, a remainder or a transform that is not known, and for `maxFailures` without `onError`.
 * @throws {RangeError} when a number is out of its range.
 */
export function checkSharedOptions(action: string, options: SharedOptions): void {
  const { batchSize, seed, remainder, rank, worldSize, transforms, limits } = options;
  checkName(action, "remainder", remainder, remainders);
  checkWhole(action, "batchSize", batchSize, 1);
  checkWhole(action, "seed", seed, 0);
  checkWhole(action, "worldSize", worldSize, 1);
  checkWhole(action, "rank", rank, 0, worldSize - 1);
  checkSkipping(action, options);
  resolveLimits(limits);
  checkChain(transforms);
}

/** Holds `onError` to its forms, and `maxFailures` to a case in which it means something. */
function checkSkipping(action: string, { onError, maxFailures }: SharedOptions): void {
  if (typeof onError !== "function") checkName(action, "onError", onError, ["throw", "skip"]);
  allowedFailures(maxFailures, 0);
  if (onError !== "throw" || maxFailures === Infinity) return;
  throw new KdataError("usage", `${action}: maxFailures means nothing where the first bad sample is an error`, {
    hint: 'add onError: "skip"',
  });
}
