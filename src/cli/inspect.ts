// `kdata inspect SPEC...`: what is stored: format, size, records, features.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { FileSource } from "../readers/source-file.ts";
import type { DecodeOptions, Format, ReadOptions, ShardFiles } from "../readers/format.ts";
import { findDataset, openShard, openStream } from "../readers/open.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { StreamSource } from "../readers/source.ts";
import type { CommandDefinition } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { ContactSheet, type SheetFeatures, type SheetReport } from "./contact-sheet.ts";
import { featureRow, summarizeFeatures, type FeatureReport } from "./feature-summary.ts";
import { fromOption, inputSpec, isStream, type InputSpec } from "./input.ts";
import { mediaName } from "./describe.ts";
import { sniffMedia } from "./media.ts";
import { formatBytes, formatCount, formatQuantity, parseCount } from "./numbers.ts";
import { tableLines } from "./table.ts";

/** Enough to see what the features are; the framing of the rest is still verified to count the records. */
const DEFAULT_SCANNED_RECORDS = 1000;
const TABLE_HEADER = ["feature", "kind", "shape/len", "dtype", "seen", "example"];

/** How {@link inspect} looks. */
export interface InspectOptions extends DecodeOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  /** Records of each shard whose features are looked at. Default 1,000. */
  readonly records?: number;
  readonly limits?: ReadOptions["limits"];
}

/** What {@link inspect} found; `kdata inspect --json` prints it. */
export interface InspectReport {
  readonly schema: "kdata.inspect/1";
  readonly shards: readonly ShardReport[];
}

/** What one shard holds. */
export interface ShardReport {
  readonly source: string;
  /** The name of the format: `tfrecord`. */
  readonly format: string;
  /** The format for people: `TFRecord (tf.Example)`. */
  readonly title: string;
  /** What the file is wrapped in: `gzip`, `zip`. */
  readonly compression?: string;
  /** Bytes of the shard's files; absent for a stream. */
  readonly bytes?: number;
  /** Records of the whole shard; absent for a stream that was not read to its end. */
  readonly records?: number;
  /** Records whose features were looked at. */
  readonly scanned: number;
  readonly features: readonly FeatureReport[];
}

/**
 * Looks at every shard: its format, its records, and the features of the first of them.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` for a format that is not known, and with the position what
 *   reading finds wrong: in the whole framing, and in all of the records that are looked at.
 */
export async function inspect(spec: InputSpec, options: InspectOptions = {}): Promise<InspectReport> {
  const shards: ShardReport[] = [];
  if (isStream(spec)) {
    shards.push(await inspectStream(spec, options));
  } else {
    const { format, shards: found } = await findDataset(spec, formatOption(options));
    for (const shard of found) shards.push(await inspectShard(format, shard, options));
  }
  return { schema: "kdata.inspect/1", shards };
}

/**
 * Draws a contact sheet of the first images of a data set, up to 64, as a PNG.
 *
 * @throws {KdataError} as {@link inspect}; `shape` when there is no image, `package` when sharp is not there, `usage` for a name that
 *   no feature has, `output` when the disk refuses.
 */
export async function drawSheet(
  spec: string | readonly string[],
  path: string,
  options: InspectOptions & SheetFeatures = {},
): Promise<SheetReport> {
  const sheet = new ContactSheet(options);
  const { format, shards } = await findDataset(spec, formatOption(options));
  for (const shard of shards) {
    if (sheet.isFull()) break;
    const reader = openShard(format, shard, readOptions(options));
    try {
      for (const sample of reader.samples()) {
        sheet.add(sample);
        if (sheet.isFull()) break;
      }
    } finally {
      reader.close();
    }
  }
  return sheet.write(path);
}

interface InspectFlags extends DecodeFlags {
  readonly from?: string;
  readonly records: string;
  readonly sheet?: string;
  readonly image?: string;
  readonly label?: string;
}

