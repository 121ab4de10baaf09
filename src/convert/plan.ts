// What a conversion reads and where it writes, settled before the first byte is written.

import { realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { KdataError } from "../core/errors.ts";
import type { DecodeOptions, Format, ShardFiles } from "../readers/format.ts";
import { findDataset, openShard } from "../readers/open.ts";
import { isTolerated, toleranceNames } from "../readers/tolerance.ts";
import type { WritableFormat } from "../writers/format.ts";
import { writableFormatByName } from "../writers/formats.ts";
import { listOutputs } from "../writers/output.ts";
import { numberedStem } from "../writers/sharded.ts";
import type { ConvertOptions, ConvertPlan } from "./options.ts";
import { readOptionsOf } from "./read-options.ts";

/** One output: a shard of its own for one input shard, or the numbered shards of all of them. */
export interface PlannedOutput {
  /** The path without number and extension. */
  readonly stem: string;
  readonly inputs: readonly ShardFiles[];
  /** Files that hold this output already, from an earlier run. */
  readonly existing: readonly string[];
}

/** A conversion of files, ready to run. */
export interface PreparedConversion {
  readonly format: Format;
  readonly to: WritableFormat;
  readonly outputs: readonly PlannedOutput[];
  /** The base name of the output as a whole. */
  readonly name: string;
}

/**
 * Plans a conversion without touching anything.
 *
 * @throws {KdataError} `usage` for options that are not known or do not go together, `input` when an input is missing, and
 *   what counting the records finds wrong.
 */
export async function planConversion(spec: string | readonly string[], options: ConvertOptions): Promise<ConvertPlan> {
  const prepared = await prepareConversion(spec, options);
  const counts = countRecords(prepared.format, inputsOf(prepared.outputs), options);
  return describePlan(prepared, options, counts, { resumed: 0, workers: workersOf(options, Infinity) });
}

/** Says what a conversion is going to do. `counts` are the records of each input. */
export function describePlan(
  { format, to, outputs }: PreparedConversion,
  options: ConvertOptions,
  counts: readonly number[],
  work: Pick<ConvertPlan, "resumed" | "workers">,
): ConvertPlan {
  const inputs = inputsOf(outputs);
  const records = counts.reduce((sum, count) => sum + count, 0);
  const bytes = sizeOf(inputs);
  const paths = outputStems(outputs, options, records, bytes).flatMap(
    (stem) => to.paths(stem) ?? [`${stem}.*.${to.extension}`],
  );
  return { format: format.name, shards: inputs.length, records, bytes, to: to.name, outputs: paths, ...work };
}

/** Says how many worker threads so many jobs are worth; 0: none. */
export function workersOf({ workers = 0, shardSize }: ConvertOptions, jobs: number): number {
  const useful = shardSize === undefined ? Math.min(workers, jobs) : 0;
  return useful > 1 ? useful : 0;
}

/** Lists the inputs of outputs, in order. */
export function inputsOf(outputs: readonly PlannedOutput[]): ShardFiles[] {
  return outputs.flatMap(({ inputs }) => inputs);
}

/**
 * Finds the input and the names of the output.
 *
 * @throws {KdataError} `usage` for options that are not known or do not go together, for two inputs with one output, and
 *   for an output that would replace an input; `input` when an input is missing.
 */
export async function prepareConversion(
  spec: string | readonly string[],
  options: ConvertOptions,
): Promise<PreparedConversion> {
  const to = writableFormatByName(options.to);
  checkOptions(options);
  const { format, shards } = await findDataset(spec, options.from === undefined ? {} : { format: options.from });
  const stems = shards.map((shard) => stemOf(shard.name, format.extensions));
  const numbered = options.name ?? commonStem(stems);
  const name = !isNumbered(options) && stems.length === 1 ? (stems[0] ?? "") : numbered;
  const outputs = isNumbered(options)
    ? [planNumbered(to, join(options.output, numbered), shards)]
    : shards.map((shard, index) => planSingle(to, join(options.output, stems[index] ?? ""), shard));
  checkDistinct(outputs);
  if (options.ifExists === "overwrite" || options.ifExists === "resume") checkInputsSafe(outputs);
  return { format, to, outputs, name };
}

/**
 * Counts the records of each shard, by its header or by one scan of its framing.
 *
 * @throws {KdataError} where the framing breaks.
 */
export function countRecords(
  format: Format,
  shards: readonly ShardFiles[],
  options: Pick<ConvertOptions, "limits"> & DecodeOptions,
): number[] {
  const reading = readOptionsOf(options);
  return shards.map((shard) => {
    const reader = openShard(format, shard, reading);
    try {
      return reader.count();
    } finally {
      reader.close();
    }
  });
}

/** Says whether the options ask for numbered shards instead of one output shard for each input shard. */
export function isNumbered(options: ConvertOptions): boolean {
  return options.shards !== undefined || options.shardSize !== undefined;
}

/** Plans the output of one input into a shard of its own. */
export function planSingle(to: WritableFormat, stem: string, ...inputs: readonly ShardFiles[]): PlannedOutput {
  return { stem, inputs, existing: to.existing(stem) };
}

/** Plans the output of several inputs into numbered shards. */
export function planNumbered(to: WritableFormat, stem: string, inputs: readonly ShardFiles[]): PlannedOutput {
  return { stem, inputs, existing: numberedFiles(to, stem) };
}

/**
 * Holds the options to what can be done, whatever the input.
 *
 * @throws {KdataError} `usage` when they are out of range or do not go together.
 */
export function checkOptions(options: ConvertOptions): void {
  const { shards, shardSize, ifExists, name } = options;
  if (shards !== undefined && shardSize !== undefined) {
    throw new KdataError("usage", "Cannot convert: shards and shardSize do not go together");
  }
  for (const [option, value] of Object.entries({ shards, shardSize })) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new KdataError("usage", `Cannot convert: ${option} must be a whole number from 1 on, not ${value}`);
    }
  }
  if (ifExists === "skip" && isNumbered(options)) {
    throw new KdataError("usage", "Cannot convert: numbered shards cannot be skipped one by one", {
      hint: "Use overwrite, or leave out shards and shardSize.",
    });
  }
  const { workers = 0 } = options;
  if (!Number.isSafeInteger(workers) || workers < 0) {
    throw new KdataError("usage", `Cannot convert: workers must be a whole number from 0 on, not ${workers}`);
  }
  const relaxed = toleranceNames.some((name) => isTolerated(name, options));
  if (options.report !== undefined && options.onError !== "skip" && !relaxed) {
    throw new KdataError(
      "usage",
      "Cannot convert: without onError skip, or an error that is relaxed, there is nothing to report",
    );
  }
  if (name !== undefined && (name === "" || name !== basename(name) || name.startsWith("."))) {
    throw new KdataError("usage", `Cannot convert: ${JSON.stringify(name)} is not a file name`);
  }
}

