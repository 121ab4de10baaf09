// Data set to data set: samples are read in order by one format and written by another, shard by shard, in this thread.

import { rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { ReadOptions } from "../readers/format.ts";
import { openShard, openStream } from "../readers/open.ts";
import type { StreamSource } from "../readers/source.ts";
import type { WritableFormat, WrittenShard } from "../writers/format.ts";
import { writableFormatByName } from "../writers/formats.ts";
import { ShardedWriter, type Splitting } from "../writers/sharded.ts";
import { featureMap, type FeatureMap } from "./features.ts";
import type { ConvertOptions, ConvertReport } from "./options.ts";
import {
  checkOptions,
  countRecords,
  isNumbered,
  planNumbered,
  planSingle,
  prepareConversion,
  splittingOf,
  stemOf,
  type PlannedOutput,
} from "./plan.ts";
import { keyedAs } from "./stream-keys.ts";

const TURN_MS = 20; // after so long the event loop gets its turn: signals, timers and progress stay prompt
const PROGRESS_MS = 100;
const STREAM_STEM = "data"; // what becomes of a stream without a usable name

/**
 * Converts a data set.
 *
 * Without `shardSize` or `shards` each input shard becomes one output shard of the same stem: `imgs/train-000.tar` becomes
 * `out/train-000.tfrecord`. With them the output is numbered: `out/train-00000.tfrecord` and so on. Samples keep their order,
 * keys and features; what the output cannot hold exactly is refused. A shard gets its final name only when it is whole, and
 * shards that were finished before an error or an abort stay.
 *
 * @param spec - paths, brace or glob patterns as `findDataset` takes them, or a stream such as standard input.
 * @throws {KdataError} `usage` for options that are not known or do not go together, `exists` for an output that is there
 *   already, `shape` for a feature that the output cannot hold, `output` when the disk refuses, `aborted` when the signal
 *   says so, and what reading finds wrong with the input.
 */
export async function convert(
  spec: string | readonly string[] | StreamSource,
  options: ConvertOptions,
): Promise<ConvertReport> {
  return typeof spec === "object" && "chunks" in spec ? convertStream(spec, options) : convertFiles(spec, options);
}

async function convertFiles(spec: string | readonly string[], options: ConvertOptions): Promise<ConvertReport> {
  const started = performance.now();
  const { format, to, outputs } = await prepareConversion(spec, options);
  const kept = outputsToWrite(outputs, options);
  const inputs = kept.flatMap((output) => output.inputs);
  const isCounted = options.shards !== undefined || options.onProgress !== undefined;
  const records = isCounted ? countRecords(format, inputs, options.limits) : undefined;

  const run = new ConversionRun(to, options, records);
  for (const output of kept) {
    await run.write(output, splittingOf(options, records), async (take) => {
      for (const input of output.inputs) {
        const reader = openShard(format, input, readOptions(options));
        try {
          for (const sample of reader.samples()) {
            take(sample);
            if (run.isTurnOver()) await run.yieldTurn(input.name);
          }
        } finally {
          reader.close();
        }
      }
    });
  }
  return run.report(inputs.at(-1)?.name ?? "", started, outputs.length - kept.length);
}

async function convertStream(source: StreamSource, options: ConvertOptions): Promise<ConvertReport> {
  const started = performance.now();
  const to = writableFormatByName(options.to);
  checkOptions(options);
  const splitting = splittingOf(options, undefined);
  const { format, samples } = await openStream(source, {
    ...readOptions(options),
    ...(options.from === undefined ? {} : { format: options.from }),
  });
  const hasName = /^\w/.test(basename(source.name));
  const named = hasName ? stemOf(source.name, format.extensions) : STREAM_STEM;
  const stem = join(options.output, options.name ?? named);
  const keyed = hasName ? samples : keyedAs(stem, samples);
  const planned = isNumbered(options) ? planNumbered(to, stem, []) : planSingle(to, stem);

  const run = new ConversionRun(to, options, undefined);
  const kept = outputsToWrite([planned], options);
  for (const output of kept) {
    await run.write(output, splitting, async (take) => {
      for await (const sample of keyed) {
        take(sample);
        if (run.isTurnOver()) await run.yieldTurn(source.name);
      }
    });
  }
  return run.report(source.name, started, 1 - kept.length);
}

/** The writing side of one conversion: what was written so far, when to let others run, when to stop. */
class ConversionRun {
  readonly #to: WritableFormat;
  readonly #options: ConvertOptions;
  readonly #totalRecords: number | undefined;
  readonly #map: FeatureMap;
  readonly #written: WrittenShard[] = [];
  #writer: ShardedWriter | undefined;
  #finishedRecords = 0;
  #finishedBytes = 0;
  #turnEnd = performance.now() + TURN_MS;
  #nextProgress = 0;

  constructor(to: WritableFormat, options: ConvertOptions, totalRecords: number | undefined) {
    this.#to = to;
    this.#options = options;
    this.#totalRecords = totalRecords;
    this.#map = featureMap(options);
  }

  /** Writes one output from the samples that `feed` gives; removes what is not finished when anything fails. */
  async write(
    output: PlannedOutput,
    splitting: Splitting,
    feed: (take: (sample: Sample) => void) => Promise<void>,
  ): Promise<void> {
    this.#throwIfAborted();
    const writer = new ShardedWriter(this.#to, output.stem, splitting);
    this.#writer = writer;
    try {
      await feed((sample) => {
        writer.write(this.#map(sample));
      });
      this.#written.push(...writer.finish());
    } finally {
      writer.abort();
      this.#writer = undefined;
      this.#finishedRecords += writer.records;
      this.#finishedBytes += writer.bytes;
    }
    this.#removeStale(output);
  }

  isTurnOver(): boolean {
    return performance.now() >= this.#turnEnd;
  }

  /** Lets the event loop run, then stops if that was asked. */
  async yieldTurn(shard: string): Promise<void> {
    if (performance.now() >= this.#nextProgress) {
      this.#tellProgress(shard);
      this.#nextProgress = performance.now() + PROGRESS_MS;
    }
    await setImmediate();
    this.#throwIfAborted();
    this.#turnEnd = performance.now() + TURN_MS;
  }

  report(lastShard: string, started: number, skipped: number): ConvertReport {
    this.#tellProgress(lastShard);
    return {
      records: this.#finishedRecords,
      bytes: this.#finishedBytes,
      seconds: (performance.now() - started) / 1000,
      shards: this.#written,
      skipped,
    };
  }

  #tellProgress(shard: string): void {
    this.#options.onProgress?.({
      shard,
      records: this.#finishedRecords + (this.#writer?.records ?? 0),
      totalRecords: this.#totalRecords,
      bytes: this.#finishedBytes + (this.#writer?.bytes ?? 0),
    });
  }

  #throwIfAborted(): void {
    const { signal } = this.#options;
    if (signal?.aborted)
      throw new KdataError("aborted", "Cannot go on converting: stopped on request", { cause: signal.reason });
  }

  /**
   * Removes shards of an earlier run that the new output does not have: they would be read as part of it. Where file names
   * depend on the features, nothing says whose they are, so they are refused.
   */
  #removeStale(output: PlannedOutput): void {
    const current = new Set(this.#written.flatMap(({ files }) => files.map(({ path }) => resolve(path))));
    const [first, ...others] = output.existing.filter((path) => !current.has(resolve(path)));
    if (first === undefined) return;
    if (this.#to.paths(output.stem) === undefined) {
      const more = others.length === 0 ? "" : `, and ${others.length} more`;
      throw new KdataError("exists", `Cannot convert: what is there is not of the new output${more}`, {
        at: { source: first },
        hint: "Remove it: it would be read as part of the new output.",
      });
    }
    for (const path of [first, ...others]) rmSync(path, { force: true });
  }
}

/** Leaves out the outputs to be skipped, and refuses before anything is written if one is there that may not be. */
function outputsToWrite(outputs: readonly PlannedOutput[], options: ConvertOptions): readonly PlannedOutput[] {
  const { ifExists = "error" } = options;
  if (ifExists === "skip") return outputs.filter(({ existing }) => existing.length === 0);
  const [existing] = outputs.flatMap((output) => output.existing);
  if (ifExists !== "overwrite" && existing !== undefined) {
    throw new KdataError("exists", "Cannot convert: the output exists", {
      at: { source: existing },
      hint: "Choose another output, or to skip or overwrite what exists.",
    });
  }
  return outputs;
}

function readOptions({ limits }: ConvertOptions): ReadOptions {
  return limits ? { limits } : {};
}
