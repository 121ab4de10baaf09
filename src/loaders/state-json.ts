// A state that was saved, parsed with nothing of it believed.

import { KdataError } from "../core/errors.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { checkShuffle, type Shuffle } from "./order.ts";

/** Fields of a parsed object, none of which is known to be there. */
export type Fields = Partial<Record<string, unknown>>;

/** Takes the fields of what should be an object. @throws {KdataError} `state` when it is none. */
export function fieldsOf(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null) return { ...value };
  throw refuse(`${what} is not an object`);
}

/** Checks that a state is of a version that is known. @throws {KdataError} `state` when it is not. */
export function checkVersion(state: Fields): void {
  if (state["version"] === 1) return;
  throw refuse(`version ${JSON.stringify(state["version"])}, only 1 is known`);
}

/** Takes a whole number from 0 on, at least `least`. @throws {KdataError} `state` when it is none. */
export function wholeNumber(fields: Fields, name: string, within = "", least = 0): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw wrongField(within + name, value);
}

/** Takes a string. @throws {KdataError} `state` when it is none. */
export function stringField(fields: Fields, name: string, within = ""): string {
  const value = fields[name];
  if (typeof value === "string") return value;
  throw wrongField(within + name, value);
}

/** Takes the shuffle of a state. @throws {KdataError} `state` when it is none. */
export function shuffleField(fields: Fields): Shuffle {
  const { shuffle } = fields as { shuffle?: unknown };
  try {
    checkShuffle("Cannot resume loader", shuffle);
  } catch (cause) {
    throw new KdataError("state", wrongField("shuffle", shuffle).message, { cause });
  }
  return shuffle as Shuffle;
}

/** Takes the fingerprint of a state. @throws {KdataError} `state` when it is none. */
export function fingerprintField(state: Fields): Fingerprint {
  const dataset = fieldsOf(state["dataset"], "its dataset");
  return {
    records: wholeNumber(dataset, "records", "dataset."),
    shards: wholeNumber(dataset, "shards", "dataset."),
    names: stringField(dataset, "names", "dataset."),
    sizes: stringField(dataset, "sizes", "dataset."),
  };
}

/** The error for a state that cannot be gone on from. */
export function refuse(reason: string): KdataError {
  return new KdataError("state", `Cannot resume loader: ${reason}`);
}

function wrongField(name: string, value: unknown): KdataError {
  return refuse(`${name} is ${JSON.stringify(value)}`);
}
