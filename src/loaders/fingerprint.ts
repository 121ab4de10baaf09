// Which data set a state is of: told without reading it again, and compared so that the message says what changed.

import { createHash, type Hash } from "node:crypto";
import { recordCount, type Dataset } from "./dataset.ts";

/** Tells one data set from another without reading it again. */
export interface Fingerprint {
  readonly records: number;
  readonly shards: number;
  /** Hash of the shards' names in order, without their folders. */
  readonly names: string;
  /** Hash of how many records each shard holds, in order. */
  readonly sizes: string;
}

const HASH_DIGITS = 16; // 64 bits: this guards against mistakes, not against attacks

/** Takes the fingerprint of a data set. */
export function fingerprint(dataset: Dataset): Fingerprint {
  const { shards, starts } = dataset;
  const sizes = createHash("sha256");
  for (let shard = 0; shard < shards.length; shard++) {
    sizes.update(`${(starts[shard + 1] ?? 0) - (starts[shard] ?? 0)}\n`);
  }
  const names = hashNames(shards.map(({ name }) => name));
  return { records: recordCount(dataset), shards: shards.length, names, sizes: digestOf(sizes) };
}

/** Hashes the names of shards in order, without their folders: data may move. */
export function hashNames(names: readonly string[]): string {
  const hash = createHash("sha256");
  for (const name of names) {
    const start = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
    hash.update(`${JSON.stringify(name.slice(start))}\n`);
  }
  return digestOf(hash);
}

/** Says what changed from the data set of a state to the one that is here; nothing when none did. */
export function compareFingerprints(saved: Fingerprint, own: Fingerprint): string[] {
  const differences: string[] = [];
  if (saved.records !== own.records) differences.push(differ("records", saved.records, own.records));
  if (saved.shards !== own.shards) differences.push(differ("shards", saved.shards, own.shards));
  if (differences.length === 0 && saved.sizes !== own.sizes) {
    differences.push("the records are divided over the shards in another way");
  }
  if (saved.shards === own.shards && saved.names !== own.names) {
    differences.push("shards were renamed or put in another order");
  }
  return differences;
}

/** Says that something is one value in the state and another here. */
export function differ(name: string, saved: number | string, own: number | string): string {
  return `${name} ${saved} in the state, ${own} here`;
}

function digestOf(hash: Hash): string {
  return hash.digest("hex").slice(0, HASH_DIGITS);
}
