// From a spec to samples: which files, which format, and the reader over them.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { compressionOf, inflateHead, inflateSource, type Compression } from "./compression.ts";
import type { ChecksummedIndex, DecodeOptions, Format, ReadOptions, ShardFiles, ShardReader } from "./format.ts";
import { formatByName, formats } from "./formats.ts";
import { resolveLimits } from "./limits.ts";
import { expandSpec, isBareDirectory, type FoundFiles } from "./patterns.ts";
import { findSidecar } from "./sidecar.ts";
import { SealedSource } from "./source-sealed.ts";
import { OnDemandFileSource } from "./source-file-on-demand.ts";
import { FileSource } from "./source-file.ts";
import { inflateStream } from "./source-inflate.ts";
import type { SeekableSource, StreamSource } from "./source.ts";
import { decodeOptionNames, isTolerated, pickDecoding } from "./tolerance.ts";

/** What formats are detected by: the first bytes of a file, decompressed. */
const HEAD_BYTES = 4096;

/** A data set on disk: its format and its shards in order. */
export interface Dataset {
  readonly format: Format;
  readonly shards: readonly ShardFiles[];
}

/**
 * Finds the shards that a spec names, and their format by the content of the first file that is not empty.
 *
 * A spec is a path, a directory (of shards, or one that is a shard as a whole), a glob, a brace range `train-{000..063}.tar`, or several of them; a comma joins files into
 * one shard: `x.npy,y.npy`.
 *
 * @throws {KdataError} `input` when a file is missing, `format` when the content is of no known format, `usage` when
 *   `options.format` or the spec is none.
 */
export async function findDataset(
  spec: string | readonly string[],
  options: { readonly format?: string } = {},
): Promise<Dataset> {
  const given = options.format === undefined ? undefined : formatByName(options.format);
  const candidates = given ? [given] : formats;
  function isDataFile(file: string): boolean {
    return candidates.some((format) => hasExtension(format, file));
  }
  const whole = wholeDirectories(typeof spec === "string" ? [spec] : spec, candidates, isDataFile);
  if (whole) return whole;
  const found = await expandSpec(spec, isDataFile);
  const format = given ?? detectFiles(found.flatMap(({ paths }) => paths));
  return { format, shards: groupShards(format, found) };
}

/**
 * Opens a shard for reading. Files that are compressed with gzip or zlib are inflated into memory first.
 *
 * An index beside the file, as `kdata index` keeps it, is used where records are read or counted by number, unless
 * `options.index` is given. One that is not of the file as it is now is passed over (`options.onIgnoredIndex` gets the reason),
 * a damaged one is an error when it is needed.
 *
 * @throws {KdataError} `input` when a file cannot be read, `usage` when an option means nothing to the format, `limit` when a file inflates to more than `limits.inflatedBytes`, and
 *   what the format finds wrong with a header. No file stays open then.
 */
export function openShard(format: Format, shard: ShardFiles, options: ReadOptions = {}): ShardReader {
  refuseUnknownOptions(format, options);
  const limits = resolveLimits(options.limits);
  const sources: SeekableSource[] = [];
  let index = options.index;
  try {
    for (const path of shard.paths) {
      if (format.fromDirectory) {
        sources.push(new OnDemandFileSource(path));
        continue;
      }
      const file = new FileSource(path);
      sources.push(file);
      if (format.sealed) {
        const sealed = new SealedSource(file, () => indexBeside(format, file, options));
        sources[sources.length - 1] = sealed;
      } else if (shard.paths.length === 1) index ??= () => indexBeside(format, file, options);
      const compression = compressionOfFile(readHead(file));
      const opened = sources[sources.length - 1] ?? file;
      if (compression) sources[sources.length - 1] = inflateSource(opened, compression, limits);
    }
    return format.open(sources, index === undefined ? options : { ...options, index }, shard.name);
  } catch (error) {
    for (const source of sources) source.close();
    throw error;
  }
}

/**
 * Reads samples from a source that cannot seek, whose format is given or detected by its first bytes. A stream of gzip or zlib is
 * inflated as it arrives.
 *
 * The samples are views until the next one is taken.
 *
 * @throws {KdataError} `format` when the content is of no known format, `unsupported` when the format needs to seek,
 *   `usage` when `options.format` is none or an option means nothing to the format. The stream is let go then.
 */
export async function openStream(
  source: StreamSource,
  options: ReadOptions & { readonly format?: string } = {},
): Promise<{ format: Format; samples: AsyncIterable<Sample> }> {
  let chunks = source.chunks[Symbol.asyncIterator]();
  try {
    const given = options.format === undefined ? undefined : formatByName(options.format);
    let { head, pieces } = await peek(chunks);
    const compression = compressionOfFile(head);
    if (compression) {
      const whole: StreamSource = { ...source, chunks: resume(pieces, chunks) };
      chunks = inflateStream(whole, compression, resolveLimits(options.limits)).chunks[Symbol.asyncIterator]();
      ({ head, pieces } = await peek(chunks));
    }
    const format = given ?? detect(head, source.name);
    refuseUnknownOptions(format, options);
    if (!format.stream) {
      throw refuseStream(`${format.title} needs to seek, which a stream cannot`, source, "Save it to a file first.");
    }
    const whole: StreamSource = { ...source, chunks: resume(pieces, chunks) };
    return { format, samples: format.stream(whole, options) };
  } catch (error) {
    await chunks.return?.();
    throw error;
  }
}

