// Where the time of a batch went.

import { fileReads } from "../readers/read-meter.ts";

/** Where the time of a batch went, in milliseconds. The sum is exact, the shares are those of every eighth sample. */
export interface BatchTimings {
  /** In the system, for bytes of files. */
  readonly readMs: number;
  /** In the reader, for all else. */
  readonly decodeMs: number;
  /** In each transform, by its place in the chain. */
  readonly transformsMs: readonly number[];
  readonly collateMs: number;
  /** Bytes that were read from files. */
  readonly bytesRead: number;
}

/** When the parts of a batch of columns were done, as `performance.now()` gives it. */
export interface ColumnTimes {
  readonly readAt: number;
  /** For each transform. */
  readonly transformedAt: readonly number[];
}

/** The clock of one batch. */
export interface Timing {
  /**
   * Where the milliseconds of the sample at hand are added: those of reading and decoding, then those of each transform. `undefined`
   * for a sample that is not timed.
   */
  readonly times: Float64Array | undefined;
  beginSample(row: number): void;
  endSample(row: number): void;
  /** Runs what is done to the whole batch, and times it by itself. */
  ofBatch<R>(run: () => R): R;
  ofSamples(): BatchTimings;
  ofColumns(times: ColumnTimes): BatchTimings;
}

// The clock costs as much as a small sample's copy, so it is read at every eighth sample only.
const TIMED_EVERY = 8;

/** Starts the clock of a batch with so many transforms of samples. */
export function startTiming(transforms: number): Timing {
  const files = fileReads();
  const began = performance.now();
  const sums = new Float64Array(1 + transforms);
  let sampleBegan = 0;
  let samplesMs = 0;
  let times: Float64Array | undefined;
  const batchMs: number[] = [];

  function divide(wholeMs: number, loadMs: number, transformsMs: readonly number[], collateMs: number): BatchTimings {
    const { bytes, ms } = fileReads();
    const totalMs = batchMs.reduce((rest, one) => rest - one, wholeMs);
    const sum = transformsMs.reduce((all, one) => all + one, loadMs + collateMs);
    const perShare = totalMs / (sum || 1);
    const load = loadMs * perShare;
    const readMs = Math.min(load, ms - files.ms);
    return {
      readMs,
      decodeMs: load - readMs,
      transformsMs: [...transformsMs.map((share) => share * perShare), ...batchMs],
      collateMs: collateMs * perShare,
      bytesRead: bytes - files.bytes,
    };
  }

  return {
    get times() {
      return times;
    },
    beginSample(row) {
      if (row % TIMED_EVERY !== 0) return;
      times = sums;
      sampleBegan = performance.now();
    },
    endSample(row) {
      if (row % TIMED_EVERY !== 0) return;
      times = undefined;
      samplesMs += performance.now() - sampleBegan;
    },
    ofBatch(run) {
      const started = performance.now();
      const result = run();
      batchMs.push(performance.now() - started);
      return result;
    },
    ofSamples() {
      const [loadMs = 0, ...transformsMs] = sums;
      const collateMs = samplesMs - transformsMs.reduce((all, one) => all + one, loadMs);
      return divide(performance.now() - began, loadMs, transformsMs, collateMs);
    },
    ofColumns({ readAt, transformedAt }) {
      const ended = performance.now();
      const transformsMs = transformedAt.map((at, place) => at - (transformedAt[place - 1] ?? readAt));
      const collateMs = batchMs.reduce((rest, one) => rest - one, ended - (transformedAt.at(-1) ?? readAt));
      return divide(ended - began, readAt - began, transformsMs, collateMs);
    },
  };
}
