// Samples as tf.train.Example messages (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/),
// in protobuf's wire format (https://protobuf.dev/programming-guides/encoding/). In two steps, so that a writer can make
// room in its own buffer: plan, which measures, and write, which cannot fail.

import { KdataError } from "../core/errors.ts";
import { defaultKey, isBytesList, type Feature, type Sample } from "../core/sample.ts";
import { bytesOf, type Tensor } from "../core/tensor.ts";
import { encodeNotes, KEY_NAME, listKindOf, noteFor, SCHEMA_NAME, type FeatureNote } from "./feature-notes.ts";
import { encodeJson, encodeUtf8 } from "./text.ts";

/** Protobuf libraries refuse messages of 2 GiB and more. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/** Tags: field number times 8 plus wire type 2, a length and that many bytes. */
const FIELD_1 = 0x0a;
const FIELD_2 = 0x12;
const LIST_TAGS = { bytes: 0x0a, float: 0x12, int64: 0x1a } as const;

/** A sample measured for writing. It views the sample's memory until it is written. */
export interface ExamplePlan {
  /** Bytes of the message. */
  readonly byteLength: number;
  readonly featuresBytes: number;
  readonly entries: readonly EntryPlan[];
}

/** One entry of the message's map, with the lengths that stand before its nested parts. */
interface EntryPlan {
  readonly name: Uint8Array;
  readonly values: ListValues;
  /** Bytes of the packed numbers; 0 for bytes. */
  readonly packedBytes: number;
  readonly listBytes: number;
  readonly featureBytes: number;
  readonly entryBytes: number;
}

type ListValues =
  | { readonly kind: "bytes"; readonly items: readonly Uint8Array[] }
  | { readonly kind: "float"; readonly data: Uint8Array }
  | { readonly kind: "int64"; readonly data: Tensor["data"] };

/**
 * Plans the message of a sample: entries sorted by name, and the notes and the key where they are needed.
 *
 * @throws {KdataError} `shape` when a feature has a reserved name, text is not valid Unicode, JSON holds a number that JSON
 *   text cannot hold, or the message would exceed 2 GiB; the message names sample and feature.
 */
export function planExample(sample: Sample): ExamplePlan {
  const lists: [name: string, values: ListValues][] = [];
  const notes: [name: string, note: FeatureNote][] = [];
  for (const [name, feature] of Object.entries(sample.features)) {
    if (name === SCHEMA_NAME || name === KEY_NAME)
      throw new KdataError("shape", `${label(sample, name)}: a reserved name`);
    const note = noteFor(feature);
    if (note !== undefined) notes.push([name, note]);
    lists.push([name, listValuesOf(feature, label(sample, name))]);
  }
  if (notes.length > 0) lists.push([SCHEMA_NAME, { kind: "bytes", items: [encodeNotes(notes.sort(byName))] }]);
  if (sample.key !== defaultKey(sample.origin)) {
    const key = encodeUtf8(sample.key, "Cannot write tfrecord: the key of a sample");
    lists.push([KEY_NAME, { kind: "bytes", items: [key] }]);
  }
  const entries = lists.sort(byName).map(([name, values]) => planEntry(encodeUtf8(name, label(sample, name)), values));
  const featuresBytes = entries.reduce((sum, entry) => sum + fieldSize(entry.entryBytes), 0);
  const byteLength = fieldSize(featuresBytes);
  if (byteLength > MAX_MESSAGE_BYTES) {
    const reason = `Cannot write tfrecord: sample "${sample.key}" takes ${byteLength} bytes; protobuf messages end at 2 GiB`;
    throw new KdataError("shape", reason);
  }
  return { byteLength, featuresBytes, entries };
}

/**
 * Writes a planned message into `target` at `start` and returns where it ends, `byteLength` bytes on.
 *
 * @throws {RangeError} when `target` is too short.
 */
