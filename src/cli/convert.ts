// `kdata convert SPEC... --to FORMAT -o DIR`: data sets into another storage format.

import { basename } from "node:path";
import { convert } from "../convert/convert.ts";
import type { ConvertOptions, ConvertPlan, ConvertProgress, ConvertReport } from "../convert/options.ts";
import { planConversion } from "../convert/plan.ts";
import { convertToStream } from "../convert/to-stream.ts";
import { KdataError } from "../core/errors.ts";
import { findDataset, openShard } from "../readers/open.ts";
import { writableFormats } from "../writers/formats.ts";
import type { CommandDefinition, Invocation } from "./command.ts";
import { addDecodeFlags, decodeOptionsOf, type DecodeFlags } from "./decode-flags.ts";
import { fromOption, inputSpec, isStream, type InputSpec } from "./input.ts";
import { exitCodes } from "./exit-codes.ts";
import { finishable, interruptible } from "./interrupt.ts";
import {
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatQuantity,
  formatSampleRate,
  parseCount,
  parseSize,
} from "./numbers.ts";
import type { Notice, Progress } from "./progress.ts";

const EXISTING_CHOICES = ["error", "skip", "overwrite", "resume"] as const;
const EXISTING_HINT = "--if-exists skip | overwrite | resume";

interface ConvertFlags extends DecodeFlags {
  readonly to?: string;
  readonly output?: string;
  readonly from?: string;
  readonly shardSize?: string;
  readonly shards?: string;
  readonly ifExists: (typeof EXISTING_CHOICES)[number];
  readonly resume?: true;
  readonly select?: string;
  readonly drop?: string;
  readonly map: readonly string[];
  readonly jobs?: string;
  readonly key?: string;
  readonly onError?: "fail" | "skip";
  readonly report?: string;
  readonly name?: string;
  readonly dryRun?: true;
}

/** The verb for the command line. */
export const convertCommand: CommandDefinition<ConvertFlags> = {
  configure(command) {
    command
      .argument("<spec...>", "files, brace or glob patterns; - is standard input")
      .option("--to <format>", `format to write: ${writableFormats.map(({ name }) => name).join(", ")}`)
      .option("-o, --output <dir>", "directory to write to; made if there is none; - is standard output")
      .addOption(fromOption(command))
      .addOption(
        command.createOption("--shard-size <size>", "numbered shards of about this size: 256MiB").conflicts("shards"),
      )
      .option("--shards <count>", "so many numbered shards of equal numbers of samples")
      .addOption(
        command
          .createOption("--if-exists <choice>", "what to do about an output that is there")
          .choices(EXISTING_CHOICES)
          .default("error"),
      )
      .addOption(
        command
          .createOption("--resume", "go on with a conversion that was stopped: --if-exists resume")
          .implies({ ifExists: "resume" }),
      )
      .addOption(command.createOption("--select <names>", "keep only these features: a,b").conflicts("drop"))
      .option("--drop <names>", "leave these features out: a,b")
      .addOption(
        command
          .createOption("--map <old=new>", "rename a feature; may be given several times")
          .default([], "none")
          .argParser((pair: string, pairs: readonly string[]) => [...pairs, pair]),
      )
      .option("-j, --jobs <count>", "worker threads, a shard at a time in each")
      .option("--key <feature>", "take the key from the text of this feature")
      .addOption(
        command
          .createOption("--on-error <choice>", "what to do about a sample that is bad")
          .choices(["fail", "skip"])
          .default("fail"),
      )
      .option("--report <file>", "JSON Lines of the samples that were skipped, and of what was passed over")
      .option("--name <base>", "base name of numbered shards, or of what standard input becomes")
      .option("--dry-run", "print the plan and touch nothing")
      .addHelpText("after", EXAMPLES);
    addDecodeFlags(command);
  },
  async run(invocation) {
    const options = convertOptions(invocation.flags);
    // Neither a stream that is read nor one that is written has shards to finish, and what is stopped there cannot be resumed.
    if (options.output === "-" || invocation.args.includes("-") || invocation.flags.dryRun) {
      await interruptible(async (signal) => {
        const spec = inputSpec(invocation.args, signal);
        if (options.output === "-") await streamConversion(spec, { ...options, signal }, invocation);
        else if (invocation.flags.dryRun) await printPlan(spec, options, invocation);
        else await runConversion(spec, { ...options, signal }, invocation);
      });
      return undefined;
    }
    return finishable(
      async (signals) => {
        await runConversion(invocation.args, { ...options, ...signals }, invocation);
        // All of it was finished before there was anything to leave; whoever waits for it hears of the ^C all the same.
        return signals.finishSignal.aborted ? exitCodes.interrupted : undefined;
      },
      {
        onFinish: () => {
          invocation.progress.note(FINISHING);
        },
        hint: "What is finished is kept: --resume goes on from there.",
      },
    );
  },
};

