// `kdata validate SPEC...`: every record of every shard, with all checks, and a line for each bad one.

import { basename } from "node:path";
import { KdataError, type ErrorCode } from "../core/errors.ts";
import type {
  DecodeOptions,
  Fault,
  Format,
  ReadOptions,
  ShardFiles,
  ShardReader,
  Tolerated,
} from "../readers/format.ts";
import { faultOr } from "../readers/fault.ts";
import { findDataset, openShard } from "../readers/open.ts";
import { pickDecoding, ToleratedLog } from "../readers/tolerance.ts";
import type { CommandDefinition } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { exitCodes } from "./exit-codes.ts";
import { fromOption } from "./input.ts";
import { interruptible } from "./interrupt.ts";
import { formatByteRate, formatBytes, formatCount, formatQuantity } from "./numbers.ts";
import { bytesOfShard, filesOf } from "./shard-size.ts";
import { takeTurns, type Turns } from "../core/turns.ts";

/** Bad records that are told one by one: a file of the wrong kind can have millions, which nobody reads. */
const MAX_TOLD_FAULTS = 1000;

/** How {@link validate} looks. */
export interface ValidateOptions extends DecodeOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  readonly limits?: ReadOptions["limits"];
  readonly signal?: AbortSignal;
  /** Called a few times a second. */
  readonly onProgress?: (progress: ValidateProgress) => void;
}

/** How far {@link validate} is. */
export interface ValidateProgress {
  /** The shard that is being read. */
  readonly shard: string;
  /** Records checked so far, over all shards. */
  readonly records: number;
  readonly bad: number;
}

/** What {@link validate} found; `kdata validate --json` prints it. */
export interface ValidateReport {
  readonly schema: "kdata.validate/1";
  readonly files: number;
  /** Records checked. Those that lie behind a place where the framing is lost cannot be counted. */
  readonly records: number;
  readonly ok: number;
  readonly bad: number;
  /** Bytes of all shards, compressed where they are. */
  readonly bytes: number;
  readonly seconds: number;
  /** The first thousand bad records, in order. */
  readonly faults: readonly FaultReport[];
  readonly ignoredIndexes: readonly IgnoredIndex[];
  /** How many times something was passed over because an option allows it. */
  readonly passedOver: number;
  /** The first thousand of them, in order. */
  readonly tolerated: readonly Tolerated[];
}

/** One bad record, or a shard that cannot be read at all. */
export interface FaultReport {
  readonly source: string;
  readonly record?: number;
  readonly byte?: number;
  readonly code: ErrorCode;
  /** In words, without the place. */
  readonly reason: string;
  /** Bytes behind it that were not checked, because the framing is lost. */
  readonly uncheckedBytes: number;
}

/** An index beside a shard that is not of the shard as it is now. */
export interface IgnoredIndex {
  readonly source: string;
  readonly reason: string;
}

/**
 * Checks every record of every shard with all checks that there are: framing, checksums, content; where a shard has an index
 * of its own beside it, the checksums of the index too. Goes on behind a bad record as long as the next one can be found, and
 * with the next shard otherwise.
 *
 * @throws {KdataError} `input` when a file is missing or cannot be read, `format` when the first file is of no known format,
 *   `usage` for a format that is not known, `aborted` when the signal says so. What is wrong with records is in the report.
 */
export async function validate(
  spec: string | readonly string[],
  options: ValidateOptions = {},
): Promise<ValidateReport> {
  const started = performance.now();
  const { format, shards } = await findDataset(spec, options.from === undefined ? {} : { format: options.from });
  const run = new ValidationRun(format, shards, options);
  for (const shard of shards) await run.checkShard(shard);
  return { schema: "kdata.validate/1", ...run.result(), seconds: (performance.now() - started) / 1000 };
}

/** The verb for the command line. */
export const validateCommand: CommandDefinition<DecodeFlags & { from?: string }> = {
  configure(command) {
    command.argument("<spec...>", "files, brace or glob patterns").addOption(fromOption(command));
    addDecodeFlags(command);
  },
  async run({ args, flags, output, progress }) {
    if (args.includes("-")) {
      throw new KdataError("usage", "Cannot validate standard input: save it to a file first");
    }
    const report = await interruptible((signal) => {
      progress.begin({ plain: formatQuantity(args.length, "input"), data: { inputs: args } });
      return validate(args, {
        ...(flags.from !== undefined && { from: flags.from }),
        ...decodeOptionsOf(flags),
        signal,
        onProgress({ shard, records, bad }) {
          const label = bad > 0 ? `${basename(shard)} (${formatCount(bad)} bad)` : basename(shard);
          progress.update({ label, position: records, total: undefined });
        },
      });
    });
    const { records, bad, files, bytes } = report;
    progress.end({
      plain: `done ${formatQuantity(records, "record")} ${formatCount(bad)} bad`,
      data: { records, bad, files, bytes },
    });
    await output.report(report, reportLines(report));
    return report.bad > 0 ? exitCodes.badData : undefined;
  },
};

