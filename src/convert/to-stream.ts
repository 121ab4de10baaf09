// Data set to one stream, such as standard output: nothing is named, numbered or resumed.

import { setImmediate } from "node:timers/promises";

import { KdataError } from "../core/errors.ts";
import { findDataset, openStream } from "../readers/open.ts";
import type { StreamSource } from "../readers/source.ts";
import { ToleratedLog } from "../readers/tolerance.ts";
import type { WritableFormat, WrittenShard } from "../writers/format.ts";
import { writableFormatByName, writableFormats } from "../writers/formats.ts";
import { StreamSink } from "../writers/sink.ts";
import { JobRunner } from "./job-runner.ts";
import type { ConvertOptions, ConvertReport } from "./options.ts";
import { checkOptions, countRecords } from "./plan.ts";
import { RecordFeed } from "./record-feed.ts";
import { distinctTolerated, writeReport, type LeftOut } from "./skips.ts";
import { readOptionsOf } from "./read-options.ts";

const PROGRESS_MS = 100;
const STREAM_NAME = "-";

/** Options about shards, which a stream has not. */
const FILE_OPTIONS = ["shards", "shardSize", "name", "workers"] as const;

/** What a conversion into a stream is asked to do. */
export type StreamConvertOptions = Omit<ConvertOptions, "output" | "ifExists" | "onPlan" | "finishSignal">;

/**
 * Converts a data set into one stream: all its shards as one. Memory is bounded by what is made of the samples of 20 ms.
 *
 * A stream that ends with an error is cut: it may look whole to its reader.
 *
 * `write` takes bytes; the next samples are read when its promise is fulfilled. What it rejects with is thrown.
 * @throws {KdataError} `usage` for options that are not known or that a stream has no use for, and for a format that must seek;
 *   otherwise as `convert()`.
 */
export async function convertToStream(
  spec: string | readonly string[] | StreamSource,
  write: (bytes: Uint8Array) => Promise<void>,
  options: StreamConvertOptions,
): Promise<ConvertReport> {
  const started = performance.now();
  const sink = new StreamSink(STREAM_NAME);
  const to = onto(sink, options);
  const input = await openInput(spec, options);
  const shards: WrittenShard[] = [];
  const left: LeftOut[] = [];
  let nextProgress = 0;

  const runner = new JobRunner(to, options, {
    onShard({ written, skips, tolerated }) {
      left.push({ skips, tolerated });
      if (written.files.length > 0) shards.push(written);
    },
    async onTurn(shard, { records, bytes }) {
      if (sink.pendingBytes > 0) await write(sink.take());
      if (performance.now() >= nextProgress) {
        options.onProgress?.({ shard, records, totalRecords: input.records, bytes, running: [] });
        nextProgress = performance.now() + PROGRESS_MS;
      }
      await setImmediate();
      if (options.signal?.aborted) {
        throw new KdataError("aborted", "Cannot go on converting: stopped on request", {
          cause: options.signal.reason,
        });
      }
    },
  });
  try {
    await input.run(runner);
  } finally {
    if (options.report !== undefined) writeReport(options.report, left);
  }
  if (sink.pendingBytes > 0) await write(sink.take());
  options.onProgress?.({ shard: STREAM_NAME, ...runner.counts, totalRecords: input.records, running: [] });
  return {
    ...runner.counts,
    seconds: (performance.now() - started) / 1000,
    shards,
    skipped: left.reduce((sum, { skips }) => sum + skips.length, 0),
    tolerated: distinctTolerated(left).length,
    resumed: 0,
    passedOver: 0,
  };
}

/** Makes the format write its one shard to the sink. */
function onto(sink: StreamSink, options: StreamConvertOptions): WritableFormat {
  const to = writableFormatByName(options.to);
  checkOptions({ ...options, output: STREAM_NAME });
  const useless = FILE_OPTIONS.find((name) => options[name] !== undefined);
  if (useless !== undefined) throw new KdataError("usage", `Cannot convert: a stream has no use for ${useless}`);
  const shard = to.stream?.(sink);
  if (!shard) {
    const able = writableFormats.filter((format) => format.stream !== undefined).map(({ name }) => name);
    throw new KdataError("usage", `Cannot convert: ${to.name} cannot be written to a stream`, {
      hint: `Write it to a directory, or choose one of ${able.join(", ")}.`,
    });
  }
  return { ...to, create: () => shard };
}

/** The samples that go into the stream: of files, whose records can be counted, or of another stream. */
async function openInput(
  spec: string | readonly string[] | StreamSource,
  options: StreamConvertOptions,
): Promise<{ readonly records: number | undefined; run(runner: JobRunner): Promise<void> }> {
  const { from, onProgress, onError } = options;
  const reading = readOptionsOf(options);
  const given = from === undefined ? {} : { format: from };
  if (typeof spec === "object" && "chunks" in spec) {
    const log = new ToleratedLog();
    const { samples } = await openStream(spec, { ...reading, ...given, onTolerated: log.add });
    return {
      records: undefined,
      run: (runner) => runner.runStream({ stem: STREAM_NAME, pieces: [] }, spec.name, samples, log),
    };
  }
  const { format, shards } = await findDataset(spec, given);
  const counts = onProgress ? countRecords(format, shards, options) : undefined;
  return {
    records: counts?.reduce((sum, count) => sum + count, 0),
    async run(runner) {
      const feed = new RecordFeed(format, reading, onError === "skip");
      try {
        const pieces = shards.map((input) => ({ input, start: 0, end: undefined }));
        await runner.run({ stem: STREAM_NAME, pieces }, feed);
      } finally {
        feed.close();
      }
    },
  };
}
