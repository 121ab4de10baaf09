// What a conversion keeps beside its output: what it was asked to do, what it read, and which shards are finished. Hidden, so
// that patterns and directories of data pass over it.

import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { join, posix, relative, resolve, sep } from "node:path";
import { crc32 } from "node:zlib";

import { KdataError } from "../core/errors.ts";
import type { ShardFiles, Tolerated } from "../readers/format.ts";
import type { WrittenShard } from "../writers/format.ts";
import { PartialFile } from "../writers/output.ts";
import {
  parseManifest,
  type ManifestArguments,
  type ManifestData,
  type ManifestFile,
  type ManifestShard,
  type SourceFingerprint,
} from "./manifest-json.ts";
import type { SkippedSample } from "./skips.ts";

/** Changes when a manifest of an earlier kdata could not be resumed from. */
const SCHEMA = "kdata.convert-manifest/1";
const WRITE_BUFFER_BYTES = 1 << 16;
const READ_BUFFER_BYTES = 1 << 20;

/** What a conversion is, apart from how far it is. */
export type ManifestHead = Pick<ManifestData, "arguments" | "sources" | "passedOver">;

/** What a finished shard came to, as its writer tells it. */
export interface FinishedShard {
  /** The path without the extension. */
  readonly stem: string;
  readonly taken: number;
  readonly written: WrittenShard;
  readonly skips: readonly SkippedSample[];
  readonly tolerated: readonly Tolerated[];
}

/** The manifest of one conversion, stored anew with each shard that is finished. */
export class Manifest {
  readonly #directory: string;
  readonly #path: string;
  readonly #head: ManifestHead;
  readonly #shards = new Map<string, ManifestShard>();
  readonly #passedOver: Set<string>;

  /** Stores nothing yet. `shards` are those that are finished already. */
  constructor(directory: string, path: string, head: ManifestHead, shards: readonly ManifestShard[] = []) {
    this.#directory = directory;
    this.#path = path;
    this.#head = head;
    for (const shard of shards) this.#shards.set(shard.name, shard);
    this.#passedOver = new Set(head.passedOver);
  }