/** The verb for the command line. */
export const inspectCommand: CommandDefinition<InspectFlags> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns; - is standard input")
      .addOption(fromOption(command))
      .option("-n, --records <count>", "records of each shard to look at", String(DEFAULT_SCANNED_RECORDS))
      .option("--sheet <file>", "draw a contact sheet of up to 64 images with their labels: out.png")
      .option("--image <feature>", "the images of the sheet; found by content if left out")
      .option("--label <feature>", "the labels of the sheet; the first number or text if left out");
    addDecodeFlags(command);
  },
  async run({ args, flags, output }) {
    const { from, records, sheet, image, label, ...decoding } = flags;
    const options = {
      ...(from !== undefined && { from }),
      ...decodeOptionsOf(decoding),
      records: parseCount(records, "--records"),
    };
    if (sheet === undefined && (image !== undefined || label !== undefined)) {
      throw new KdataError("usage", "Cannot inspect: --image and --label go with --sheet");
    }
    if (sheet !== undefined) {
      if (args.includes("-"))
        throw new KdataError("usage", "Cannot draw a sheet of standard input: save it to a file first");
      const features = { ...(image !== undefined && { image }), ...(label !== undefined && { label }) };
      const drawn = await drawSheet(args, sheet, { ...options, ...features });
      const of = drawn.label === undefined ? "" : ` with ${drawn.label}`;
      const line = `drew ${formatQuantity(drawn.images, "image")} (${drawn.image}${of}) -> ${drawn.path}`;
      await output.report({ schema: "kdata.inspect-sheet/1", ...drawn }, [line]);
      return undefined;
    }
    const report = await inspect(inputSpec(args), options);
    await output.report(report, report.shards.flatMap(shardLines));
    return undefined;
  },
};

function formatOption({ from }: InspectOptions): { format?: string } {
  return from === undefined ? {} : { format: from };
}

function readOptions({ limits, ...options }: InspectOptions): ReadOptions {
  return { ...pickDecoding(options), ...(limits && { limits }) };
}

async function inspectShard(format: Format, shard: ShardFiles, options: InspectOptions): Promise<ShardReport> {
  const { records: wanted = DEFAULT_SCANNED_RECORDS } = options;
  const reader = openShard(format, shard, readOptions(options));
  try {
    const { isWhole, ...found } = await summarize(reader.samples(), wanted);
    return {
      source: shard.name,
      format: format.name,
      title: format.title,
      ...containerOf(shard),
      records: isWhole ? found.scanned : reader.count(),
      ...found,
    };
  } finally {
    reader.close();
  }
}

async function inspectStream(source: StreamSource, options: InspectOptions): Promise<ShardReport> {
  const { records: wanted = DEFAULT_SCANNED_RECORDS } = options;
  const { format, samples } = await openStream(source, { ...readOptions(options), ...formatOption(options) });
  const { isWhole, ...found } = await summarize(samples, wanted);
  return {
    source: source.name,
    format: format.name,
    title: format.title,
    ...(isWhole && { records: found.scanned }),
    ...found,
  };
}

/** Sums up the first samples; `isWhole` when there are no others. */
async function summarize(samples: Iterable<Sample> | AsyncIterable<Sample>, wanted: number) {
  const summary = summarizeFeatures();
  let scanned = 0;
  let isWhole = true;
  for await (const sample of samples) {
    if (scanned === wanted) {
      isWhole = false;
      break;
    }
    summary.add(sample);
    scanned++;
  }
  return { isWhole, scanned, features: summary.reports() };
}

/** The size of a shard's files together, and what the first one is wrapped in. */
function containerOf(shard: ShardFiles): { bytes: number; compression?: string } {
  let bytes = 0;
  let compression: string | undefined;
  for (const path of shard.paths) {
    const file = new FileSource(path);
    try {
      bytes += file.size;
      const head = new Uint8Array(16);
      const media = sniffMedia(head.subarray(0, file.read(head, 0)));
      if (media?.type.startsWith("application/")) compression ??= mediaName(media.type);
    } finally {
      file.close();
    }
  }
  return { bytes, ...(compression !== undefined && { compression }) };
}

function shardLines(shard: ShardReport, index: number): string[] {
  const facts = [shard.title, shard.compression ?? "uncompressed"];
  if (shard.bytes !== undefined) facts.push(formatBytes(shard.bytes));
  facts.push(recordsText(shard));
  const lines = index === 0 ? [] : [""];
  lines.push(`${shard.source}   ${facts.join(", ")}`);
  if (shard.features.length > 0) {
    lines.push(...tableLines([TABLE_HEADER, ...shard.features.map((feature) => featureRow(feature, shard.scanned))]));
  }
  return lines;
}

function recordsText({ records, scanned }: ShardReport): string {
  if (records === undefined)
    return `more than ${formatCount(scanned)} records (looked at the first ${formatCount(scanned)})`;
  const all = formatQuantity(records, "record");
  return records === scanned ? all : `${all} (looked at the first ${formatCount(scanned)})`;
}
