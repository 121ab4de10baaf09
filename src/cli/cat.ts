// `kdata cat SPEC... --to npy-stream | tfrecord | webdataset | jsonl`: what a loader gives, on standard output, for programs in other
// languages. docs/integrations.md says how the streams look and how they end.

import { isTensorColumn, type Batch, type Column } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkName, checkWhole } from "../core/options.ts";
import { emptyFeatures, type Feature, type Sample } from "../core/sample.ts";
import { elementCount, tensor, type Tensor } from "../core/tensor.ts";
import { errorFrame, npyStream } from "../integrations/npy-stream.ts";
import { loader, type Loader, type LoaderOptions, type Remainder } from "../loaders/index.ts";
import { remainders } from "../loaders/topology.ts";
import { select as selectFeatures } from "../transforms/index.ts";
import type { WritableFormat } from "../writers/format.ts";
import { writableFormats } from "../writers/formats.ts";
import { StreamSink } from "../writers/sink.ts";
import type { CommandDefinition } from "./command.ts";
import { fromOption, inputSpec, isStream } from "./input.ts";
import { interruptible } from "./interrupt.ts";
import {
  formatByteRate,
  formatBytes,
  formatDuration,
  formatQuantity,
  formatSampleRate,
  parseCount,
} from "./numbers.ts";
import type { Notice } from "./progress.ts";
import { importTransforms } from "./transforms-module.ts";

const NPY_STREAM = "npy-stream";
const DEFAULT_BATCH = 64;
const STREAM_NAME = "-";
// A pipe holds 64 KiB: smaller writes cost more calls, larger ones no less.
const WRITE_BYTES = 1 << 16;

/** Every `to`: batches as `npy-stream`, samples in a storage format that is written front to back. */
export const catFormats: readonly string[] = [
  NPY_STREAM,
  ...writableFormats.filter((format) => format.stream !== undefined).map(({ name }) => name),
];

/** What {@link cat} writes. The options of a loader mean what they mean there. */
export interface CatOptions extends Omit<LoaderOptions, "batchSize" | "state"> {
  /** One of {@link catFormats}. Default `npy-stream`. */
  readonly to?: string;
  /** Samples of one batch. Default 64. Samples have none. */
  readonly batchSize?: number;
  /** Iterations over the data. Default 1; samples come one epoch at a time. */
  readonly epochs?: number;
  /** The first epoch, which decides the order of a shuffle. Default 0. */
  readonly startEpoch?: number;
  /** Keeps these features, by their names in the data. Applied before `transforms`. */
  readonly select?: readonly string[];
  /** Told after each batch how many samples were written, and of how many. */
  readonly onProgress?: (progress: { readonly samples: number; readonly total: number }) => void;
}

