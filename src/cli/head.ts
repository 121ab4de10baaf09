// `kdata head -n N SPEC...`: the first samples, for people or as JSON Lines.

import type { Sample } from "../core/sample.ts";
import type { DecodeOptions, ReadOptions } from "../readers/format.ts";
import { findDataset, openShard, openStream } from "../readers/open.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { CommandDefinition } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { featureText, sampleJson, type SampleJson } from "./describe.ts";
import { fromOption, inputSpec, isStream, type InputSpec } from "./input.ts";
import { parseCount } from "./numbers.ts";

const DEFAULT_RECORDS = 10; // as head(1)

/** What {@link head} prints. */
export interface HeadOptions extends DecodeOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  /** Samples to print. Default 10. */
  readonly records?: number;
  readonly limits?: ReadOptions["limits"];
}

/**
 * Describes the first samples of a data set, in order, shard after shard. `kdata head --json` prints each one as a line.
 *
 * Only what is given out is read, so damage further on goes unnoticed.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` for a format that is not known, and with the position what
 *   reading finds wrong.
 */
export async function* head(spec: InputSpec, options: HeadOptions = {}): AsyncGenerator<SampleJson, void> {
  for await (const sample of firstSamples(spec, options)) yield sampleJson(sample);
}

/** The verb for the command line. */
export const headCommand: CommandDefinition<DecodeFlags & { from?: string; records: string }> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns; - is standard input")
      .option("-n, --records <count>", "samples to print", String(DEFAULT_RECORDS))
      .addOption(fromOption(command));
    addDecodeFlags(command);
  },
  async run({ args, flags, output }) {
    const options: HeadOptions = {
      ...(flags.from !== undefined && { from: flags.from }),
      ...decodeOptionsOf(flags),
      records: parseCount(flags.records, "--records"),
    };
    for await (const sample of firstSamples(inputSpec(args), options)) {
      await output.record(sampleJson(sample), sampleLines(sample));
    }
    return undefined;
  },
};

/** The samples are views of the reader's memory, valid until the next one. */
async function* firstSamples(spec: InputSpec, options: HeadOptions): AsyncGenerator<Sample, void> {
  let left = options.records ?? DEFAULT_RECORDS;
  for await (const sample of allSamples(spec, options)) {
    yield sample;
    if (--left === 0) return;
  }
}

async function* allSamples(spec: InputSpec, { from, limits, ...options }: HeadOptions): AsyncGenerator<Sample, void> {
  const found = from === undefined ? {} : { format: from };
  const readOptions: ReadOptions = { ...pickDecoding(options), ...(limits && { limits }) };
  if (isStream(spec)) {
    const { samples } = await openStream(spec, { ...readOptions, ...found });
    yield* samples;
    return;
  }
  const { format, shards } = await findDataset(spec, found);
  for (const shard of shards) {
    const reader = openShard(format, shard, readOptions);
    try {
      yield* reader.samples();
    } finally {
      reader.close();
    }
  }
}

function sampleLines({ key, features }: Sample): string[] {
  const entries = Object.entries(features);
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return [key, ...entries.map(([name, feature]) => `  ${name.padEnd(width)}  ${featureText(feature)}`)];
}