const FINISHING: Notice = {
  terminal: "stopping when the shards under way are finished; ^C again stops now",
  plain: "stopping when the shards under way are finished",
  data: { stopping: true },
};

const ONE_THREAD: Notice = {
  terminal: "workers none: shards of a size follow from one another",
  plain: "no workers: shards of a size follow from one another",
  data: { workers: 0 },
};

const EXAMPLES = `
Examples:
  kdata convert 'imgs/train-{000..007}.tar' --to tfrecord -o out/ --shard-size 256MiB
  kdata convert x.npy y.npy --to webdataset -o out/ --map x=image --map y=label
  tar cf - digits/ | kdata convert - --to npy -o out/ --name digits
  kdata convert x.tar --to tfrecord -o - | head -c 100 | xxd`;

function convertOptions(flags: ConvertFlags): ConvertOptions {
  const { to, output, from, shardSize, shards, ifExists, select, drop, map, name, key, onError, report, jobs } = flags;
  // Not left to the parser, which would complain of a missing --to before it finds that --too was meant to be it.
  if (to === undefined) throw new KdataError("usage", "Cannot convert: --to <format> is missing");
  if (output === undefined) throw new KdataError("usage", "Cannot convert: -o <dir> is missing");
  if (flags.resume && ifExists !== "resume") {
    throw new KdataError("usage", `Cannot convert: --resume and --if-exists ${ifExists} do not go together`);
  }
  return {
    to,
    output,
    ifExists,
    ...decodeOptionsOf(flags),
    ...(from !== undefined && { from }),
    ...(shardSize !== undefined && { shardSize: parseSize(shardSize, "--shard-size") }),
    ...(shards !== undefined && { shards: parseCount(shards, "--shards") }),
    ...(select !== undefined && { select: parseNames(select) }),
    ...(drop !== undefined && { drop: parseNames(drop) }),
    ...(map.length > 0 && { rename: parseRenames(map) }),
    ...(name !== undefined && { name }),
    ...(key !== undefined && { key }),
    ...(jobs !== undefined && { workers: parseCount(jobs, "-j", 0) }),
    ...(onError !== undefined && { onError }),
    ...(report !== undefined && { report }),
  };
}

function parseNames(list: string): string[] {
  return list.split(",").map((name) => name.trim());
}

function parseRenames(pairs: readonly string[]): Record<string, string> {
  const renames = Object.create(null) as Record<string, string>;
  for (const pair of pairs) {
    const [, old, renamed] = /^([^=]+)=([^=]+)$/.exec(pair) ?? [];
    if (old === undefined || renamed === undefined) {
      throw new KdataError("usage", `Cannot read --map: ${JSON.stringify(pair)} is not old=new`);
    }
    renames[old] = renamed;
  }
  return renames;
}

async function printPlan(
  spec: InputSpec,
  options: ConvertOptions,
  { output }: Invocation<ConvertFlags>,
): Promise<void> {
  if (isStream(spec)) throw new KdataError("usage", "Cannot plan: standard input can be read only once");
  const plan = await planConversion(spec, options);
  await output.report({ schema: "kdata.convert-plan/1", ...plan }, [
    planLine(plan, options),
    ...plan.outputs.map((path) => `        ${path}`),
  ]);
}

async function runConversion(
  spec: InputSpec,
  options: ConvertOptions,
  { output, progress }: Invocation<ConvertFlags>,
): Promise<void> {
  if (isStream(spec)) progress.begin(streamNotice(options));
  const report = await explainExisting(options, () =>
    convert(spec, {
      ...options,
      onPlan(plan) {
        progress.begin(planNotice(plan, options));
        if (options.ifExists === "resume") progress.note(resumeNotice(plan));
        if (options.shardSize !== undefined && (options.workers ?? 0) > 1) progress.note(ONE_THREAD);
      },
      onProgress: showProgress(progress),
    }),
  );
  progress.end(doneNotice(report, destination(report, options)));
  await output.report({ schema: "kdata.convert/1", ...report }, []);
}

async function streamConversion(
  spec: InputSpec,
  options: ConvertOptions,
  { output, progress, flags }: Invocation<ConvertFlags>,
): Promise<void> {
  if (flags.dryRun || flags.ifExists !== "error") {
    const flag = flags.dryRun ? "--dry-run" : `--if-exists ${flags.ifExists}`;
    throw new KdataError("usage", `Cannot convert: ${flag} and -o - do not go together`);
  }
  const write = output.binary();
  const input = isStream(spec) ? "standard input" : spec.toString();
  progress.begin({
    terminal: `plan    ${input} -> ${options.to} on standard output`,
    plain: `${input} -> standard output`,
    data: { to: options.to },
  });
  const report = await convertToStream(spec, write, { ...options, onProgress: showProgress(progress) });
  progress.end(doneNotice(report, "standard output"));
}