/** What {@link cat} wrote. */
export interface CatReport {
  readonly schema: "kdata.cat/1";
  readonly to: string;
  /** Samples written, padded ones not counted. */
  readonly samples: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** The options that are not the loader's own. */
const ownOptions: readonly (keyof CatOptions)[] = ["to", "batchSize", "epochs", "startEpoch", "select", "onProgress"];

/**
 * Writes what a loader gives to a stream: whole batches as `npy-stream`, or sample after sample in a storage format.
 *
 * `write` takes bytes, which are valid until its promise is fulfilled; then the next ones are made. What it rejects with is thrown. A stream of
 * samples that ends with an error is cut; an `npy-stream` says the error itself, whatever it was.
 *
 * @throws {KdataError} `usage` for an option that is not known or means nothing, and what the loader and the format throw.
 * @throws {RangeError} when an option's number is out of its range.
 */
export async function cat(
  spec: string | readonly string[],
  write: (bytes: Uint8Array) => Promise<void>,
  options: CatOptions = {},
): Promise<CatReport> {
  const started = performance.now();
  const { to = NPY_STREAM } = options;
  checkName("Cannot cat", "stream", to, catFormats);
  const format = writableFormats.find(({ name }) => name === to);
  let bytes = 0;
  async function count(piece: Uint8Array): Promise<void> {
    await write(piece);
    bytes += piece.length;
  }
  const samples = await (format ? catSamples(spec, count, format, options) : catBatches(spec, count, options));
  return { schema: "kdata.cat/1", to, samples, bytes, seconds: (performance.now() - started) / 1000 };
}

interface CatFlags {
  readonly to: string;
  readonly from?: string;
  readonly batch?: string;
  readonly epochs?: string;
  readonly startEpoch?: string;
  readonly shuffle?: true;
  readonly seed?: string;
  readonly select?: string;
  readonly transforms?: string;
  readonly workers?: string;
  readonly rank?: string;
  readonly worldSize?: string;
  readonly remainder?: Remainder;
  readonly onError?: "fail" | "skip";
}

/** The verb for the command line. */
export const catCommand: CommandDefinition<CatFlags> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns")
      .option("--to <stream>", `what to write: ${catFormats.join(", ")}`, NPY_STREAM)
      .option("--batch <samples>", `samples of a batch (${NPY_STREAM}; default ${DEFAULT_BATCH})`)
      .option("--epochs <count>", `iterations over the data (${NPY_STREAM}; default 1)`)
      .option("--start-epoch <number>", "the first epoch, which decides the order of a shuffle; counted from 0")
      .option("--shuffle", "in another order in each epoch")
      .option("--seed <number>", "the only source of randomness; default 0")
      .option("--select <names>", "keep only these features: a,b")
      .option("--transforms <module>", "a module that exports `transforms`, applied to each sample")
      .option("-j, --workers <count>", "worker threads; by default as many as the first sample is worth")
      .option("--rank <number>", "which part of each global batch to take; counted from 0")
      .option("--world-size <count>", "how many processes share the data")
      .addOption(
        command.createOption("--remainder <choice>", "what to do with samples that fill no batch").choices(remainders),
      )
      .addOption(
        command.createOption("--on-error <choice>", "what to do about a sample that is bad").choices(["fail", "skip"]),
      )
      .addOption(fromOption(command))
      .addHelpText("after", EXAMPLES);
  },
  async run({ args, flags, output, progress }) {
    const spec = inputSpec(args);
    if (isStream(spec)) throw new KdataError("usage", "Cannot cat standard input: a loader finds samples by number");
    const isText = writableFormats.find(({ name }) => name === flags.to)?.isText === true;
    const write = isText ? output.text() : output.binary();
    const options = await readFlags(flags);
    const report = await interruptible((signal) => {
      progress.begin({
        terminal: `cat     ${args.join(" ")} -> ${flags.to} on standard output`,
        plain: `${formatQuantity(args.length, "input")} -> ${flags.to} on standard output`,
        data: { inputs: args, to: flags.to },
      });
      return cat(spec, write, {
        ...options,
        signal,
        onProgress({ samples, total }) {
          progress.update({ label: flags.to, position: samples, total });
        },
      });
    });
    progress.end(doneNotice(report));
    return undefined;
  },
};

const EXAMPLES = `
Examples:
  kdata cat 'data/*.tfrecord' --batch 64 --shuffle --epochs 3 | python train.py
  kdata cat 'data/*.parquet' --to webdataset | tar tf - | head
  kdata cat 'data/*.tar' --to jsonl --select txt,cls | jq -r .txt`;

async function readFlags(flags: CatFlags): Promise<CatOptions> {
  const { to, from, select, transforms, remainder, onError } = flags;
  const counts = {
    batchSize: flags.batch === undefined ? undefined : parseCount(flags.batch, "--batch"),
    epochs: flags.epochs === undefined ? undefined : parseCount(flags.epochs, "--epochs"),
    startEpoch: flags.startEpoch === undefined ? undefined : parseCount(flags.startEpoch, "--start-epoch", 0),
    seed: flags.seed === undefined ? undefined : parseCount(flags.seed, "--seed", 0),
    workers: flags.workers === undefined ? undefined : parseCount(flags.workers, "--workers", 0),
    rank: flags.rank === undefined ? undefined : parseCount(flags.rank, "--rank", 0),
    worldSize: flags.worldSize === undefined ? undefined : parseCount(flags.worldSize, "--world-size"),
  };
  const { rank = 0, worldSize } = counts;
  if (worldSize !== undefined && rank >= worldSize) {
    throw new KdataError("usage", `Cannot read --rank: ${rank} is not one of ${worldSize}, counted from 0`);
  }
  return {
    to,
    ...(Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== undefined)) as CatOptions),
    shuffle: flags.shuffle ?? false,
    ...(from !== undefined && { format: from }),
    ...(select !== undefined && { select: readNames(select) }),
    ...(transforms !== undefined && { transforms: await importTransforms(transforms) }),
    ...(remainder !== undefined && { remainder }),
    ...(onError === "skip" && { onError }),
  };
}

