// Data set to data set: samples are read in order by one format and written by another, shard by shard, in this thread or in workers.

import { basename, join } from "node:path";
import { setImmediate } from "node:timers/promises";

import { KdataError } from "../core/errors.ts";
import type { ShardFiles } from "../readers/format.ts";
import { openStream } from "../readers/open.ts";
import type { StreamSource } from "../readers/source.ts";
import { ToleratedLog } from "../readers/tolerance.ts";
import type { WrittenShard } from "../writers/format.ts";
import { writableFormatByName } from "../writers/formats.ts";
import { refuseExisting, removeStale, settleExisting } from "./existing.ts";
import { checkFirstSample, convertInWorkers, type WorkerEvents } from "./in-workers.ts";
import { JobRunner, type Counts, type JobEvents } from "./job-runner.ts";
import { planJobs, remainingWork, type Job } from "./jobs.ts";
import type { FinishedShard } from "./manifest.ts";
import type { ConvertOptions, ConvertReport, ShardProgress } from "./options.ts";
import {
  checkOptions,
  checkStreamOptions,
  countRecords,
  describePlan,
  inputsOf,
  isNumbered,
  planNumbered,
  planSingle,
  prepareConversion,
  stemOf,
  workersOf,
} from "./plan.ts";
import { RecordFeed } from "./record-feed.ts";
import { distinctTolerated, writeReport, type LeftOut } from "./skips.ts";
import { keyedAs } from "./stream-keys.ts";
import { readOptionsOf } from "./read-options.ts";

const PROGRESS_MS = 100;
const STREAM_STEM = "data"; // what becomes of a stream without a usable name

/**
 * Converts a data set.
 *
 * Without `shardSize` or `shards` each input shard becomes one output shard of the same stem: `imgs/train-000.tar` becomes
 * `out/train-000.tfrecord`. With them the output is numbered: `out/train-00000.tfrecord` and so on. Samples keep their order,
 * keys and features; what the output cannot hold exactly is refused. A shard gets its final name only when it is whole, and
 * shards that were finished before an error or an abort stay. A hidden manifest beside them says what they are, so that
 * `ifExists: "resume"` can go on; the result is the same in every byte.
 *
 * @param spec - paths, brace or glob patterns as `findDataset` takes them, or a stream such as standard input.
 * @throws {KdataError} `usage` for options that are not known or do not go together, `exists` for an output that is there
 *   already, `state` for one that cannot be resumed, `shape` for a feature that the output cannot hold, `output` when the disk
 *   refuses, `aborted` when the signal says so, and what reading finds wrong with the input.
 */
export async function convert(
  spec: string | readonly string[] | StreamSource,
  options: ConvertOptions,
): Promise<ConvertReport> {
  return typeof spec === "object" && "chunks" in spec ? convertStream(spec, options) : convertFiles(spec, options);
}

async function convertFiles(spec: string | readonly string[], options: ConvertOptions): Promise<ConvertReport> {
  const started = performance.now();
  const prepared = await prepareConversion(spec, options);
  const { format, to } = prepared;
  const { outputs, manifest } = settleExisting(prepared, options);
  const inputs = inputsOf(outputs);
  const counts = isCounted(options) ? countRecords(format, inputs, options) : undefined;
  const planned = planJobs(outputs, options, counts);
  const { jobs, finished } = remainingWork(planned, manifest, counts);
  const work = { resumed: finished.length, workers: workersOf(options, jobs.length) };
  if (counts) options.onPlan?.(describePlan({ ...prepared, outputs }, options, counts, work));

  const totals = {
    records: counts?.reduce((sum, count) => sum + count, 0),
    finishedRecords: finished.reduce((sum, { records }) => sum + records, 0),
  };
  const run = new ConversionRun(options, totals, (shard) => {
    manifest.add(shard);
  });
  const feed = new RecordFeed(format, readOptionsOf(options), options.onError === "skip");
  for (const { name, skips, tolerated = [] } of finished)
    run.leftOut.set(join(options.output, name), { skips, tolerated });
  let done: Counts;
  try {
    run.throwIfAborted();
    if (work.workers > 0) {
      if (finished.length === 0) checkFirstSample(jobs, feed, options);
      const recordsOf = countsOfJobs(inputs, counts);
      done = await convertInWorkers({ from: format.name, to: to.name, jobs, ...work, recordsOf }, options, run);
    } else {
      const runner = new JobRunner(to, options, run, finished.length > 0);
      for (const job of jobs) {
        run.throwIfAborted();
        run.throwIfEnding();
        await runner.run(job, feed);
      }
      done = runner.counts;
    }
  } catch (error) {
    run.throwIfAborted();
    throw error;
  } finally {
    feed.close();
    run.writeReport(planned.map(({ stem }) => stem));
  }
  removeStale(to, outputs, [...manifest.pathsOf(finished), ...run.paths()]);
  run.tellProgress(inputs.at(-1)?.name ?? "", done);
  return {
    ...done,
    seconds: (performance.now() - started) / 1000,
    shards: run.shards(planned.map(({ stem }) => stem)),
    resumed: finished.length,
    skipped: run.skipped,
    tolerated: run.tolerated,
    passedOver: prepared.outputs.length - outputs.length,
  };
}