/**
 * Holds the options to what can be done with a stream, which is read once and has no size.
 *
 * @throws {KdataError} `usage` when they need more.
 */
export function checkStreamOptions({ shards, ifExists }: ConvertOptions): void {
  if (shards !== undefined) {
    throw new KdataError(
      "usage",
      "Cannot convert: the records of a stream cannot be counted to split them into equal shards",
      { hint: "Use shardSize instead of shards." },
    );
  }
  if (ifExists === "resume") {
    throw new KdataError("usage", "Cannot resume: a stream cannot be read again from where it stopped", {
      hint: "Save it to a file first.",
    });
  }
}

/**
 * Takes directory and extension off the name of a shard: `imgs/train-000.tar` gives `train-000`.
 */
export function stemOf(name: string, extensions: readonly string[]): string {
  const file = basename(name).replace(/\.gz$/, "");
  const extension = extensions.find(
    (candidate) => file.endsWith(`.${candidate}`) && file.length > candidate.length + 1,
  );
  return extension === undefined ? file : file.slice(0, -extension.length - 1);
}

/** Finds what stems have in common, without the shard number: `train-000`, `train-001` give `train`. */
function commonStem(stems: readonly string[]): string {
  const [first = "", ...others] = stems;
  if (others.length === 0) return first.replace(/[-_.]\d+(-of-\d+)?$/, "") || first;
  let length = first.length;
  for (const other of others) {
    while (!other.startsWith(first.slice(0, length))) length--;
  }
  return first.slice(0, length).replace(/[-_.]?\d*$/, "") || "data";
}

/** Lists the files of earlier runs under numbered names, those of numbers that will not be written again included. */
function numberedFiles(to: WritableFormat, stem: string): string[] {
  const directory = dirname(stem);
  const prefix = `${basename(stem)}-`;
  const stems = new Set<string>();
  for (const file of listOutputs(directory)) {
    const number = file.startsWith(prefix) ? /^\d{5,}(?=\.)/.exec(file.slice(prefix.length)) : null;
    if (number) stems.add(join(directory, prefix + number[0]));
  }
  return [...stems].sort().flatMap((found) => to.existing(found));
}

function checkDistinct(outputs: readonly PlannedOutput[]): void {
  const names = new Map<string, string>();
  for (const { inputs, stem } of outputs) {
    const name = inputs[0]?.name ?? "";
    const other = names.get(stem);
    if (other !== undefined) {
      throw new KdataError("usage", `Cannot convert: ${other} and ${name} would both become ${stem}`, {
        hint: "Convert them into different directories, or use shardSize or shards with a name.",
      });
    }
    names.set(stem, name);
  }
}

/** What is still to be read may not be replaced. */
function checkInputsSafe(outputs: readonly PlannedOutput[]): void {
  const paths = outputs.flatMap(({ inputs }) => inputs.flatMap((shard) => shard.paths));
  const inputs = new Set(paths.map((path) => realpathSync(path)));
  for (const path of outputs.flatMap(({ existing }) => existing)) {
    if (!inputs.has(realpathSync(path))) continue;
    throw new KdataError("usage", "Cannot convert: the output would replace an input", {
      at: { source: path },
      hint: "Write to another directory.",
    });
  }
}

function sizeOf(shards: readonly ShardFiles[]): number {
  let bytes = 0;
  for (const path of shards.flatMap((shard) => shard.paths)) bytes += statSync(path).size;
  return bytes;
}

function outputStems(
  outputs: readonly PlannedOutput[],
  options: ConvertOptions,
  records: number,
  bytes: number,
): readonly string[] {
  const stems = outputs.map(({ stem }) => stem);
  if (!isNumbered(options)) return stems;
  const count = options.shards ?? Math.ceil(bytes / (options.shardSize ?? bytes));
  const numbers = Array.from({ length: Math.min(count, records) }, (_, shard) => shard);
  return stems.flatMap((stem) => numbers.map((shard) => numberedStem(stem, shard)));
}