function showProgress(progress: Progress): (state: ConvertProgress) => void {
  return ({ shard, records, totalRecords, running }) => {
    if (running.length === 0) {
      progress.update({ label: basename(shard), position: records, total: totalRecords });
      return;
    }
    progress.update(
      { label: "total", position: records, total: totalRecords, note: formatQuantity(running.length, "worker") },
      running.map((part) => ({
        label: basename(part.shard),
        position: part.records,
        total: part.totalRecords,
        tail: "",
      })),
    );
  };
}

/** Says of an output that is there already how much it holds, and which flags there are. */
async function explainExisting<T>({ ifExists }: ConvertOptions, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof KdataError) || error.code !== "exists" || !error.at || ifExists !== "error") throw error;
    const { source } = error.at;
    throw new KdataError("exists", `${source} exists (${await contentOf(source)})`, { hint: EXISTING_HINT });
  }
}

/** `7,500 records, complete`: one scan of the framing says so. */
async function contentOf(path: string): Promise<string> {
  try {
    const { format, shards } = await findDataset(path);
    let records = 0;
    for (const shard of shards) {
      const reader = openShard(format, shard);
      try {
        records += reader.count();
      } finally {
        reader.close();
      }
    }
    return `${formatQuantity(records, "record")}, complete`;
  } catch (error) {
    if (!(error instanceof KdataError)) throw error;
    return `not readable: ${error.reason}`;
  }
}

function planNotice(plan: ConvertPlan, options: ConvertOptions): Notice {
  const facts = [formatQuantity(plan.shards, "input")];
  if (plan.records !== undefined) facts.push(formatQuantity(plan.records, "sample"));
  facts.push(formatBytes(plan.bytes));
  return { terminal: planLine(plan, options), plain: facts.join(", "), data: plan };
}

/** `resume  2 of 8 shards already complete (checked size + checksum), 6 to do`. */
function resumeNotice({ resumed, outputs }: ConvertPlan): Notice {
  // Numbered shards of a size are estimated; those that are finished are counted.
  const total = Math.max(resumed, outputs.length);
  const state =
    `${formatCount(resumed)} of ${formatQuantity(total, "shard")} already complete (checked size + checksum), ` +
    `${formatCount(total - resumed)} to do`;
  return { terminal: `resume  ${state}`, plain: `resume ${state}`, data: { resumed, shards: total } };
}

function streamNotice({ to }: ConvertOptions): Notice {
  return { terminal: `plan    standard input -> ${to}`, plain: "standard input", data: { to } };
}

/** `plan    8 webdataset shards, 60,000 samples, 1.9 GiB -> ~8 tfrecord shards`. */
function planLine({ format, shards, records, bytes, to, outputs }: ConvertPlan, { shardSize }: ConvertOptions): string {
  const input = [formatQuantity(shards, `${format} shard`)];
  if (records !== undefined) input.push(formatQuantity(records, "sample"));
  input.push(formatBytes(bytes));
  const estimated = shardSize === undefined ? "" : "~";
  return `plan    ${input.join(", ")} -> ${estimated}${formatQuantity(outputs.length, `${to} shard`)}`;
}

function doneNotice(report: ConvertReport, where: string): Notice {
  const { records, bytes, seconds, shards, skipped, tolerated, passedOver } = report;
  const rate = formatSampleRate(records / seconds);
  const facts = [formatQuantity(records, "sample"), formatQuantity(shards.length, "shard"), formatBytes(bytes)];
  const terminal =
    `wrote ${facts.join(", ")} in ${formatDuration(seconds)} (${rate}, ${formatByteRate(bytes / seconds)})` +
    (skipped > 0 ? `, skipped ${formatQuantity(skipped, "bad sample")}` : "") +
    (tolerated > 0 ? `, tolerated ${formatQuantity(tolerated, "fault")}` : "") +
    (passedOver > 0 ? `, passed over ${formatQuantity(passedOver, "shard")} that exist` : "");
  const total = records + skipped;
  const percent = total === 0 ? 100 : Math.floor((100 * records) / total);
  const count = `${formatCount(records)}/${formatCount(total)} (${percent}%)`;
  const plain = `done ${count} ${rate} ${formatCount(skipped)} skipped${tolerated > 0 ? `, ${formatCount(tolerated)} tolerated` : ""} -> ${where}`;
  return { terminal, plain, data: report };
}

/** The file, where there is one; else the directory. */
function destination({ shards }: ConvertReport, { output }: ConvertOptions): string {
  const files = shards.flatMap((shard) => shard.files);
  return files.length === 1 && files[0] ? files[0].path : `${output} (${formatQuantity(shards.length, "shard")})`;
}