function readNames(list: string): string[] {
  const names = list.split(",");
  if (!names.includes("") && new Set(names).size === names.length) return names;
  throw new KdataError("usage", `Cannot read --select: ${JSON.stringify(list)} has an empty name or one twice`);
}

function doneNotice(report: CatReport): Notice {
  const { samples, bytes, seconds } = report;
  const rate = formatSampleRate(samples / seconds);
  const facts = `${formatQuantity(samples, "sample")}, ${formatBytes(bytes)}`;
  return {
    terminal: `wrote ${facts} in ${formatDuration(seconds)} (${rate}, ${formatByteRate(bytes / seconds)})`,
    plain: `done ${facts} ${rate}`,
    data: report,
  };
}

type Write = (bytes: Uint8Array) => Promise<void>;

async function catBatches(spec: string | readonly string[], write: Write, options: CatOptions): Promise<number> {
  const { batchSize = DEFAULT_BATCH, epochs = 1 } = options;
  checkWhole("Cannot cat", "epochs", epochs, 1);
  let train: Loader;
  try {
    train = await open(spec, batchSize, options);
  } catch (error) {
    await write(errorFrame(error));
    throw error;
  }
  const counted = countBatches(train, train.sampleCount * epochs, options);
  try {
    for await (const piece of npyStream(counted, { epochs })) await write(piece);
  } finally {
    await train.close();
  }
  return counted.samples;
}

/** The batches of a loader, with the samples that were taken so far. */
function countBatches(train: Loader, total: number, { onProgress }: CatOptions) {
  const { stepsPerEpoch, sampleCount } = train;
  const counted = {
    stepsPerEpoch,
    sampleCount,
    samples: 0,
    async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void> {
      for await (const batch of train) {
        yield batch;
        counted.samples += batch.size - batch.padded;
        onProgress?.({ samples: counted.samples, total });
      }
    },
  };
  return counted;
}

async function catSamples(
  spec: string | readonly string[],
  write: Write,
  format: WritableFormat,
  options: CatOptions,
): Promise<number> {
  const useless = (["batchSize", "epochs"] as const).find((name) => options[name] !== undefined);
  if (useless !== undefined) {
    throw new KdataError("usage", `Cannot cat: ${useless} means nothing to samples of ${format.name}`, {
      hint: "Samples come one by one, an epoch at a time: startEpoch says which.",
    });
  }
  const sink = new StreamSink(STREAM_NAME);
  const writer = format.stream?.(sink);
  if (!writer) throw new RangeError(`Cannot cat: ${format.name} cannot be written to a stream`);
  // In batches of one, samples need not fit together.
  const train = await open(spec, 1, options);
  try {
    for await (const batch of train) {
      if (batch.padded > 0) continue;
      writer.write(sampleOf(batch, writer.records));
      if (sink.pendingBytes >= WRITE_BYTES) await write(sink.take());
      options.onProgress?.({ samples: writer.records, total: train.sampleCount });
    }
  } finally {
    await train.close();
  }
  const { records } = writer.finish();
  if (sink.pendingBytes > 0) await write(sink.take());
  return records;
}

async function open(spec: string | readonly string[], batchSize: number, options: CatOptions): Promise<Loader> {
  const { select, transforms = [], startEpoch = 0 } = options;
  checkWhole("Cannot cat", "startEpoch", startEpoch, 0);
  const rest = Object.fromEntries(
    Object.entries(options).filter(([name]) => !(ownOptions as readonly string[]).includes(name)),
  );
  const train = await loader(spec, {
    ...rest,
    batchSize,
    transforms: select ? [selectFeatures(select), ...transforms] : transforms,
  });
  if (startEpoch > 0) train.load({ ...train.state(), epoch: startEpoch });
  return train;
}

/** The one sample of a batch. Its memory is the batch's. */
function sampleOf({ keys, features }: Batch, record: number): Sample {
  const own = emptyFeatures();
  for (const [name, column] of Object.entries(features)) own[name] = firstOf(column);
  return { key: keys[0] ?? "", origin: { source: STREAM_NAME, record }, features: own };
}

function firstOf(column: Column): Feature {
  if (!isTensorColumn(column)) return column[0] ?? "";
  const { dtype, shape, data } = column;
  const rowShape = shape.slice(1);
  return tensor(dtype, rowShape, data.subarray(0, elementCount(rowShape)) as Tensor["data"]);
}
