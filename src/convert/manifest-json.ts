// A manifest as text. Nothing in it is believed: it names files that are going to be read.

import { KdataError } from "../core/errors.ts";
import type { Tolerated } from "../readers/format.ts";
import type { SkippedSample } from "./skips.ts";

/** The arguments that decide the bytes of the output, by the names of the options. */
export type ManifestArguments = Readonly<Record<string, unknown>>;

/** A source as it was when the conversion began. */
export interface SourceFingerprint {
  /** Absolute. */
  readonly path: string;
  readonly size: number;
  readonly mtimeMs: number;
}

/** A finished file of the output. */
export interface ManifestFile {
  /** Relative to the output directory, with slashes. */
  readonly path: string;
  readonly bytes: number;
  /** Of the whole file, 8 hexadecimal digits. */
  readonly crc32: string;
}

/** A finished shard of the output. */
export interface ManifestShard {
  /** Its path without the extension, relative to the output directory. */
  readonly name: string;
  readonly records: number;
  /** Records of the input that went into it. */
  readonly taken: number;
  /** None where an input has no records. */
  readonly files: readonly ManifestFile[];
  /** Samples of the input that were left out. */
  readonly skips: readonly SkippedSample[];
  /** What was passed over; left out where there is nothing. */
  readonly tolerated?: readonly Tolerated[];
}

/** A manifest as it is stored. */
export interface ManifestData {
  readonly schema: string;
  readonly arguments: ManifestArguments;
  readonly sources: readonly SourceFingerprint[];
  readonly shards: readonly ManifestShard[];
  /** Names of shards that were there before and were to be left alone. */
  readonly passedOver: readonly string[];
}

/**
 * Parses the text of a manifest. One of another version is returned with its version and nothing else.
 *
 * @throws {KdataError} `state` when it is damaged, or when a path in it leaves the directory of the output.
 */
export function parseManifest(text: string, path: string): ManifestData {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged("it is not JSON", path, cause);
  }
  const { schema, arguments: given, sources, shards, passedOver } = recordOf(json) ?? {};
  if (typeof schema !== "string") throw damaged("it has no schema", path);
  const manifest = {
    schema,
    arguments: recordOf(given) ?? {},
    sources: Array.isArray(sources) ? sources : [],
    shards: Array.isArray(shards) ? shards : [],
    passedOver: Array.isArray(passedOver) ? passedOver : [],
  };
  const isSound =
    manifest.sources.every(isSource) &&
    manifest.shards.every(isShard) &&
    manifest.passedOver.every((name) => typeof name === "string");
  if (!isSound) throw damaged("a shard or a source is not what it should be", path);
  return manifest;
}

function damaged(what: string, path: string, cause?: unknown): KdataError {
  return new KdataError("state", `Cannot resume: the manifest is damaged: ${what}`, {
    at: { source: path },
    hint: "Overwrite the output.",
    cause,
  });
}

function recordOf(value: unknown): ManifestArguments | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as ManifestArguments)
    : undefined;
}

function isSource(value: unknown): value is SourceFingerprint {
  const { path, size, mtimeMs } = recordOf(value) ?? {};
  return typeof path === "string" && typeof size === "number" && typeof mtimeMs === "number";
}

function isShard(value: unknown): value is ManifestShard {
  const { name, records, taken, files, skips, tolerated = [] } = recordOf(value) ?? {};
  return (
    typeof name === "string" &&
    isCount(records) &&
    isCount(taken) &&
    Array.isArray(files) &&
    files.every(isFile) &&
    Array.isArray(skips) &&
    skips.every(isSkip) &&
    Array.isArray(tolerated) &&
    tolerated.every(isTolerated)
  );
}

function isFile(value: unknown): value is ManifestFile {
  const { path, bytes, crc32 } = recordOf(value) ?? {};
  return typeof path === "string" && isBelow(path) && isCount(bytes) && typeof crc32 === "string";
}

function isSkip(value: unknown): value is SkippedSample {
  const { source, record, code, reason } = recordOf(value) ?? {};
  return [source, code, reason].every((text) => typeof text === "string") && isCount(record);
}

function isTolerated(value: unknown): value is Tolerated {
  const { policy, source, record, byte, reason } = recordOf(value) ?? {};
  return [policy, source, reason].every((text) => typeof text === "string") && isCount(record) && isCount(byte);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isBelow(path: string): boolean {
  return !/^[/\\]|^[a-z]:/i.test(path) && !path.split(/[/\\]/).includes("..");
}
