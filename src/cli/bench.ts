// `kdata bench SPEC...`: how fast a data set loads, and what bounds it.

import { availableParallelism } from "node:os";
import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkWhole } from "../core/options.ts";
import { loader } from "../loaders/index.ts";
import type { ReadOptions } from "../readers/format.ts";
import { findDataset } from "../readers/open.ts";
import type { TransformDescription } from "../transforms/index.ts";
import { runBench, type BenchRun } from "./bench-run.ts";
import type { BenchTrainFlags } from "./bench-train.ts";
import { findBottleneck, type Bottleneck } from "./bottleneck.ts";
import type { CommandDefinition } from "./command.ts";
import { decodersOf } from "./decoders.ts";
import { fromOption, inputSpec, isStream } from "./input.ts";
import { interruptible } from "./interrupt.ts";
import { formatCount, formatQuantity, parseCount } from "./numbers.ts";
import { bytesOfShard } from "./shard-size.ts";
import { importTransforms } from "./transforms-module.ts";

const DEFAULT_BATCH = 64;
const DEFAULT_SECONDS = 5;
const MIB = 2 ** 20;
const TABLE_HEADER = [
  "workers",
  "batches/s",
  "samples/s",
  "MiB/s",
  "first batch",
  "p50/p99 wait",
  "main-thread busy",
] as const;

/** What {@link bench} measures. */
export interface BenchOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  /** Samples of a batch. Default 64. */
  readonly batchSize?: number;
  /** One run for each number of workers. Default 0 and the number of cores. */
  readonly workers?: readonly number[];
  /** How long each run takes. Default 5. */
  readonly seconds?: number;
  readonly shuffle?: boolean;
  readonly seed?: number;
  /** The kind of encoded bytes to decode, in every feature whose first value is of that kind: `jpeg`. */
  readonly decode?: string;
  /** Applied to each sample, behind `decode`. */
  readonly transforms?: readonly TransformDescription[];
  /** What is done with each batch, a training step for one. Left out: nothing. */
  readonly onBatch?: (batch: Batch) => Promise<void> | void;
  readonly limits?: ReadOptions["limits"];
  readonly signal?: AbortSignal;
  /** Called before each run. */
  readonly onRun?: (workers: number, run: number) => void;
}

/** What {@link bench} found; `kdata bench --json` prints it. */
export interface BenchReport {
  readonly schema: "kdata.bench/1";
  /** The name of the format: `tfrecord`. */
  readonly format: string;
  /** Samples of the data set. */
  readonly samples: number;
  /** Bytes of its files. */
  readonly bytes: number;
  readonly batchSize: number;
  readonly cores: number;
  /** Names, in order. */
  readonly transforms: readonly string[];
  readonly runs: readonly BenchRun[];
  /** `null` where there was no batch. */
  readonly boundBy: Bottleneck | null;
}

/**
 * Loads a data set for some seconds with each number of workers, epoch after epoch, and finds which stage bounds the fastest run:
 * reading, decoding, transforming, collating, the hand-off between threads, or the consumer.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` for an option or a transform that is not known, `aborted` when the
 *   signal says so, and what is found when a batch is made.
 */
export async function bench(spec: string | readonly string[], options: BenchOptions = {}): Promise<BenchReport> {
  const { from, batchSize = DEFAULT_BATCH, seconds = DEFAULT_SECONDS, decode, signal, onBatch, limits } = options;
  const cores = availableParallelism();
  const { workers = [0, cores], shuffle = false, seed = 0 } = options;
  for (const count of workers) checkWhole("Cannot bench", "workers", count, 0);
  const found = { ...(from !== undefined && { format: from }), ...(limits && { limits }) };
  const { format, shards } = await findDataset(spec, from === undefined ? {} : { format: from });
  const transforms = [
    ...(decode === undefined ? [] : decodersOf(decode, format, shards)),
    ...(options.transforms ?? []),
  ];
  const runs: BenchRun[] = [];
  let samples = 0;
  for (const [run, count] of workers.entries()) {
    options.onRun?.(count, run);
    const settings = { batchSize, workers: count, shuffle, seed, transforms };
    const train = await loader(spec, { ...found, ...(signal && { signal }), ...settings });
    try {
      samples = train.sampleCount;
      runs.push(await runBench(train, { seconds, onBatch }));
    } finally {
      await train.close();
    }
  }
  return {
    schema: "kdata.bench/1",
    format: format.name,
    samples,
    bytes: shards.reduce((sum, shard) => sum + bytesOfShard(shard), 0),
    batchSize,
    cores,
    transforms: transforms.map(({ transform }) => transform),
    runs,
    boundBy: findBottleneck(runs, cores) ?? null,
  };
}

interface BenchFlags extends BenchTrainFlags {
  readonly from?: string;
  readonly batch: string;
  readonly workers?: string;
  readonly seconds: string;
  readonly shuffle?: boolean;
  readonly seed: string;
  readonly decode?: string;
  readonly transforms?: string;
}

