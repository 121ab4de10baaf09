// What becomes of an output that is there already: an error, passed over, written over, or gone on with.

import { rmSync } from "node:fs";
import { resolve } from "node:path";

import { KdataError } from "../core/errors.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { WritableFormat } from "../writers/format.ts";
import { fingerprints, Manifest, manifestPath, readManifest, type ManifestHead } from "./manifest.ts";
import type { ConvertOptions } from "./options.ts";
import { inputsOf, type PlannedOutput, type PreparedConversion } from "./plan.ts";

/** The outputs that are to be written, and the manifest to keep of it. */
export interface SettledOutputs {
  readonly outputs: readonly PlannedOutput[];
  readonly manifest: Manifest;
}

/**
 * Leaves out the outputs to be passed over, and finds the manifest to go on with.
 *
 * @throws {KdataError} `exists` before anything is written if an output is there that may not be; `state` when what is there
 *   cannot be gone on with.
 */
export function settleExisting(prepared: PreparedConversion, options: ConvertOptions): SettledOutputs {
  const { outputs, to, name } = prepared;
  const { output: directory, ifExists = "error" } = options;
  const path = manifestPath(directory, name, to.extension);
  const existing = outputs.flatMap((output) => output.existing);
  const head: ManifestHead = {
    arguments: decidingArguments(prepared, options),
    sources: fingerprints(inputsOf(outputs)),
    passedOver: [],
  };
  switch (ifExists) {
    case "error":
      refuseExisting(existing);
      return { outputs, manifest: new Manifest(directory, path, head) };
    case "skip": {
      const there = outputs.filter((output) => output.existing.length > 0);
      const manifest = new Manifest(directory, path, head);
      for (const { stem } of there) manifest.passOver(stem);
      return { outputs: outputs.filter((output) => output.existing.length === 0), manifest };
    }
    case "overwrite": {
      const manifest = new Manifest(directory, path, head);
      // From now on what is there is not what an earlier manifest says.
      if (existing.length > 0) manifest.save();
      return { outputs, manifest };
    }
    case "resume": {
      const manifest = readManifest(directory, path, head);
      if (!manifest) refuseExisting(existing, ", and there is no manifest to resume it by");
      return {
        outputs: outputs.filter(({ stem, existing: files }) => files.length === 0 || !manifest?.isPassedOver(stem)),
        manifest: manifest ?? new Manifest(directory, path, head),
      };
    }
  }
}

/**
 * Refuses files that are there.
 *
 * @throws {KdataError} `exists` when there is one.
 */
export function refuseExisting([existing]: readonly string[], why = ""): void {
  if (existing === undefined) return;
  throw new KdataError("exists", `Cannot convert: the output exists${why}`, {
    at: { source: existing },
    hint: "Choose another output, or to skip, overwrite or resume what exists.",
  });
}

/**
 * Removes shards of an earlier run that the new output does not have: they would be read as part of it.
 *
 * @throws {KdataError} `exists` where file names depend on the features: nothing says then whose the files are.
 */
export function removeStale(to: WritableFormat, outputs: readonly PlannedOutput[], current: readonly string[]): void {
  const kept = new Set(current.map((path) => resolve(path)));
  for (const { stem, existing } of outputs) {
    const [first, ...others] = existing.filter((path) => !kept.has(resolve(path)));
    if (first === undefined) continue;
    if (to.paths(stem) === undefined) {
      const more = others.length === 0 ? "" : `, and ${others.length} more`;
      throw new KdataError("exists", `Cannot convert: what is there is not of the new output${more}`, {
        at: { source: first },
        hint: "Remove it: it would be read as part of the new output.",
      });
    }
    for (const path of [first, ...others]) rmSync(path, { force: true });
  }
}

/** Collects the arguments that decide the bytes of the output. */
function decidingArguments(
  { format, to }: PreparedConversion,
  { shardSize, shards, select, drop, rename, key, onError, ...options }: ConvertOptions,
): ManifestHead["arguments"] {
  const { features, ...decoding } = pickDecoding(options);
  return {
    from: format.name,
    to: to.name,
    shardSize,
    shards,
    select,
    drop,
    rename,
    key,
    onError: onError ?? "fail",
    features: features === undefined ? undefined : JSON.stringify(features, exactly),
    ...decoding,
  };
}

/** Defaults of 64 bits are no JSON. */
function exactly(_name: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
