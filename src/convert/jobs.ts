// The work of a conversion in parts that do not depend on each other: which records go into which shard of the output.

import type { ShardFiles } from "../readers/format.ts";
import { numberedStem, partEnd } from "../writers/sharded.ts";
import type { ManifestShard } from "./manifest-json.ts";
import type { Manifest } from "./manifest.ts";
import type { ConvertOptions } from "./options.ts";
import type { PlannedOutput } from "./plan.ts";

/** Records of one input shard, from `start` up to `end`. */
export interface Piece {
  readonly input: ShardFiles;
  readonly start: number;
  /** `undefined`: to the last one. */
  readonly end: number | undefined;
}

/** Records to be written in order, into one shard or into numbered shards of a size. */
export interface Job {
  /** The path of the shard without the extension, or, with `shardSize`, without the number too. */
  readonly stem: string;
  readonly pieces: readonly Piece[];
  /** Splits the records into numbered shards of so many bytes. */
  readonly shardSize?: number;
  /** The number of the first shard, where there are numbers. */
  readonly firstShard?: number;
}

/** What is to be done, and what an earlier run did. */
export interface RemainingWork {
  readonly jobs: readonly Job[];
  readonly finished: readonly ManifestShard[];
}

/**
 * Takes the conversion of `outputs` apart. `counts` are the records of each input, which equal shards need.
 */
export function planJobs(
  outputs: readonly PlannedOutput[],
  { shards, shardSize }: ConvertOptions,
  counts: readonly number[] | undefined,
): Job[] {
  return outputs.flatMap(({ stem, inputs }) => {
    const pieces = inputs.map((input) => ({ input, start: 0, end: undefined }));
    if (shardSize !== undefined) return [{ stem, pieces, shardSize }];
    return shards === undefined ? [{ stem, pieces }] : equalJobs(stem, pieces, shards, counts ?? []);
  });
}

/** Leaves out of the jobs what the manifest says is finished, after a look at the files. */
export function remainingWork(
  jobs: readonly Job[],
  manifest: Manifest,
  counts: readonly number[] | undefined,
): RemainingWork {
  const finished: ManifestShard[] = [];
  const remaining: Job[] = [];
  for (const job of jobs) {
    if (job.shardSize !== undefined) {
      const shards = finishedNumbers(job.stem, manifest);
      if (shards.length === 0) {
        remaining.push(job);
        continue;
      }
      finished.push(...shards);
      const taken = shards.reduce((sum, shard) => sum + shard.taken, 0);
      const pieces = takeRecords(job.pieces, counts ?? [], taken, Infinity);
      if (pieces.length > 0) remaining.push({ ...job, pieces, firstShard: shards.length });
      continue;
    }
    const shard = manifest.finished(job.stem);
    if (shard) finished.push(shard);
    else remaining.push(job);
  }
  return { jobs: remaining, finished };
}

function equalJobs(stem: string, pieces: readonly Piece[], parts: number, counts: readonly number[]): Job[] {
  const records = counts.reduce((sum, count) => sum + count, 0);
  const jobs: Job[] = [];
  for (let start = 0; start < records;) {
    const end = Math.min(records, partEnd(jobs.length, { parts, records }));
    jobs.push({ stem: numberedStem(stem, jobs.length), pieces: takeRecords(pieces, counts, start, end) });
    start = end;
  }
  return jobs;
}

/** Finds the records from `start` up to `end`, counted over all pieces, in the pieces that hold them. */
function takeRecords(pieces: readonly Piece[], counts: readonly number[], start: number, end: number): Piece[] {
  const taken: Piece[] = [];
  let base = 0;
  for (const [index, piece] of pieces.entries()) {
    const count = counts[index] ?? 0;
    const [from, to] = [Math.max(start - base, 0), Math.min(end - base, count)];
    // A piece that is taken whole has no end: it is read in order, to the very end of its file.
    if (from < to) taken.push({ ...piece, start: from, end: from === 0 && to === count ? undefined : to });
    base += count;
  }
  return taken;
}

/** Shards of a size follow from one another: those that are finished count up to the first that is not. */
function finishedNumbers(stem: string, manifest: Manifest): ManifestShard[] {
  const shards: ManifestShard[] = [];
  for (;;) {
    const shard = manifest.finished(numberedStem(stem, shards.length));
    if (!shard) return shards;
    shards.push(shard);
  }
}
