// The books of an epoch: every sample that was read was delivered, skipped for a reason, or filtered out.

import { isSampleError, KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import { countDelivered, type SampleFailure } from "./account.ts";
import type { MadeBatch } from "./batch-producer.ts";
import { unpackError } from "../core/packed-error.ts";

/** A bad sample. */
export interface BadSample {
  readonly epoch: number;
  /** Its place in the order of the epoch. */
  readonly position: number;
  /** Its number over all shards. */
  readonly record: number;
  /** `undefined` where it could not even be read. */
  readonly key: string | undefined;
}

/** A bad sample that was left out, and why. */
export interface SkippedSample extends BadSample {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly at: Position | undefined;
}

/** What to do about a bad sample: leave it out, or end the epoch with its error. */
export type OnError = "throw" | "skip" | ((error: KdataError, sample: BadSample) => "throw" | "skip");

/** What became of the samples of an epoch, on this rank and since its iteration began. JSON. */
export interface EpochLedger {
  readonly epoch: number;
  /** Samples that were taken up, padded ones not counted: `delivered + skipped.count + filtered`. */
  readonly read: number;
  readonly delivered: number;
  readonly skipped: {
    readonly count: number;
    /** The first hundred of them, in the order of the epoch. */
    readonly first: readonly SkippedSample[];
  };
  /** Samples that a transform filtered out. */
  readonly filtered: number;
  /** Rows that repeat other samples to fill a batch. */
  readonly padded: number;
}

/** What {@link LedgerBook} decides by. */
export interface SkipPolicy {
  readonly onError: OnError;
  /** Samples that may be skipped. */
  readonly allowed: number;
}

const MAX_LISTED = 100; // enough to see what is wrong; a report of a million lines helps nobody

/**
 * Finds how many samples of an epoch may be skipped.
 *
 * @param maxFailures - a count (a whole number), or a rate of `samples`: a fraction below 1, or `"1%"`. A rate is rounded down.
 * @throws {RangeError} when it is neither.
 */
export function allowedFailures(maxFailures: number | string, samples: number): number {
  if (maxFailures === Infinity) return Infinity;
  if (typeof maxFailures === "number") {
    if (Number.isSafeInteger(maxFailures) && maxFailures >= 0) return maxFailures;
    if (maxFailures > 0 && maxFailures < 1) return Math.floor(maxFailures * samples);
  } else {
    const percent = /^\d+([.]\d+)?%$/.test(maxFailures) ? Number(maxFailures.slice(0, -1)) : NaN;
    if (percent <= 100) return Math.floor((percent * samples) / 100);
  }
  throw new RangeError(
    `Cannot load: maxFailures must be a whole number, a fraction below 1 or a rate such as "1%", not ${JSON.stringify(maxFailures)}`,
  );
}

/** Keeps the books of one epoch. */
export class LedgerBook {
  readonly #epoch: number;
  readonly #policy: SkipPolicy;
  readonly #first: SkippedSample[] = [];
  #read = 0;
  #positions = 0;
  #delivered = 0;
  #skipped = 0;
  #filtered = 0;
  #padded = 0;

  constructor(epoch: number, policy: SkipPolicy) {
    this.#epoch = epoch;
    this.#policy = policy;
  }

  /**
   * Enters a batch.
   *
   * @throws {KdataError} the error of a bad sample that must not be skipped, or with its code that there are too many of them.
   */
  enter({ batch, account }: MadeBatch): void {
    for (const failure of account.failures) this.#skip(failure);
    this.#read += account.read;
    this.#positions += account.span ?? account.read;
    this.#delivered += countDelivered(batch.keys.length, account);
    this.#filtered += account.filtered;
    this.#padded += account.padded;
  }

  /** Copies the books as they stand. */
  report(): EpochLedger {
    return {
      epoch: this.#epoch,
      read: this.#read,
      delivered: this.#delivered,
      skipped: { count: this.#skipped, first: [...this.#first] },
      filtered: this.#filtered,
      padded: this.#padded,
    };
  }

  /**
   * Holds the epoch to what was promised: a batch that is lost on its way must never pass for the end.
   *
   * @throws {KdataError} `worker` when the samples that were read are not those of the epoch, or not those that are accounted for.
   */
  check(expected: number): void {
    const accounted = this.#delivered + this.#skipped + this.#filtered;
    if (accounted === this.#read && this.#positions === expected) return;
    const parts = [`${this.#delivered} samples were delivered`];
    if (this.#skipped > 0) parts.push(`${this.#skipped} skipped`);
    if (this.#filtered > 0) parts.push(`${this.#filtered} filtered out`);
    if (this.#read !== accounted) parts.push(`${this.#read} read`);
    if (this.#positions !== this.#read) parts.push(`${this.#positions} positions`);
    throw new KdataError("worker", `Cannot end epoch: ${parts.join(", ")}, not ${expected}`);
  }

  #skip({ position, record, key, error: packed }: SampleFailure): void {
    const error = unpackError(packed);
    if (!isSampleError(error)) throw error;
    const sample: BadSample = { epoch: this.#epoch, position, record, key };
    const { onError, allowed } = this.#policy;
    const answer = typeof onError === "function" ? onError(error, sample) : onError;
    if (answer !== "skip") throw error;
    this.#skipped++;
    const { code, reason, at } = error;
    if (this.#skipped > allowed) {
      const most = `Cannot skip more than ${allowed} samples of epoch ${this.#epoch} (maxFailures): ${reason}`;
      throw new KdataError(code, most, { cause: error, ...(at && { at }) });
    }
    if (this.#first.length < MAX_LISTED) this.#first.push({ ...sample, code, reason, at });
  }
}
