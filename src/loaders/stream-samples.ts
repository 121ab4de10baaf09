// The samples of an epoch from what cannot seek: standard input, any stream, any iterable, or files that are read from front to back.

import { addAbortSignal } from "node:stream";
import { KdataError } from "../core/errors.ts";
import { copySample, type Sample } from "../core/sample.ts";
import type { ReadOptions } from "../readers/format.ts";
import { findDataset, openStream } from "../readers/open.ts";
import type { StreamSource } from "../readers/source.ts";
import { fileStream } from "../readers/source-file-stream.ts";
import { streamSource } from "../readers/source-stream.ts";
import { hashNames } from "./fingerprint.ts";
import { epochOrder } from "./order.ts";
import { startOnce } from "./start-once.ts";
import type { ResolvedStreamOptions } from "./stream-options.ts";

/** A stream of bytes, or samples that are decoded. */
export type StreamHandle = StreamSource | AsyncIterable<Sample>;

/** What is always read from front to back: standard input (`-`) or a handle. */
export type StreamInput = "-" | StreamHandle;

/** Samples, epoch after epoch. */
export interface SampleStream {
  /** What a state of the stream remembers of it: a hash of the shards' names, or nothing. */
  readonly names: string;
  /** Says whether there is more than one epoch. */
  readonly canRepeat: boolean;
  /** Reads an epoch. Each sample is a copy of its own. The signal ends it. */
  open(epoch: number, signal: AbortSignal): AsyncIterable<Sample>;
}

const ACTION = "Cannot load stream";
/** Iterators that were read: an iterable that gives its only one again, as a generator does, would give an empty epoch. */
const started = new WeakSet<AsyncIterator<Sample>>();

/** Says whether a spec is none of files. */
export function isStreamInput(spec: string | readonly string[] | StreamHandle): spec is StreamInput {
  if (typeof spec === "string") return spec === "-";
  return "chunks" in spec || Symbol.asyncIterator in spec;
}

/**
 * Makes the epochs of an input.
 *
 * @throws {KdataError} what {@link findDataset} throws; `unsupported` when a format needs to seek; `usage` when standard input is a
 *   terminal, or an option is given that means nothing to an iterable.
 */
export async function findSamples(
  input: string | readonly string[] | StreamHandle,
  options: ResolvedStreamOptions,
): Promise<SampleStream> {
  if (!isStreamInput(input)) return findShards(input, options);
  if (input === "-") {
    if (process.stdin.isTTY) {
      throw new KdataError("usage", "Cannot read standard input: it is a terminal", { hint: "Pipe data into it." });
    }
    return onceOf("-", (signal) => streamSource("-", addAbortSignal(signal, process.stdin)), options);
  }
  if ("chunks" in input) return onceOf(input.name, () => input, options);
  refuseDecoding(options);
  return { names: "", canRepeat: true, open: () => samplesOf(input) };
}

function readOptions({ format, limits, features, message, strayMembers }: ResolvedStreamOptions): ReadOptions & {
  readonly format?: string;
} {
  return {
    ...(format !== undefined && { format }),
    ...(limits && { limits }),
    ...(features && { features }),
    ...(message && { message }),
    ...(strayMembers && { strayMembers }),
  };
}

async function findShards(spec: string | readonly string[], options: ResolvedStreamOptions): Promise<SampleStream> {
  const reading = readOptions(options);
  const { format, shards } = await findDataset(spec, reading);
  if (!format.stream) {
    throw new KdataError("unsupported", `${ACTION}: ${format.title} needs to seek`, { hint: "Leave out 'stream'." });
  }
  const paths = shards.flatMap((shard) => shard.paths);
  const { shuffle, seed } = options;
  async function* open(epoch: number, signal: AbortSignal): AsyncGenerator<Sample> {
    const shardAt = epochOrder({ records: paths.length, shuffle, seed, epoch });
    for (let position = 0; position < paths.length; position++) {
      const path = paths[shardAt(position)] as string;
      yield* samplesIn(fileStream(path, signal), { ...reading, format: format.name });
    }
  }
  return { names: hashNames(paths), canRepeat: true, open };
}

function onceOf(
  name: string,
  start: (signal: AbortSignal) => StreamSource,
  options: ResolvedStreamOptions,
): SampleStream {
  let isRead = false;
  return {
    names: "",
    canRepeat: false,
    open(_epoch, signal) {
      if (isRead) throw readOnce(name);
      isRead = true;
      return samplesIn(start(signal), readOptions(options));
    },
  };
}

async function* samplesIn(
  source: StreamSource,
  options: ReadOptions & { readonly format?: string },
): AsyncGenerator<Sample> {
  const { samples } = await openStream(source, options);
  for await (const sample of samples) yield copySample(sample);
}

async function* samplesOf(iterable: AsyncIterable<Sample>): AsyncGenerator<Sample> {
  for await (const sample of startOnce(iterable, started, () => readOnce("the iterable"))) {
    yield copySample(checkSample(sample));
  }
}

function checkSample(sample: Sample): Sample {
  const { key, features, origin } = sample as Partial<Sample>;
  if (typeof key === "string" && typeof features === "object" && typeof origin === "object") return sample;
  throw new TypeError(`${ACTION}: the iterable must give samples of { key, origin, features }`);
}

function refuseDecoding(options: ResolvedStreamOptions): void {
  for (const name of Object.keys(readOptions(options))) {
    throw new KdataError("usage", `${ACTION}: the option '${name}' means nothing to samples that are decoded`);
  }
}

function readOnce(name: string): KdataError {
  return new KdataError("input", `${ACTION}: it can be read only once`, { at: { source: name } });
}