/** An index that was made by passing over something is only for a reader that would pass over it too. */
function indexBeside(format: Format, file: FileSource, options: ReadOptions): ChecksummedIndex | undefined {
  const { onIgnoredIndex, onTolerated } = options;
  const found = findSidecar(format.name, file);
  if (found.index === undefined) {
    if (found.reason !== undefined) onIgnoredIndex?.(found.reason);
    return undefined;
  }
  const { tolerated = [] } = found.index;
  const refused = tolerated.find(({ policy }) => !isTolerated(policy, options));
  if (refused) {
    onIgnoredIndex?.(`it was made with ${refused.policy} relaxed: ${refused.reason}`);
    return undefined;
  }
  for (const one of tolerated) onTolerated?.({ ...one, source: file.name });
  return found.index;
}

/** Says whether a file is compressed with gzip or zlib, so that it is inflated before it is read. */
export function isCompressedFile(source: SeekableSource): boolean {
  return compressionOfFile(readHead(source)) !== undefined;
}

/** Directories without data files of their own that a format takes as one shard each; `undefined` when there are none. */
function wholeDirectories(
  patterns: readonly string[],
  candidates: readonly Format[],
  isDataFile: (file: string) => boolean,
): Dataset | undefined {
  const shards = new Map<Format, ShardFiles[]>();
  for (const pattern of patterns) {
    if (!isBareDirectory(pattern, isDataFile)) continue;
    for (const format of candidates) {
      const shard = format.fromDirectory?.(pattern);
      if (!shard) continue;
      shards.set(format, [...(shards.get(format) ?? []), shard]);
      break;
    }
  }
  const [first] = shards;
  if (!first) return undefined;
  const [format, found] = first;
  if (found.length === patterns.length) return { format, shards: found };
  const reason = `Cannot find input: some inputs are a ${format.title}, others are not`;
  throw new KdataError("usage", reason, { at: { source: patterns.join(" ") } });
}

function hasExtension(format: Format, path: string): boolean {
  const name = path.replace(/\.gz$/, "");
  return format.extensions.some((extension) => name.endsWith(`.${extension}`) || name.endsWith(`-${extension}`));
}

function detectFiles(paths: readonly string[]): Format {
  for (const path of paths) {
    const file = new FileSource(path);
    try {
      if (file.size > 0) return detect(plainHead(readHead(file), path), path);
    } finally {
      file.close();
    }
  }
  throw new KdataError("format", "Cannot detect format: the input is empty", {
    at: { source: paths[0] ?? "" },
    hint: `Name the format: ${formats.map(({ name }) => name).join(", ")}`,
  });
}

/** Finds the format of first bytes. Should they fit several formats, the extension decides. */
function detect(head: Uint8Array, source: string): Format {
  const fitting = formats.filter((format) => format.detect(head));
  const format = fitting.find((candidate) => hasExtension(candidate, source)) ?? fitting[0];
  if (format) return format;
  const known = formats.map(({ title }) => title).join(", ");
  throw new KdataError("format", `Cannot detect format: the content is of no known format: ${known}`, {
    at: { source },
    hint: "If it is one of them, its first bytes are damaged: name the format to see where.",
  });
}

function groupShards(format: Format, found: readonly FoundFiles[]): ShardFiles[] {
  const shards: ShardFiles[] = [];
  let loose: string[] = [];
  for (const { oneShard, paths } of found) {
    if (!oneShard) {
      loose.push(...paths);
      continue;
    }
    if (!format.group) {
      const reason = `Cannot find input: a shard of ${format.title} is one file, so commas cannot join several`;
      throw new KdataError("usage", reason, { at: { source: paths.join(",") } });
    }
    shards.push(...groupLoose(format, loose));
    loose = [];
    shards.push({ name: groupLoose(format, paths)[0]?.name ?? "", paths });
  }
  return [...shards, ...groupLoose(format, loose)];
}

function groupLoose(format: Format, paths: readonly string[]): ShardFiles[] {
  return format.group?.(paths) ?? paths.map((path) => ({ name: path, paths: [path] }));
}

function readHead(source: SeekableSource): Uint8Array {
  const head = new Uint8Array(Math.min(HEAD_BYTES, source.size));
  return head.subarray(0, source.read(head, 0));
}

/** The length of a first TFRecord can look like the magic of gzip; its checksum tells. */
function compressionOfFile(head: Uint8Array): Compression | undefined {
  return formats.some((format) => format.detect(head)) ? undefined : compressionOf(head);
}

function plainHead(head: Uint8Array, source: string): Uint8Array {
  const compression = compressionOfFile(head);
  return compression ? inflateHead(head, compression, source).subarray(0, HEAD_BYTES) : head;
}

/** An option that changes nothing would be taken for one that does. */
function refuseUnknownOptions(format: Format, options: DecodeOptions): void {
  pickDecoding(options);
  for (const name of decodeOptionNames) {
    if (options[name] === undefined || format.decoding?.includes(name)) continue;
    throw new KdataError("usage", `Cannot read ${format.title}: the option '${name}' means nothing to it`);
  }
}

/** Takes chunks until there is a head or the stream ends. */
async function peek(chunks: AsyncIterator<Uint8Array>): Promise<{ head: Uint8Array; pieces: Uint8Array[] }> {
  const pieces: Uint8Array[] = [];
  for (let bytes = 0; bytes < HEAD_BYTES;) {
    const next = await chunks.next();
    if (next.done === true) break;
    // The stream may reuse the memory of a chunk when the next one is taken.
    pieces.push(new Uint8Array(next.value));
    bytes += next.value.length;
  }
  return { head: new Uint8Array(Buffer.concat(pieces)).subarray(0, HEAD_BYTES), pieces };
}

async function* resume(pieces: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

function refuseStream(reason: string, { name }: StreamSource, hint: string): KdataError {
  return new KdataError("unsupported", `Cannot read stream: ${reason}`, { at: { source: name }, hint });
}
