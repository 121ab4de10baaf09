// Which NPY files are one shard, and what feature each of them holds: both are in their names.

import type { ShardFiles } from "./format.ts";
import { splitPath } from "./shard-names.ts";

/** What the name of an array's file says. */
export interface ArrayPlace {
  /** Files of one shard have the same: the path without feature and number, and the number. */
  readonly shard: string;
  readonly feature: string;
  /** The name of the shard when it has this file alone. */
  readonly aloneName: string;
  /** The name of the shard when it has several files. */
  readonly name: string;
}

/**
 * Reads shard and feature from the path of an array.
 *
 * `<shard>.<feature>.npy`, with the feature percent-encoded, or `<feature>-<number>.npy`, also with `_` and with
 * `-of-<total>`, or `<feature>.npy`, which leaves one shard in each directory.
 */
export function placeArray(path: string): ArrayPlace {
  const { prefix, directory, file } = splitPath(path);
  const stem = file.replace(/\.gz$/, "").replace(/\.npy$/, "");
  const [, shard, feature] = /^(.+)\.([^.]+)$/.exec(stem) ?? [];
  if (shard !== undefined && feature !== undefined) {
    const name = prefix + shard;
    return { shard: `${name}.`, feature: decodeFeature(feature), aloneName: name, name };
  }
  const [, numbered, number] = /^(.+?)[-_](\d+)(?:-of-\d+)?$/.exec(stem) ?? [];
  if (numbered !== undefined && number !== undefined) {
    return { shard: `${prefix}-${number}`, feature: numbered, aloneName: path, name: prefix + number };
  }
  return { shard: `${prefix}.`, feature: stem, aloneName: path, name: directory };
}

/** Groups the files of arrays into shards, in the order in which the shards are first met. */
export function groupArrays(paths: readonly string[]): ShardFiles[] {
  const shards = new Map<string, { readonly place: ArrayPlace; readonly paths: string[] }>();
  for (const path of paths) {
    const place = placeArray(path);
    const shard = shards.get(place.shard);
    if (shard) shard.paths.push(path);
    else shards.set(place.shard, { place, paths: [path] });
  }
  return [...shards.values()].map(({ place, paths: files }) => {
    return { name: files.length === 1 ? place.aloneName : place.name, paths: files };
  });
}

function decodeFeature(encoded: string): string {
  // A percent sign that stands for itself, in a file that kdata did not write.
  if (!/^(?:[^%]|%[0-9A-Fa-f]{2})*$/.test(encoded)) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (error instanceof URIError) return encoded;
    throw error;
  }
}