export function writeExample(plan: ExamplePlan, target: Uint8Array, start: number): number {
  if (start + plan.byteLength > target.length) throw new RangeError("Cannot write example: the target is too short");
  let at = writeHead(target, start, FIELD_1, plan.featuresBytes);
  for (const entry of plan.entries) at = writeEntry(entry, target, at);
  return at;
}

function label(sample: Sample, name: string): string {
  return `Cannot write tfrecord: sample "${sample.key}", feature "${name}"`;
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function listValuesOf(feature: Feature, what: string): ListValues {
  if (typeof feature === "string") return { kind: "bytes", items: [encodeUtf8(feature, what)] };
  if (feature instanceof Uint8Array) return { kind: "bytes", items: [feature] };
  if (isBytesList(feature)) return { kind: "bytes", items: feature };
  if ("json" in feature) return { kind: "bytes", items: [encodeJson(feature.json, what)] };
  switch (listKindOf(feature.dtype, feature.shape)) {
    case "bytes":
      return { kind: "bytes", items: [bytesOf(feature.data)] };
    case "float":
      return { kind: "float", data: bytesOf(feature.data) };
    case "int64":
      return { kind: "int64", data: feature.data };
  }
}

function planEntry(name: Uint8Array, values: ListValues): EntryPlan {
  const packedBytes = packedSize(values);
  const listBytes =
    values.kind === "bytes"
      ? values.items.reduce((sum, item) => sum + fieldSize(item.length), 0)
      : packedFieldSize(packedBytes);
  const featureBytes = fieldSize(listBytes);
  const entryBytes = fieldSize(name.length) + fieldSize(featureBytes);
  return { name, values, packedBytes, listBytes, featureBytes, entryBytes };
}

function packedSize(values: ListValues): number {
  if (values.kind === "bytes") return 0;
  if (values.kind === "float") return values.data.length;
  let size = 0;
  for (const value of values.data) size += int64Size(value);
  return size;
}

/** An empty packed field is left out. */
function packedFieldSize(packedBytes: number): number {
  return packedBytes === 0 ? 0 : fieldSize(packedBytes);
}

/** Bytes of a field with a one-byte tag, a length and `length` bytes. */
function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Negative numbers are written as 64-bit two's complement: ten bytes. */
function int64Size(value: number | bigint): number {
  if (value < 0) return 10;
  if (typeof value === "number") return varintSize(value);
  let size = 1;
  for (let rest = value; rest >= 0x80n; rest >>= 7n) size++;
  return size;
}

function writeEntry(entry: EntryPlan, target: Uint8Array, start: number): number {
  const { values } = entry;
  let at = writeHead(target, start, FIELD_1, entry.entryBytes);
  at = writeBytes(target, at, entry.name);
  at = writeHead(target, at, FIELD_2, entry.featureBytes);
  at = writeHead(target, at, LIST_TAGS[values.kind], entry.listBytes);
  if (values.kind === "bytes") {
    for (const item of values.items) at = writeBytes(target, at, item);
    return at;
  }
  if (entry.packedBytes === 0) return at;
  if (values.kind === "float") return writeBytes(target, at, values.data);
  at = writeHead(target, at, FIELD_1, entry.packedBytes);
  for (const value of values.data) at = writeInt64(target, at, value);
  return at;
}

function writeBytes(target: Uint8Array, start: number, bytes: Uint8Array): number {
  const at = writeHead(target, start, FIELD_1, bytes.length);
  target.set(bytes, at);
  return at + bytes.length;
}

function writeHead(target: Uint8Array, start: number, tag: number, length: number): number {
  target[start] = tag;
  return writeVarint(target, start + 1, length);
}

function writeVarint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) target[at++] = (rest % 0x80) | 0x80;
  target[at++] = rest;
  return at;
}

function writeInt64(target: Uint8Array, start: number, value: number | bigint): number {
  if (typeof value === "number" && value >= 0) return writeVarint(target, start, value);
  let at = start;
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) target[at++] = Number(rest & 0x7fn) | 0x80;
  target[at++] = Number(rest);
  return at;
}
