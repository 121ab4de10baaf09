// `kdata index SPEC...`: keeps an index beside each shard, or writes the index that another tool reads.

import { rmSync } from "node:fs";
import { basename } from "node:path";
import { KdataError } from "../core/errors.ts";
import type { ChecksummedIndex, DecodeOptions, Format, ReadOptions, ShardFiles } from "../readers/format.ts";
import { formats } from "../readers/formats.ts";
import { findDataset, openShard } from "../readers/open.ts";
import { encodeSidecar, sidecarPath } from "../readers/sidecar.ts";
import { FileSource } from "../readers/source-file.ts";
import { sealBlocks } from "../readers/source-sealed.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { CommandDefinition } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { formNames, writeForm, writeWhole, type Made } from "./foreign-index.ts";
import { fromOption } from "./input.ts";
import { interruptible } from "./interrupt.ts";
import { formatDuration, formatQuantity } from "./numbers.ts";
import { bytesOfShard } from "./shard-size.ts";
import { takeTurns, type Turns } from "../core/turns.ts";

const EXISTING_CHOICES = ["error", "overwrite"] as const;

/** What {@link indexShards} makes. */
export interface IndexOptions extends DecodeOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  /** The form of another tool: `wids`, `dali`, `tfindex`. kdata's own beside each shard if left out. */
  readonly as?: string;
  /**
   * Where to write a form of another tool: a file, or for several shards of a form with a file for each a directory. Left out,
   * such a form goes beside each shard, where its tool looks for it.
   */
  readonly output?: string;
  /** What to do about an index of another form that is there already; `error` if left out. kdata's own is replaced. */
  readonly ifExists?: (typeof EXISTING_CHOICES)[number];
  readonly limits?: ReadOptions["limits"];
  readonly signal?: AbortSignal;
  /** Called a few times a second with the shard that is being read, and with the samples so far. */
  readonly onProgress?: (progress: { readonly shard: string; readonly samples: number }) => void;
}

/** What {@link indexShards} made; `kdata index --json` prints it. */
export interface IndexReport {
  readonly schema: "kdata.index/1";
  /** `kidx` for kdata's own form. */
  readonly form: string;
  /** Shards that were indexed. */
  readonly files: number;
  /** Samples of all shards. */
  readonly samples: number;
  /** Bytes of all shards, compressed where they are. */
  readonly bytes: number;
  readonly seconds: number;
  /** The indexes written, in order. */
  readonly outputs: readonly string[];
}

/**
 * Indexes shards: scans each of them once and keeps beside it, as `<file>.kidx`, where its records lie and the CRC-32C of
 * each one's bytes. Readers and loaders then need no scan, and hold records without a checksum of their own to that one. Of
 * formats whose records are found without an index it keeps the checksums of blocks of each file, to which what is read is held. With
 * `as` the index is written in the form of another tool instead.
 *
 * An index gets its name only when it is whole.
 *
 * @throws {KdataError} `unsupported` for a format whose records are found by arithmetic, and for what a form cannot say;
 *   `usage` for a form that the format has not; `exists` for an output that is there already; `input` when a file is
 *   missing; `output` when the disk refuses; `aborted` when the signal says so; and what the scan finds, with the position.
 */
export async function indexShards(spec: string | readonly string[], options: IndexOptions = {}): Promise<IndexReport> {
  const started = performance.now();
  const { format, shards } = await findDataset(spec, options.from === undefined ? {} : { format: options.from });
  const run: IndexRun = { format, shards, options, turns: takeTurns(options.signal) };
  const { samples, outputs } = await (options.as === undefined
    ? keepSidecars(run)
    : writeForm(format, shards, options.as, options, run.turns));
  const bytes = shards.reduce((sum, shard) => sum + bytesOfShard(shard), 0);
  const seconds = (performance.now() - started) / 1000;
  const form = options.as ?? "kidx";
  return { schema: "kdata.index/1", form, files: shards.length, samples, bytes, seconds, outputs };
}

/** The verb for the command line. */
export const indexCommand: CommandDefinition<
  DecodeFlags & {
    from?: string;
    as?: string;
    output?: string;
    ifExists: (typeof EXISTING_CHOICES)[number];
  }
> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns")
      .addOption(fromOption(command))
      .option("--as <form>", `form of another tool: ${formNames(formats).join(", ")}`)
      .option("-o, --output <path>", "file to write with --as; a directory for several shards of dali and tfindex")
      .addOption(
        command
          .createOption("--if-exists <choice>", "what to do about an output of --as that is there")
          .choices(EXISTING_CHOICES)
          .default("error"),
      )
      .addHelpText("after", EXAMPLES);
    addDecodeFlags(command);
  },
  async run({ args, flags: { from, as, output: path, ifExists, ...flags }, output, progress }) {
    if (args.includes("-")) throw new KdataError("usage", "Cannot index standard input: save it to a file first");
    const report = await interruptible((signal) => {
      progress.begin({ plain: formatQuantity(args.length, "input"), data: { inputs: args } });
      return indexShards(args, {
        ...(from !== undefined && { from }),
        ...(as !== undefined && { as }),
        ...(path !== undefined && { output: path }),
        ...decodeOptionsOf(flags),
        ifExists,
        signal,
        onProgress({ shard, samples }) {
          progress.update({ label: basename(shard), position: samples, total: undefined });
        },
      });
    });
    const { files, samples, seconds, outputs } = report;
    progress.end({ plain: `done ${formatQuantity(outputs.length, "index", "indexes")}`, data: report });
    const what = `${formatQuantity(files, "file")}, ${formatQuantity(samples, "sample")}`;
    await output.report(report, [`indexed ${what} in ${formatDuration(seconds)}`]);
    return undefined;
  },
};

const EXAMPLES = `
Examples:
  kdata index 'imgs/*.tar'
  kdata index 'imgs/*.tar' --as wids -o imgs.json
  kdata index imgs/train-000.tar --as dali
  kdata index 'out/*.tfrecord' --as tfindex -o indexes/`;

interface IndexRun {
  readonly format: Format;
  readonly shards: readonly ShardFiles[];
  readonly options: IndexOptions;
  readonly turns: Turns;
}

async function keepSidecars(run: IndexRun): Promise<Made> {
  const { format, shards, options } = run;
  if (options.output !== undefined) {
    throw new KdataError("usage", "Cannot index: an output goes with a form of another tool", {
      hint: `Name the form: --as ${formNames([format]).join(" | ") || "wids"}`,
    });
  }
  const outputs: string[] = [];
  let samples = 0;
  for (const shard of format.sealed ? shards : []) {
    samples += await sealShard(run, shard, samples);
    outputs.push(...shard.paths.map(sidecarPath));
  }
  if (format.sealed) return { samples, outputs };
  for (const { name, paths } of shards) {
    const [path = name] = paths;
    // The size and time of before the scan: should the file change meanwhile, the index is stale and not wrong.
    const { size, modifiedNs } = openAndClose(path);
    const index = await scanShard(run, { name, paths }, samples);
    writeWhole(sidecarPath(path), encodeSidecar(index, { format: format.name, size, modifiedNs }));
    samples += index.offsets.length;
    outputs.push(sidecarPath(path));
  }
  return { samples, outputs };
}

async function scanShard(
  { format, options, turns }: IndexRun,
  shard: ShardFiles,
  before: number,
): Promise<ChecksummedIndex> {
  const { onProgress } = options;
  const reader = openShard(format, shard, readOptions(options));
  try {
    const scan = reader.scan();
    if (scan === undefined) {
      const reason = `Cannot index: ${format.title} needs no index: records are found without one`;
      throw new KdataError("unsupported", reason, { at: { source: shard.name } });
    }
    for (let found = 0; ; found++) {
      const next = scan.next();
      if (next.done === true) return next.value;
      if (!turns.isOver()) continue;
      onProgress?.({ shard: shard.name, samples: before + found });
      await turns.yield();
    }
  } finally {
    reader.close();
  }
}

/** Keeps the checksums of the blocks of each file of a shard, and says how many records the shard has. */
async function sealShard({ format, options, turns }: IndexRun, shard: ShardFiles, before: number): Promise<number> {
  // What an index says goes for what can be read: a damaged file gets none. Nor is it held to the one that is replaced.
  for (const path of shard.paths) rmSync(sidecarPath(path), { force: true });
  const reader = openShard(format, shard, readOptions(options));
  const records = reader.count();
  reader.close();
  for (const path of shard.paths) {
    const file = new FileSource(path);
    try {
      const blocks = sealBlocks(file);
      for (let next = blocks.next(); ; next = blocks.next()) {
        if (next.done === true) {
          const of = { format: format.name, size: file.size, modifiedNs: file.modifiedNs };
          writeWhole(sidecarPath(path), encodeSidecar(next.value, of));
          break;
        }
        if (!turns.isOver()) continue;
        options.onProgress?.({ shard: path, samples: before });
        await turns.yield();
      }
    } finally {
      file.close();
    }
  }
  return records;
}

function readOptions({ limits, ...options }: IndexOptions): ReadOptions {
  return { ...pickDecoding(options), ...(limits && { limits }) };
}

/** Its size and time are known afterwards as well. */
function openAndClose(path: string): FileSource {
  const file = new FileSource(path);
  file.close();
  return file;
}