/** The verb for the command line. */
export const benchCommand: CommandDefinition<BenchFlags> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns; with --backends or --knobs a module as for kdata train")
      .option("-j, --workers <counts>", "worker threads, one run each: 0,1,2; default 0 and the number of cores")
      .option("--batch <samples>", "samples of a batch", String(DEFAULT_BATCH))
      .option("--seconds <time>", "how long each run takes", String(DEFAULT_SECONDS))
      .option("--shuffle", "in another order than the stored one")
      .option("--seed <number>", "the seed of that order", "0")
      .option("--decode <kind>", "decode every feature of such bytes: jpeg, png, image for any picture")
      .option("--transforms <module>", "a module that exports `transforms`, applied behind --decode")
      .addOption(fromOption(command))
      .option("--backends <names>", "time training steps of a module on these backends: onnx,tfjs or all")
      .option("--knobs", "measure each knob and precision of the backends as well")
      .option("--steps <count>", "training steps of a round; default 10")
      .option("--rounds <count>", "rounds of each knob, in turn with the default; default 5");
  },
  async run({ args, flags, output, progress }) {
    if (flags.backends !== undefined || flags.knobs === true) return runTraining({ args, flags, output, progress });
    const spec = inputSpec(args);
    if (isStream(spec)) throw new KdataError("usage", "Cannot bench standard input: a loader reads it only once");
    const options = await readFlags(flags);
    const report = await interruptible((signal) => {
      progress.begin({ plain: formatQuantity(args.length, "input"), data: { inputs: args } });
      return bench(spec, {
        ...options,
        signal,
        onRun(workers, run) {
          progress.update({ label: formatQuantity(workers, "worker"), position: run, total: options.workers?.length });
        },
      });
    });
    progress.end({ plain: `done ${formatQuantity(report.runs.length, "run")}`, data: { runs: report.runs.length } });
    await output.report(report, reportLines(report));
    return undefined;
  },
};

async function runTraining({
  args,
  flags,
  output,
  progress,
}: Parameters<typeof benchCommand.run>[0]): Promise<undefined> {
  const [path = "", second] = args;
  if (second !== undefined)
    throw new KdataError("usage", `kdata bench --backends takes one module, not also ${second}`);
  const { benchModule, formatTrainerBench, readBenchTrainFlags } = await import("./bench-train.ts"); // and with it the trainer
  const options = readBenchTrainFlags(flags);
  let parts = 0;
  const report = await interruptible((signal) => {
    progress.begin({ plain: path, data: { module: path } });
    return benchModule(path, {
      ...options,
      signal,
      onPart: (label) => {
        progress.update({ label, position: parts++, total: undefined });
      },
    });
  });
  progress.end({ plain: `done ${formatQuantity(parts, "part")}`, data: { parts } });
  await output.report(report, formatTrainerBench(report));
  return undefined;
}

async function readFlags(flags: BenchFlags): Promise<BenchOptions> {
  const seconds = Number(flags.seconds);
  if (!(seconds > 0 && seconds < Infinity)) {
    throw new KdataError("usage", `Cannot read --seconds: ${JSON.stringify(flags.seconds)} is not a number above 0`);
  }
  return {
    batchSize: parseCount(flags.batch, "--batch"),
    seed: parseCount(flags.seed, "--seed", 0),
    seconds,
    shuffle: flags.shuffle ?? false,
    ...(flags.from !== undefined && { from: flags.from }),
    ...(flags.decode !== undefined && { decode: flags.decode }),
    ...(flags.workers !== undefined && {
      workers: flags.workers.split(",").map((count) => parseCount(count, "--workers", 0)),
    }),
    ...(flags.transforms !== undefined && { transforms: await importTransforms(flags.transforms) }),
  };
}

function reportLines({ runs, boundBy, bytes, samples }: BenchReport): string[] {
  const rows = runs.map((run) => [
    String(run.workers),
    rate(run.batchesPerSecond),
    rate(run.samplesPerSecond),
    rate((run.samplesPerSecond * bytes) / Math.max(1, samples) / MIB),
    `${formatCount(run.firstBatchMs)} ms`,
    `${milliseconds(run.waitMs.p50)}/${milliseconds(run.waitMs.p99)} ms`,
    `${formatCount(run.mainThreadBusy * 100)}%`,
  ]);
  const widths = TABLE_HEADER.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const table = [TABLE_HEADER, ...rows].map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  "));
  if (!boundBy) return [...table, "bound by: nothing, there is no batch"];
  const { stage, share, of, hint } = boundBy;
  return [...table, `bound by: ${stage} (${formatCount(share * 100)}% of ${of})        hint: ${hint}`];
}

/** One digit behind the point where that says something. */
function rate(number: number): string {
  return number < 10 ? number.toFixed(1) : formatCount(number);
}

function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : formatCount(ms);
}
