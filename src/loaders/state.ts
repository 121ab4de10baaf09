// How far a loader has come, as small JSON: enough to go on with other workers, another batch size or another number of ranks.

import { createHash } from "node:crypto";
import { KdataError } from "../core/errors.ts";
import { recordCount, type Dataset } from "./dataset.ts";

/** Tells one data set from another without reading it again. */
export interface Fingerprint {
  readonly records: number;
  readonly shards: number;
  /** Hash of the shards' names, without their folders, and of how many records each one holds. */
  readonly hash: string;
}

/** How far a loader has come. JSON of a few hundred bytes. */
export interface LoaderState {
  readonly version: 1;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly epoch: number;
  /** Positions of the epoch that all ranks together have delivered. */
  readonly samples: number;
  readonly dataset: Fingerprint;
}

const HASH_DIGITS = 16; // 64 bits: this guards against mistakes, not against attacks

/** Takes the fingerprint of a data set. */
export function fingerprint(dataset: Dataset): Fingerprint {
  const hash = createHash("sha256");
  dataset.shards.forEach(({ name }, shard) => {
    const records = (dataset.starts[shard + 1] ?? 0) - (dataset.starts[shard] ?? 0);
    hash.update(JSON.stringify([name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1), records]));
  });
  return {
    records: recordCount(dataset),
    shards: dataset.shards.length,
    hash: hash.digest("hex").slice(0, HASH_DIGITS),
  };
}

/**
 * Holds a state that was saved to the loader that is to go on from it. The state may come from a file: nothing of it is believed.
 *
 * @throws {KdataError} `state` when it is no state, or one of another data set, seed or order; the message says the difference.
 */
export function checkState(saved: unknown, own: Omit<LoaderState, "epoch" | "samples">): LoaderState {
  const state = parseState(saved);
  const differences = [
    differ("records", state.dataset.records, own.dataset.records),
    differ("shards", state.dataset.shards, own.dataset.shards),
    differ("hash of shard names and sizes", state.dataset.hash, own.dataset.hash),
    differ("seed", state.seed, own.seed),
    differ("shuffle", state.shuffle, own.shuffle),
  ].filter((difference) => difference !== undefined);
  if (differences.length > 0) {
    throw new KdataError("state", `Cannot resume loader: the state is of another run: ${differences.join("; ")}`);
  }
  if (state.samples > own.dataset.records) {
    throw new KdataError(
      "state",
      `Cannot resume loader: ${state.samples} samples delivered of an epoch of ${own.dataset.records}`,
    );
  }
  return state;
}

function differ(name: string, saved: string | number | boolean, own: string | number | boolean): string | undefined {
  return saved === own ? undefined : `${name} ${saved} in the state, ${own} here`;
}

function parseState(saved: unknown): LoaderState {
  const state = fieldsOf(saved, "the state");
  if (state["version"] !== 1) {
    throw new KdataError("state", `Cannot resume loader: version ${JSON.stringify(state["version"])}, only 1 is known`);
  }
  const dataset = fieldsOf(state["dataset"], "its dataset");
  const { shuffle } = state;
  const { hash } = dataset;
  if (typeof shuffle !== "boolean") throw wrongField("shuffle", shuffle);
  if (typeof hash !== "string") throw wrongField("dataset.hash", hash);
  return {
    version: 1,
    seed: wholeNumber(state, "seed"),
    shuffle,
    epoch: wholeNumber(state, "epoch"),
    samples: wholeNumber(state, "samples"),
    dataset: { records: wholeNumber(dataset, "records"), shards: wholeNumber(dataset, "shards"), hash },
  };
}

function fieldsOf(
  value: unknown,
  what: string,
): Partial<Record<string, unknown>> & { shuffle?: unknown; hash?: unknown } {
  if (typeof value === "object" && value !== null) return { ...value };
  throw new KdataError("state", `Cannot resume loader: ${what} is not an object`);
}

function wholeNumber(fields: Partial<Record<string, unknown>>, name: string): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongField(name, value);
}

function wrongField(name: string, value: unknown): KdataError {
  return new KdataError("state", `Cannot resume loader: ${name} is ${JSON.stringify(value)}`);
}
