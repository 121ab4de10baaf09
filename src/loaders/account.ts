// What became of the samples of one batch's positions: taken, filtered out, or bad.

import type { PackedError } from "../core/packed-error.ts";

/** A bad sample that was left out. Plain data, which can cross a thread. */
export interface SampleFailure {
  /** Its place in the order of the epoch. */
  readonly position: number;
  /** Its number over all shards. */
  readonly record: number;
  /** `undefined` where it could not even be read. */
  readonly key: string | undefined;
  readonly error: PackedError;
}

/** What became of the samples of a batch. Padded ones count in `padded` alone: they are accounted for at their own positions. */
export interface BatchAccount {
  /** Records that were taken up: delivered, filtered out and bad ones together. */
  readonly read: number;
  readonly filtered: number;
  /** Rows at the end that repeat other samples. */
  readonly padded: number;
  /** Samples that share a row with one before; left out where each has its own. */
  readonly joined?: number;
  /** Positions of the epoch that the batch stands for; left out where they are those of the records that were read. */
  readonly span?: number;
  /** In the order of their positions. */
  readonly failures: readonly SampleFailure[];
}

/** Counts the samples that a batch delivers, padded ones not counted. */
export function countDelivered(rows: number, { padded, joined = 0 }: BatchAccount): number {
  return rows - padded + joined;
}

/** An account that is being kept. */
export interface OpenAccount {
  /** Takes up the next position. */
  begin(isPadded: boolean): void;
  /** Says what a transform made of it: a sample, or nothing. */
  took(isSample: boolean): void;
  failed(failure: SampleFailure): void;
  /** Counts the samples so far, padded ones included. */
  rows(): number;
  finish(): BatchAccount;
}

/** Starts the account of a batch. */
export function startAccount(): OpenAccount {
  const failures: SampleFailure[] = [];
  let read = 0;
  let filtered = 0;
  let padded = 0;
  let rows = 0;
  let isPadding = false;
  return {
    begin(isPadded) {
      isPadding = isPadded;
      if (!isPadded) read++;
    },
    took(isSample) {
      if (isSample) rows++;
      if (isSample && isPadding) padded++;
      if (!isSample && !isPadding) filtered++;
    },
    failed(failure) {
      if (!isPadding) failures.push(failure);
    },
    rows: () => rows,
    finish: () => ({ read, filtered, padded, failures }),
  };
}
