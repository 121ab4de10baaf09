// Which stage of a loader bounds it, and what would help.

import { stages, type BenchRun, type Stage } from "./bench-run.ts";

/** What bounds a run. */
export interface Bottleneck {
  readonly stage: Stage;
  /** Which share of {@link of} it takes: 0 to 1. */
  readonly share: number;
  /** Whose time the share is of. */
  readonly of: "worker time" | "main-thread time" | "the time";
  /** What would help, or would not. */
  readonly hint: string;
}

// Where neither workers nor consumer are busy for so large a share of the time, it is lost between them.
const BUSY = 0.5;

/** Finds the bottleneck of the fastest of these runs. `undefined` where none delivered a batch. */
export function findBottleneck(runs: readonly BenchRun[], cores: number): Bottleneck | undefined {
  const [fastest] = runs
    .filter(({ batches }) => batches > 0)
    .toSorted((a, b) => b.samplesPerSecond - a.samplesPerSecond);
  if (!fastest) return undefined;
  const found = fastest.workers === 0 ? ofOneThread(fastest) : ofWorkers(fastest);
  return { ...found, hint: hintFor(found.stage, fastest, runs, cores) };
}

function ofOneThread({ stagesMs, seconds }: BenchRun): Omit<Bottleneck, "hint"> {
  const stage = longest(stagesMs, stages);
  return { stage, share: share(stagesMs[stage], seconds * 1000), of: "main-thread time" };
}

function ofWorkers({ stagesMs, seconds, workers }: BenchRun): Omit<Bottleneck, "hint"> {
  const elapsedMs = seconds * 1000;
  const making = stages.filter((stage) => stage !== "hand-off" && stage !== "consumer");
  const makingMs = making.reduce((sum, stage) => sum + stagesMs[stage], 0);
  const [busy, consuming] = [share(makingMs, elapsedMs * workers), share(stagesMs.consumer, elapsedMs)];
  if (Math.max(busy, consuming) < BUSY) {
    return { stage: "hand-off", share: share(stagesMs["hand-off"], elapsedMs), of: "the time" };
  }
  if (consuming > busy) return { stage: "consumer", share: consuming, of: "main-thread time" };
  const stage = longest(stagesMs, making);
  return { stage, share: share(stagesMs[stage], makingMs), of: "worker time" };
}

function longest(stagesMs: BenchRun["stagesMs"], among: readonly Stage[]): Stage {
  return among.reduce((best, stage) => (stagesMs[stage] > stagesMs[best] ? stage : best), among[0] ?? "read");
}

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0;
}

function hintFor(stage: Stage, { workers, stats }: BenchRun, runs: readonly BenchRun[], cores: number): string {
  const more = moreWorkers(workers, runs, cores);
  switch (stage) {
    case "read":
      return "faster storage, fewer and larger reads (no shuffle, larger shards), or compressed shards";
    case "decode":
      return more;
    case "transform": {
      const slowest = stats.transforms.reduce((a, b) => (b.ms > a.ms ? b : a), { name: "", ms: 0 });
      return `${slowest.name} takes most of it; ${more}`;
    }
    case "collate":
      return `leave out features that are not used (select), or take smaller dtypes; ${more}`;
    case "hand-off":
      return workers > 0 ? "larger batches, or -j 0: a hop costs more than these batches" : "larger batches";
    case "consumer":
      return "the loader waits for what is done with the batches: nothing in it would help";
  }
}

function moreWorkers(workers: number, runs: readonly BenchRun[], cores: number): string {
  const tried = runs.some((run) => run.workers > workers);
  if (tried || workers >= cores) return `cores = ${cores}, more workers will not help`;
  return `cores = ${cores}, try -j ${cores}`;
}
