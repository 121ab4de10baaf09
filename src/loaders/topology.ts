// Which positions of an epoch make up which batch on which rank. Arithmetic only.
//
// Global batch g covers worldSize * batchSize consecutive positions, and rank r takes its contiguous part. An epoch may begin in
// the middle (after a resume), and what then remains is divided in the same way. Every rank makes the same number of steps.

/**
 * What becomes of the positions at the end of an epoch that do not fill a global batch:
 *
 * - `drop`: they are left out
 * - `pad`: the batch is filled with the samples from the start of the epoch on, in order
 * - `short`: a smaller batch, divided evenly over the ranks, the first ones taking one more; a rank that would get none gets
 *   one sample from the start of the epoch, which counts as padded
 */
export type Remainder = (typeof remainders)[number];

/** Every {@link Remainder}. */
export const remainders = ["drop", "pad", "short"] as const;

/** How an epoch is divided. */
export interface Topology {
  /** Positions of the whole epoch. */
  readonly records: number;
  /** Samples of one batch on one rank. */
  readonly batchSize: number;
  readonly rank: number;
  readonly worldSize: number;
  readonly remainder: Remainder;
}

/** The positions of one batch: `[start, start + size)`. Those from `records` on stand for the ones from 0 on and are padded. */
export interface Span {
  readonly start: number;
  readonly size: number;
  /** How many at the end of the span repeat samples. */
  readonly padded: number;
}

/** Counts the steps from a position to the end of the epoch, the same on every rank. */
export function countSteps(topology: Topology, from = 0): number {
  const steps = (topology.records - from) / (topology.batchSize * topology.worldSize);
  return topology.remainder === "drop" ? Math.floor(steps) : Math.ceil(steps);
}

/** Counts the samples that this rank gets from a position to the end of the epoch, padded ones not counted. */
export function countSamples(topology: Topology, from = 0): number {
  const { records, batchSize, worldSize } = topology;
  const whole = Math.max(0, Math.floor((records - from) / (batchSize * worldSize)));
  const samples = whole * batchSize;
  if (countSteps(topology, from) <= whole) return samples;
  const { size, padded } = spanAt(topology, from + whole * batchSize * worldSize);
  return samples + size - padded;
}

/** Finds the positions of this rank in the global batch that starts at a position. */
export function spanAt(topology: Topology, globalStart: number): Span {
  const { records, batchSize, rank, worldSize, remainder } = topology;
  const rest = records - globalStart;
  if (rest >= batchSize * worldSize || remainder !== "short") {
    const start = globalStart + rank * batchSize;
    return { start, size: batchSize, padded: Math.min(batchSize, Math.max(0, start + batchSize - records)) };
  }
  const each = Math.floor(rest / worldSize);
  const larger = rest % worldSize; // so many ranks take one more
  const size = each + (rank < larger ? 1 : 0);
  if (size === 0) return { start: records, size: 1, padded: 1 };
  return { start: globalStart + rank * each + Math.min(rank, larger), size, padded: 0 };
}

/** Says how many positions of the epoch all ranks together have delivered after the global batch that starts at a position. */
export function positionAfter({ records, batchSize, worldSize }: Topology, globalStart: number): number {
  return Math.min(records, globalStart + batchSize * worldSize);
}
