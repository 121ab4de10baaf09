// Indexes in the forms of other tools, as the formats say them: which file each goes to, whole or not at all.

import { existsSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { stemOf } from "../convert/plan.ts";
import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type {
  DatasetIndexForm,
  DecodeOptions,
  Format,
  IndexForm,
  ReadOptions,
  ShardFiles,
  ShardIndexForm,
} from "../readers/format.ts";
import { isCompressedFile } from "../readers/open.ts";
import { FileSource } from "../readers/source-file.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import { PartialFile } from "../writers/output.ts";
import type { Turns } from "../core/turns.ts";

/** What an index is gathered in before it is written: most are small. */
const BUFFER_BYTES = 1 << 16;

/** Where indexes go. */
export interface ForeignIndexOptions extends DecodeOptions {
  readonly output?: string;
  readonly ifExists?: "error" | "overwrite";
  readonly limits?: ReadOptions["limits"];
}

/** What was made: of how many samples, and the files. */
export interface Made {
  readonly samples: number;
  readonly outputs: readonly string[];
}

/** Names the forms that formats have. */
export function formNames(of: readonly Format[]): string[] {
  return of.flatMap(({ indexForms = [] }) => indexForms.map(({ name }) => name));
}

/**
 * Writes the index of shards in a form of their format.
 *
 * @throws {KdataError} `usage` for a form that the format has not or an output that does not fit, `unsupported` for
 *   compressed shards, `exists` for an output that is there already, and what the form and the scan find.
 */
export async function writeForm(
  format: Format,
  shards: readonly ShardFiles[],
  name: string,
  options: ForeignIndexOptions,
  turns: Turns,
): Promise<Made> {
  const form = formOf(format, name);
  const paths = shards.flatMap((shard) => shard.paths);
  return form.per === "dataset" ? writeForAll(paths, form, options) : writeForEach(format, paths, form, options, turns);
}

/**
 * Writes a file that appears whole or not at all.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function writeWhole(path: string, bytes: Uint8Array): void {
  const file = new PartialFile(path, BUFFER_BYTES);
  try {
    file.append(bytes);
    file.commit();
  } finally {
    file.abort();
  }
}

function formOf(format: Format, name: string): IndexForm {
  const found = format.indexForms?.find((form) => form.name === name);
  if (found) return found;
  const own = formNames([format]);
  const what = own.length === 0 ? "this format has no such form" : `its forms are ${own.join(", ")}`;
  const nearest = nearestName(name, own);
  throw new KdataError("usage", `Cannot index ${format.title} as ${JSON.stringify(name)}: ${what}`, {
    ...(nearest === undefined ? {} : { hint: `Did you mean ${nearest}?` }),
  });
}

function writeForAll(paths: readonly string[], form: DatasetIndexForm, options: ForeignIndexOptions): Made {
  const { output } = options;
  if (output === undefined) throw new KdataError("usage", `Cannot index as ${form.name}: -o <file> is missing`);
  refuseExisting(output, options);
  const sources: FileSource[] = [];
  try {
    for (const path of paths) sources.push(openPlain(path, form));
    const entries = sources.map((source) => ({ url: urlFrom(output, source.name), source }));
    const { text, samples } = form.encode(entries, stemOf(output, ["json"]), readOptions(options));
    writeWhole(output, new TextEncoder().encode(text));
    return { samples, outputs: [output] };
  } finally {
    for (const source of sources) source.close();
  }
}

async function writeForEach(
  format: Format,
  paths: readonly string[],
  form: ShardIndexForm,
  options: ForeignIndexOptions,
  turns: Turns,
): Promise<Made> {
  const outputs = paths.map((path) =>
    join(folderOf(path, paths, options), `${stemOf(path, format.extensions)}.${form.extension}`),
  );
  if (paths.length === 1 && options.output !== undefined && !isFolder(options.output)) outputs[0] = options.output;
  for (const [shard, output] of outputs.entries()) {
    if (outputs.indexOf(output) !== shard) {
      throw new KdataError("usage", "Cannot index: two shards would have one index", { at: { source: output } });
    }
    refuseExisting(output, options);
  }
  let samples = 0;
  for (const [shard, path] of paths.entries()) {
    const source = openPlain(path, form);
    try {
      const made = form.encode(source, readOptions(options));
      writeWhole(outputs[shard] as string, new TextEncoder().encode(made.text));
      samples += made.samples;
    } finally {
      source.close();
    }
    await turns.yield();
  }
  return { samples, outputs };
}

/** The directory that is given, else that of the shard. */
function folderOf(path: string, paths: readonly string[], { output }: ForeignIndexOptions): string {
  if (output === undefined) return dirname(path);
  if (paths.length > 1 && existsSync(output) && !isFolder(output)) {
    throw new KdataError("usage", "Cannot index: the output of several shards is a directory", {
      at: { source: output },
    });
  }
  return output;
}

function isFolder(path: string): boolean {
  return path.endsWith("/") || path.endsWith(sep) || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function refuseExisting(output: string, { ifExists }: ForeignIndexOptions): void {
  if (ifExists === "overwrite" || !existsSync(output)) return;
  throw new KdataError("exists", "Cannot index: the output exists", {
    at: { source: output },
    hint: "--if-exists overwrite",
  });
}

/** Other tools look for positions in the file as it lies there. */
function openPlain(path: string, { name }: IndexForm): FileSource {
  const file = new FileSource(path);
  if (!isCompressedFile(file)) return file;
  file.close();
  throw new KdataError("unsupported", `Cannot index as ${name}: the file is compressed with gzip`, {
    at: { source: path },
    hint: "Decompress it first: such an index holds positions in the plain file.",
  });
}

/** Where a shard lies as seen from an index, with slashes. */
function urlFrom(output: string, path: string): string {
  return relative(dirname(output), path).split(sep).join("/");
}

function readOptions({ limits, ...options }: ForeignIndexOptions): ReadOptions {
  return { ...pickDecoding(options), ...(limits && { limits }) };
}
