// How large shards are, as they lie on disk.

import { statSync } from "node:fs";
import type { ShardFiles } from "../readers/format.ts";

/** Adds up the bytes of a shard's files. */
export function bytesOfShard({ paths }: ShardFiles): number {
  let bytes = 0;
  for (const path of paths) bytes += statSync(path).size;
  return bytes;
}

/** Counts the files of shards. */
export function filesOf(shards: readonly ShardFiles[]): number {
  return shards.reduce((count, { paths }) => count + paths.length, 0);
}