/** What was found so far, over all shards. */
class ValidationRun {
  readonly #format: Format;
  readonly #options: ValidateOptions;
  readonly #turns: Turns;
  readonly #files: number;
  readonly #totalBytes: number;
  readonly #faults: FaultReport[] = [];
  readonly #ignoredIndexes: IgnoredIndex[] = [];
  readonly #log = new ToleratedLog();
  #ok = 0;
  #bad = 0;

  constructor(format: Format, shards: readonly ShardFiles[], options: ValidateOptions) {
    this.#format = format;
    this.#options = options;
    this.#turns = takeTurns(options.signal);
    this.#files = filesOf(shards);
    this.#totalBytes = shards.reduce((sum, shard) => sum + bytesOfShard(shard), 0);
  }

  async checkShard(shard: ShardFiles): Promise<void> {
    const reader = faultOr(() => this.#open(shard));
    if (reader instanceof KdataError) this.#note({ error: reader, uncheckedBytes: 0 }, shard);
    else await this.#checkRecords(shard, reader);
  }

  result(): Omit<ValidateReport, "schema" | "seconds"> {
    const tolerated = this.#log.take();
    return {
      files: this.#files,
      records: this.#ok + this.#bad,
      ok: this.#ok,
      bad: this.#bad,
      bytes: this.#totalBytes,
      faults: this.#faults,
      ignoredIndexes: this.#ignoredIndexes,
      passedOver: tolerated.length,
      tolerated: tolerated.slice(0, MAX_TOLD_FAULTS),
    };
  }

  #open(shard: ShardFiles): ShardReader {
    const { limits } = this.#options;
    return openShard(this.#format, shard, {
      ...pickDecoding(this.#options),
      ...(limits && { limits }),
      onIgnoredIndex: (reason) => this.#ignoredIndexes.push({ source: shard.name, reason }),
      onTolerated: this.#log.add,
    });
  }

  async #checkRecords(shard: ShardFiles, reader: ShardReader): Promise<void> {
    try {
      for (const found of reader.check()) {
        if ("error" in found) this.#note(found, shard);
        else this.#ok++;
        if (this.#turns.isOver()) {
          this.#tellProgress(shard);
          await this.#turns.yield();
        }
      }
    } finally {
      reader.close();
    }
  }

  #note({ error, uncheckedBytes }: Fault, shard: ShardFiles): void {
    this.#bad++;
    if (this.#faults.length === MAX_TOLD_FAULTS) return;
    const { source = shard.name, record, byte } = error.at ?? {};
    this.#faults.push({
      source,
      ...(record !== undefined && { record }),
      ...(byte !== undefined && { byte }),
      code: error.code,
      reason: error.reason.replace(/^Cannot [^:]*: /, ""),
      uncheckedBytes,
    });
  }

  #tellProgress(shard: ShardFiles): void {
    this.#options.onProgress?.({
      shard: shard.name,
      records: this.#ok + this.#bad,
      bad: this.#bad,
    });
  }
}

function reportLines(report: ValidateReport): string[] {
  const { faults, ignoredIndexes, tolerated, passedOver, files, records, ok, bad, bytes, seconds } = report;
  const lines = faults.flatMap(faultLines);
  if (bad > faults.length) lines.push(`and ${formatCount(bad - faults.length)} more`);
  lines.push(...ignoredIndexes.map(({ source, reason }) => `${source}: its index was not used: ${reason}`));
  lines.push(...tolerated.map(toleratedLine));
  if (passedOver > tolerated.length) lines.push(`and ${formatCount(passedOver - tolerated.length)} more passed over`);
  const what = `${formatQuantity(records, "record")} in ${formatQuantity(files, "file")}`;
  const rate = formatByteRate(bytes / seconds);
  lines.push(`checked ${what}: ${formatCount(ok)} ok, ${formatCount(bad)} bad (${rate})`);
  return lines;
}

/** `a.tar: record 3 at byte 2,048: passed over 512 bytes (strayMembers): "README" has no extension`. */
function toleratedLine({ policy, source, record, byte, bytes, reason }: Tolerated): string {
  const what = bytes === undefined || bytes === 0 ? "" : ` ${formatQuantity(bytes, "byte")}`;
  return `${source}: record ${formatCount(record)} at byte ${formatCount(byte)}: passed over${what} (${policy}): ${reason}`;
}

/** `out/train-003.tfrecord: record 1,204 at byte 39,518,220: the data checksum does not match`. */
function faultLines({ source, record, byte, code, reason, uncheckedBytes }: FaultReport): string[] {
  const place: string[] = [];
  if (record !== undefined) place.push(`record ${formatCount(record)}`);
  if (byte !== undefined) place.push(`at byte ${formatCount(byte)}`);
  const where = [source, ...(place.length > 0 ? [place.join(" ")] : [])].join(": ");
  const what = reason.replace(/(?<= )\d{4,}(?= (?:bytes|are) )/g, (digits) => formatCount(Number(digits)));
  const lines = [`${where}: ${code === "truncated" ? "truncated: " : ""}${what}`];
  if (uncheckedBytes > 0) lines.push(`${source}: ${formatBytes(uncheckedBytes)} from there on were not checked`);
  return lines;
}
