// `kdata stats SPEC...`: the distribution of each feature over all samples.

import { basename } from "node:path";
import type { Sample } from "../core/sample.ts";
import type { DecodeOptions, Format, ReadOptions, ShardFiles } from "../readers/format.ts";
import { findDataset, openShard, openStream } from "../readers/open.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { CommandDefinition } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { formatShape } from "./describe.ts";
import { collectStatistics, type FieldStatistics } from "./feature-statistics.ts";
import { fromOption, inputSpec, isStream, type InputSpec } from "./input.ts";
import { interruptible } from "./interrupt.ts";
import type { Statistics } from "./moments.ts";
import { formatCount, formatQuantity } from "./numbers.ts";
import { filesOf } from "./shard-size.ts";
import { tableLines } from "./table.ts";
import { takeTurns, type Turns } from "../core/turns.ts";

const SHOWN_DIGITS = 5; // of a mean, for people; --json has all of them
const TABLE_HEADER = ["feature", "kind", "shape/len", "count", "min", "max", "mean", "std", "nan", "inf", "distinct"];

/** How {@link stats} looks. */
export interface StatsOptions extends DecodeOptions {
  /** The format; found by content if left out. */
  readonly from?: string;
  readonly limits?: ReadOptions["limits"];
  readonly signal?: AbortSignal;
  /** Called a few times a second with the shard that is being read, and with the samples so far. */
  readonly onProgress?: (progress: { readonly shard: string; readonly samples: number }) => void;
}

/** What {@link stats} found; `kdata stats --json` prints it. */
export interface StatsReport {
  readonly schema: "kdata.stats/1";
  /** The name of the format: `tfrecord`. */
  readonly format: string;
  /** The format for people: `TFRecord (tf.Example)`. */
  readonly title: string;
  /** Files that were read; 1 for a stream. */
  readonly files: number;
  readonly samples: number;
  /** By feature, in the order they were first seen. */
  readonly fields: Readonly<Record<string, FieldStatistics>>;
}

/**
 * Reads every sample, with all checks, and computes for each feature range, mean and deviation of its elements or of its
 * lengths, how many are NaN or infinite, and how many different labels there are.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` for a format that is not known, `aborted` when the signal says
 *   so, and with the position what reading finds wrong.
 */
export async function stats(spec: InputSpec, options: StatsOptions = {}): Promise<StatsReport> {
  const run = new StatsRun(options);
  const found = options.from === undefined ? {} : { format: options.from };
  if (isStream(spec)) {
    const { format, samples } = await openStream(spec, { ...run.readOptions, ...found });
    for await (const sample of samples) if (run.add(sample)) await run.yieldTurn(spec.name);
    return run.report(format, 1);
  }
  const { format, shards } = await findDataset(spec, found);
  for (const shard of shards) await run.addShard(format, shard);
  return run.report(format, filesOf(shards));
}

/** The verb for the command line. */
export const statsCommand: CommandDefinition<DecodeFlags & { from?: string }> = {
  configure(command) {
    command.argument("<spec...>", "files, brace or glob patterns; - is standard input").addOption(fromOption(command));
    addDecodeFlags(command);
  },
  async run({ args, flags, output, progress }) {
    const report = await interruptible((signal) => {
      progress.begin({ plain: formatQuantity(args.length, "input"), data: { inputs: args } });
      return stats(inputSpec(args, signal), {
        ...(flags.from !== undefined && { from: flags.from }),
        ...decodeOptionsOf(flags),
        signal,
        onProgress({ shard, samples }) {
          progress.update({ label: basename(shard), position: samples, total: undefined });
        },
      });
    });
    const { samples, files } = report;
    progress.end({ plain: `done ${formatQuantity(samples, "sample")}`, data: { samples, files } });
    await output.report(report, reportLines(report));
    return undefined;
  },
};

/** What was read so far. */
class StatsRun {
  readonly #options: StatsOptions;
  readonly #collector = collectStatistics();
  readonly #turns: Turns;
  #samples = 0;

  constructor(options: StatsOptions) {
    this.#options = options;
    this.#turns = takeTurns(options.signal);
  }

  get readOptions(): ReadOptions {
    const { limits } = this.#options;
    return { ...pickDecoding(this.#options), ...(limits && { limits }) };
  }

  async addShard(format: Format, shard: ShardFiles): Promise<void> {
    const reader = openShard(format, shard, this.readOptions);
    try {
      for (const sample of reader.samples()) if (this.add(sample)) await this.yieldTurn(shard.name);
    } finally {
      reader.close();
    }
  }

  /** Takes note of a sample, and says whether the turn is over. */
  add(sample: Sample): boolean {
    this.#collector.add(sample);
    this.#samples++;
    return this.#turns.isOver();
  }

  async yieldTurn(shard: string): Promise<void> {
    this.#options.onProgress?.({ shard, samples: this.#samples });
    await this.#turns.yield();
  }

  report({ name, title }: Format, files: number): StatsReport {
    const fields = this.#collector.fields();
    return { schema: "kdata.stats/1", format: name, title, files, samples: this.#samples, fields };
  }
}

function reportLines({ title, files, samples, fields }: StatsReport): string[] {
  const rows = Object.entries(fields).flatMap(([name, field]) => fieldRows(name, field));
  const heading = [title, formatQuantity(files, "file"), formatQuantity(samples, "sample")].join(", ");
  return rows.length === 0 ? [heading] : [heading, ...tableLines([TABLE_HEADER, ...rows])];
}

/** A row for the elements of tensors, one for the items of lists, one for the bytes of values. */
function fieldRows(name: string, field: FieldStatistics): string[][] {
  const { kinds, dtypes, shape, count, nan, inf, distinct, items, bytes } = field;
  const rows: string[][] = [];
  if (count !== undefined) {
    const sizes = shape?.map(({ min, max }) => (min === max ? String(min) : `${min}–${max}`));
    const size = sizes ? formatShape(sizes) : "varies";
    const special = [nan, inf, distinct].map((number) => (number === undefined ? "" : formatCount(number)));
    rows.push([name, dtypes.join("|"), size, ...numberCells(field), ...special]);
  }
  const kind = kinds.filter((one) => one !== "tensor").join("|");
  if (items) rows.push([name, kind, "items", ...numberCells(items)]);
  if (bytes) rows.push([name, kind, "bytes", ...numberCells(bytes)]);
  if (rows.length === 0) rows.push([name, kind, "", formatCount(field.seen)]);
  return rows;
}

function numberCells({ count = 0, min, max, mean, std }: Partial<Statistics>): string[] {
  return [formatCount(count), ...[min, max, mean, std].map((number) => (number === undefined ? "" : shown(number)))];
}

/** Whole numbers as they are, others to a few digits. */
function shown(number: number): string {
  if (Math.abs(number) >= 2 ** 53) return number.toExponential(SHOWN_DIGITS - 1);
  return Number.isInteger(number) ? String(number) : String(Number(number.toPrecision(SHOWN_DIGITS)));
}