async function convertStream(source: StreamSource, options: ConvertOptions): Promise<ConvertReport> {
  const started = performance.now();
  const to = writableFormatByName(options.to);
  checkOptions(options);
  checkStreamOptions(options);
  const log = new ToleratedLog();
  const { format, samples } = await openStream(source, {
    ...readOptionsOf(options),
    onTolerated: log.add,
    ...(options.from === undefined ? {} : { format: options.from }),
  });
  const hasName = /^\w/.test(basename(source.name));
  const named = hasName ? stemOf(source.name, format.extensions) : STREAM_STEM;
  const stem = join(options.output, options.name ?? named);
  const keyed = hasName ? samples : keyedAs(stem, samples);
  const planned = isNumbered(options) ? planNumbered(to, stem, []) : planSingle(to, stem);
  const isThere = planned.existing.length > 0;
  if (options.ifExists !== "skip" && options.ifExists !== "overwrite") refuseExisting(planned.existing);

  const run = new ConversionRun(options, { records: undefined, finishedRecords: 0 });
  const runner = new JobRunner(to, options, run);
  const isPassedOver = isThere && options.ifExists === "skip";
  if (!isPassedOver) {
    run.throwIfAborted();
    const { shardSize } = options;
    const job = { stem, pieces: [], ...(shardSize === undefined ? {} : { shardSize }) };
    try {
      await runner.runStream(job, source.name, keyed, log);
    } finally {
      run.writeReport();
    }
    removeStale(to, [planned], run.paths());
  }
  run.tellProgress(source.name, runner.counts);
  return {
    ...runner.counts,
    seconds: (performance.now() - started) / 1000,
    shards: run.shards(),
    resumed: 0,
    skipped: run.skipped,
    tolerated: run.tolerated,
    passedOver: isPassedOver ? 1 : 0,
  };
}

/** What a conversion has written so far, when to tell of it, when to stop. */
class ConversionRun implements JobEvents, WorkerEvents {
  /** By the path of the shard that lacks it, without its extension. */
  readonly leftOut = new Map<string, LeftOut>();
  /** Samples left out by this run. */
  skipped = 0;
  readonly #lacks: LeftOut[] = [];
  readonly #written = new Map<string, WrittenShard>();
  readonly #options: ConvertOptions;
  readonly #totals: { readonly records: number | undefined; readonly finishedRecords: number };
  readonly #keep: JobEvents["onShard"] | undefined;
  #nextProgress = 0;

  /** `keep` is told of each shard that is finished. */
  constructor(
    options: ConvertOptions,
    totals: { readonly records: number | undefined; readonly finishedRecords: number },
    keep?: JobEvents["onShard"],
  ) {
    this.#options = options;
    this.#totals = totals;
    this.#keep = keep;
  }

  onShard(shard: FinishedShard): void {
    if (shard.written.files.length > 0) this.#written.set(shard.stem, shard.written);
    this.leftOut.set(shard.stem, shard);
    this.#lacks.push(shard);
    this.skipped += shard.skips.length;
    this.#keep?.(shard);
  }

  /** Lets the event loop run, then stops if that was asked. */
  async onTurn(source: string, counts: Counts): Promise<void> {
    this.onProgress(source, counts);
    await setImmediate();
    this.throwIfAborted();
  }

  onProgress(source: string, counts: Counts, running?: readonly ShardProgress[]): void {
    if (performance.now() < this.#nextProgress) return;
    this.tellProgress(source, counts, running);
    this.#nextProgress = performance.now() + PROGRESS_MS;
  }

  isEnding(): boolean {
    return this.#options.finishSignal?.aborted === true;
  }

  /** How many times this run has passed over something. */
  get tolerated(): number {
    return distinctTolerated(this.#lacks).length;
  }

  /** Lists the files written so far. */
  paths(): string[] {
    return [...this.#written.values()].flatMap(({ files }) => files.map(({ path }) => path));
  }

  /** Lists the shards written, in the order of `stems` where workers may have finished them in another one. */
  shards(stems: readonly string[] = []): WrittenShard[] {
    return inOrder(this.#written, stems);
  }

  writeReport(stems: readonly string[] = []): void {
    const { report } = this.#options;
    if (report !== undefined) writeReport(report, inOrder(this.leftOut, stems));
  }

  tellProgress(shard: string, { records, bytes }: Counts, running: readonly ShardProgress[] = []): void {
    const { records: totalRecords, finishedRecords } = this.#totals;
    this.#options.onProgress?.({ shard, records: finishedRecords + records, totalRecords, bytes, running });
  }

  throwIfAborted(): void {
    const { signal } = this.#options;
    if (signal?.aborted)
      throw new KdataError("aborted", "Cannot go on converting: stopped on request", { cause: signal.reason });
  }

  throwIfEnding(): void {
    if (!this.isEnding()) return;
    const cause: unknown = this.#options.finishSignal?.reason;
    throw new KdataError("aborted", "Cannot go on converting: stopped on request behind a shard", { cause });
  }
}

/** The values of what is known by stems, in the order of the stems; those of no such stem in their own order. */
function inOrder<T>(byStem: ReadonlyMap<string, T>, stems: readonly string[]): T[] {
  const place = new Map(stems.map((stem, index) => [stem, index]));
  return [...byStem].sort(([a], [b]) => (place.get(a) ?? 0) - (place.get(b) ?? 0)).map(([, value]) => value);
}

/** Makes a function that says how many records a job has. */
function countsOfJobs(
  inputs: readonly ShardFiles[],
  counts: readonly number[] | undefined,
): (job: Job) => number | undefined {
  const countOf = new Map(inputs.map((input, index) => [input, counts?.[index] ?? 0]));
  return ({ pieces }) => {
    if (!counts) return undefined;
    return pieces.reduce((sum, { input, start, end }) => sum + (end ?? countOf.get(input) ?? 0) - start, 0);
  };
}

/** Counting is a scan of the framing: it is left out where nobody asks for a number. */
function isCounted({ shards, shardSize, ifExists, onProgress, onPlan }: ConvertOptions): boolean {
  const isAsked = shards !== undefined || onProgress !== undefined || onPlan !== undefined;
  return isAsked || (shardSize !== undefined && ifExists === "resume");
}
