// What a loader of a stream is asked for, held to what can be done.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { DecodeOptions, Limits } from "../readers/format.ts";
import { decodeOptions } from "../readers/tolerance.ts";
import type { TransformDescription } from "../transforms/registry.ts";
import type { OnError } from "./ledger.ts";
import { checkSharedOptions } from "./options.ts";
import { refuseCache } from "./open-cache.ts";
import { refuseWindows } from "./open-windows.ts";
import { findPlace } from "./rank.ts";
import type { StreamState } from "./stream-state.ts";
import type { Remainder } from "./topology.ts";

/** How a stream is loaded. What has the name of an option of `LoaderOptions` means the same. */
export interface StreamOptions extends DecodeOptions {
  /** Reads files from front to back instead of by record number. What cannot seek is always read so. */
  readonly stream?: true;
  readonly batchSize: number;
  readonly transforms?: readonly TransformDescription[];
  /** Another order of the shards in each epoch, and of the samples as far as the buffer goes. Default false. */
  readonly shuffle?: boolean;
  /** Samples from which the next one is drawn, with `shuffle`. All of them are held in memory. Default 1,024. */
  readonly bufferSize?: number;
  readonly seed?: number;
  /** What becomes of a sample that a transform cannot work on. What cannot be read is always an error: nothing behind it can be found. */
  readonly onError?: OnError;
  /** A whole number only: of how many samples a rate would be is not known before the end. */
  readonly maxFailures?: number;
  readonly remainder?: Remainder;
  readonly rank?: number;
  readonly worldSize?: number;
  readonly format?: string;
  readonly limits?: Partial<Limits>;
  readonly signal?: AbortSignal;
  /** Goes on where another loader of the same stream stopped, by reading it again up to there. */
  readonly state?: StreamState;
}

/** Options with their defaults filled in. */
export type ResolvedStreamOptions = StreamOptions &
  Required<Omit<StreamOptions, "format" | "limits" | "signal" | "state" | keyof DecodeOptions>>;

const defaults = {
  stream: true,
  transforms: [],
  shuffle: false,
  bufferSize: 1024, // a few batches of the usual size; an image of 20 KB makes 20 MB of it
  seed: 0,
  onError: "throw",
  maxFailures: Infinity,
  remainder: "short",
} as const satisfies Partial<StreamOptions>;

/** The start of every complaint. */
const ACTION = "Cannot load stream";

const optionNames: Readonly<Record<keyof StreamOptions, true>> = {
  stream: true,
  batchSize: true,
  transforms: true,
  shuffle: true,
  bufferSize: true,
  seed: true,
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
 * @throws {KdataError} `usage` for an option, a limit, a remainder or a transform that is not known, and for `maxFailures` without
 *   `onError`.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when `shuffle` is neither true nor false.
 */
export function resolveStreamOptions(options: StreamOptions): ResolvedStreamOptions {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const resolved: ResolvedStreamOptions = { ...defaults, ...options, ...findPlace(options) };
  const { bufferSize, shuffle, maxFailures } = resolved;
  if (typeof shuffle !== "boolean") {
    throw new TypeError(`${ACTION}: shuffle must be true or false, not ${JSON.stringify(shuffle)}`);
  }
  checkWhole(ACTION, "bufferSize", bufferSize, 1);
  if (maxFailures !== Infinity) checkWhole(ACTION, "maxFailures", maxFailures, 0);
  checkSharedOptions(ACTION, resolved);
  refuseWindows(ACTION, resolved.transforms);
  refuseCache(ACTION, resolved.transforms);
  return resolved;
}