  /** Lists the finished files of these shards, as paths. */
  pathsOf(shards: readonly ManifestShard[]): string[] {
    return shards.flatMap(({ files }) => files.map(({ path }) => join(this.#directory, path)));
  }

  /**
   * Adds a finished shard, reading its files back for their checksums, and stores the manifest.
   *
   * @throws {KdataError} `output` when the system refuses.
   */
  add({ stem, taken, written, skips, tolerated }: FinishedShard): void {
    const name = relativeTo(this.#directory, stem);
    const files = written.files.map(({ path, bytes }) => {
      return { path: relativeTo(this.#directory, path), bytes, crc32: checksumOf(path) };
    });
    this.#shards.set(name, {
      name,
      records: written.records,
      taken,
      files,
      skips,
      ...(tolerated.length > 0 && { tolerated }),
    });
    this.save();
  }

  /**
   * Stores the manifest, whole or not at all.
   *
   * @throws {KdataError} `output` when the system refuses.
   */
  save(): void {
    const data: ManifestData = {
      schema: SCHEMA,
      ...this.#head,
      passedOver: [...this.#passedOver],
      shards: [...this.#shards.values()],
    };
    const file = new PartialFile(this.#path, WRITE_BUFFER_BYTES);
    try {
      file.append(new TextEncoder().encode(`${JSON.stringify(data)}\n`));
      file.commit();
    } finally {
      file.abort();
    }
  }

  /** Finds a shard that is finished and whose files still have their sizes and checksums. */
  finished(stem: string): ManifestShard | undefined {
    const shard = this.#shards.get(relativeTo(this.#directory, stem));
    return shard?.files.every((file) => isWhole(join(this.#directory, file.path), file)) ? shard : undefined;
  }

  /** Notes that a shard was there before the conversion began, to be left alone. */
  passOver(stem: string): void {
    this.#passedOver.add(relativeTo(this.#directory, stem));
  }

  /** Says whether a shard was there before the conversion began, to be left alone. */
  isPassedOver(stem: string): boolean {
    return this.#passedOver.has(relativeTo(this.#directory, stem));
  }
}

/** Names the manifest of the conversion with this base name and extension: `out/.train.tfrecord.manifest.json`. */
export function manifestPath(directory: string, base: string, extension: string): string {
  return join(directory, `.${base}.${extension}.manifest.json`);
}

/** Takes the fingerprints of files. */
export function fingerprints(shards: readonly ShardFiles[]): SourceFingerprint[] {
  return shards
    .flatMap(({ paths }) => paths)
    .map((path) => {
      const { size, mtimeMs } = statSync(path);
      return { path: resolve(path), size, mtimeMs };
    });
}

/**
 * Reads the manifest of an earlier run of this conversion; `undefined` when there is none.
 *
 * @throws {KdataError} `state` when the manifest is damaged or of another version, or when the arguments or the sources are
 *   not what they were; the message says which.
 */
export function readManifest(directory: string, path: string, head: ManifestHead): Manifest | undefined {
  if (!existsSync(path)) return undefined;
  const stored = parseManifest(readFileSync(path, "utf8"), path);
  const change =
    stored.schema === SCHEMA
      ? (changedArgument(stored.arguments, head.arguments) ?? changedSource(stored.sources, head.sources))
      : `its manifest is of version ${stored.schema}, not ${SCHEMA}`;
  if (change !== undefined) {
    throw new KdataError("state", `Cannot resume: ${change}`, {
      at: { source: path },
      hint: "Resume with what the conversion began with, or overwrite its output.",
    });
  }
  return new Manifest(directory, path, { ...head, passedOver: stored.passedOver }, stored.shards);
}

/** `the argument shards was 4 and is 2 now`. */
function changedArgument(before: ManifestArguments, now: ManifestArguments): string | undefined {
  const changes = [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]))
    .map((name) => `${name} was ${describe(before[name])} and is ${describe(now[name])} now`);
  return changes.length === 0 ? undefined : `the arguments changed: ${changes.join("; ")}`;
}

function describe(value: unknown): string {
  return value === undefined ? "not given" : JSON.stringify(value);
}

function changedSource(before: readonly SourceFingerprint[], now: readonly SourceFingerprint[]): string | undefined {
  const known = new Map(before.map((source) => [source.path, source]));
  for (const { path, size, mtimeMs } of now) {
    const source = known.get(path);
    if (!source) return `the source ${path} was not there`;
    if (source.size !== size) return `the source ${path} changed: it had ${source.size} bytes and has ${size} now`;
    if (source.mtimeMs !== mtimeMs) return `the source ${path} changed: it was written to at another time`;
  }
  const current = new Set(now.map(({ path }) => path));
  const missing = before.find(({ path }) => !current.has(path));
  if (missing) return `the source ${missing.path} is missing`;
  return before.every(({ path }, index) => path === now[index]?.path) ? undefined : "the sources come in another order";
}

function isWhole(path: string, { bytes, crc32 }: ManifestFile): boolean {
  const status = statSync(path, { throwIfNoEntry: false });
  return status?.isFile() === true && status.size === bytes && checksumOf(path) === crc32;
}

function checksumOf(path: string): string {
  const buffer = new Uint8Array(READ_BUFFER_BYTES);
  let sum = 0;
  try {
    const descriptor = openSync(path, "r");
    try {
      for (;;) {
        const count = readSync(descriptor, buffer);
        if (count === 0) break;
        sum = crc32(buffer.subarray(0, count), sum);
      }
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    throw new KdataError("output", "Cannot read back the output", { at: { source: path }, cause });
  }
  return sum.toString(16).padStart(8, "0");
}

function relativeTo(directory: string, path: string): string {
  return relative(directory, path).split(sep).join(posix.sep);
}
