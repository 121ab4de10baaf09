// How features that tf.train.Example has no field for are kept in one. A Feature is a list of bytes, floats or int64s; what
// else a feature was is noted in the reserved feature `__schema__`: UTF-8 JSON, feature name to note, names sorted. Shared
// by the reader and the writer, so that they cannot disagree.

import { KdataError, type Position } from "../core/errors.ts";
import { featureKind, isBytesList, type Feature, type JsonValue } from "../core/sample.ts";
import {
  bytesPerElement,
  elementCount,
  isDType,
  tensor,
  viewElements,
  zeros,
  type DType,
  type Tensor,
} from "../core/tensor.ts";
import { decodeUtf8, encodeUtf8, parseJson } from "./text.ts";

/** The feature that holds the notes. */
export const SCHEMA_NAME = "__schema__";
/** The feature that holds the key of a sample whose key is not the default one. */
export const KEY_NAME = "__key__";

/**
 * What a feature is beyond what its list says: one string, one JSON text, a list although it has one value, or a tensor of
 * this dtype and shape.
 */
export type FeatureNote = "string" | "json" | "list" | readonly [dtype: DType, shape: readonly number[]];

/** The three lists of a Feature: `bytes_list`, `float_list` and `int64_list`. */
export type ListKind = "bytes" | "float" | "int64";

/** Says which note a feature needs; `undefined` where the list alone gives it back. */
export function noteFor(feature: Feature): FeatureNote | undefined {
  if (typeof feature === "string") return "string";
  if (feature instanceof Uint8Array) return undefined;
  if (isBytesList(feature)) return feature.length === 1 ? "list" : undefined;
  if ("json" in feature) return "json";
  const natural = feature.shape.length === 1 && (feature.dtype === "float32" || feature.dtype === "int64");
  return natural ? undefined : [feature.dtype, feature.shape];
}

/**
 * Says which list holds the elements of a tensor: numbers where TensorFlow has a list for them, otherwise all elements as
 * one value of little-endian bytes, row-major. 8-bit arrays are bytes too, as `tf.io.decode_raw` reads images.
 */
export function listKindOf(dtype: DType, shape: readonly number[]): ListKind {
  switch (dtype) {
    case "float32":
      return "float";
    case "int8":
    case "uint8":
      return shape.length === 0 ? "int64" : "bytes";
    case "bool":
    case "int16":
    case "uint16":
    case "int32":
    case "uint32":
    case "int64":
      return "int64";
    case "float16":
    case "bfloat16":
    case "float64":
    case "uint64":
      return "bytes";
  }
}

/** Encodes notes as the value of `__schema__`. They are written in the order given: sorted by name. */
export function encodeNotes(notes: readonly (readonly [name: string, note: FeatureNote])[]): Uint8Array {
  const members = notes.map(([name, note]) => `${JSON.stringify(name)}:${JSON.stringify(note)}`);
  return encodeUtf8(`{${members.join(",")}}`, "Cannot write tfrecord: a feature name");
}

/**
 * Parses the value of `__schema__`.
 *
 * @throws {KdataError} `format` when it is not a JSON object of notes.
 */
export function parseNotes(bytes: Uint8Array, at: Position): ReadonlyMap<string, FeatureNote> {
  const value = parseJson(bytes, `Cannot read tfrecord: ${SCHEMA_NAME}`, at);
  if (!isObject(value)) throw new KdataError("format", `Cannot read tfrecord: ${SCHEMA_NAME} is no object`, { at });
  const notes = new Map<string, FeatureNote>();
  for (const [name, item] of Object.entries(value)) notes.set(name, parseNote(name, item, at));
  return notes;
}

/**
 * Turns what the list of a feature gave (bytes, a list, or a float32 or int64 tensor of rank 1) into what its note says.
 *
 * The result views the given memory where dtype and alignment allow it.
 *
 * @throws {KdataError} `format` when the note does not fit: another list, another number of elements, a value out of range.
 */
export function applyNote(name: string, stored: Feature, note: FeatureNote, at: Position): Feature {
  if (typeof note !== "string") return tensorOf(name, stored, note, at);
  if (!(stored instanceof Uint8Array)) throw misfit(name, `"${note}"`, `it holds ${describe(stored)}`, at);
  const what = `Cannot read tfrecord: feature "${name}"`;
  switch (note) {
    case "list":
      return [stored];
    case "string":
      return decodeUtf8(stored, what, at);
    case "json":
      return { json: parseJson(stored, what, at) };
  }
}

function isObject(value: JsonValue): value is { readonly [name: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseNote(name: string, value: JsonValue, at: Position): FeatureNote {
  if (value === "string" || value === "json" || value === "list") return value;
  if (Array.isArray(value) && value.length === 2) {
    const [dtype, shape] = value as readonly JsonValue[];
    if (typeof dtype === "string" && isDType(dtype) && isShape(shape)) return [dtype, shape];
  }
  throw new KdataError("format", `Cannot read tfrecord: ${SCHEMA_NAME} has no valid note for "${name}"`, { at });
}

function isShape(value: JsonValue | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function tensorOf(
  name: string,
  stored: Feature,
  [dtype, shape]: readonly [DType, readonly number[]],
  at: Position,
): Tensor {
  const shown = `${dtype} [${shape.join(", ")}]`;
  const count = elementCount(shape);
  const kind = listKindOf(dtype, shape);
  if (kind === "bytes") {
    if (!(stored instanceof Uint8Array)) throw misfit(name, shown, `it holds ${describe(stored)}`, at);
    if (stored.length !== count * bytesPerElement(dtype))
      throw misfit(name, shown, `it has ${stored.length} bytes`, at);
    return tensor(dtype, shape, elementsOf(dtype, stored, count));
  }
  if (typeof stored === "string" || stored instanceof Uint8Array || !("dtype" in stored)) {
    throw misfit(name, shown, `it holds ${describe(stored)}`, at);
  }
  if (stored.dtype !== (kind === "float" ? "float32" : "int64")) {
    throw misfit(name, shown, `it holds ${describe(stored)}`, at);
  }
  if (stored.data.length !== count) throw misfit(name, shown, `it has ${stored.data.length} elements`, at);
  if (stored.dtype === dtype) return { ...stored, shape };
  return narrow(name, stored, dtype, shape, at);
}

/** Views little-endian bytes as elements, or copies them where they are not aligned. */
function elementsOf(dtype: DType, bytes: Uint8Array, count: number): Tensor["data"] {
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes);
  return viewElements(dtype, aligned.buffer, aligned.byteOffset, count);
}

/** Copies an int64 tensor into a dtype of at most 32 bits, where every element must fit. */
function narrow(name: string, stored: Tensor, dtype: DType, shape: readonly number[], at: Position): Tensor {
  const result = zeros(dtype, shape);
  for (let i = 0; i < result.data.length; i++) {
    const value = Number(stored.data[i]);
    result.data[i] = value;
    if (result.data[i] !== value || (dtype === "bool" && value > 1)) {
      throw misfit(name, dtype, `element ${i} is ${String(stored.data[i])}`, at);
    }
  }
  return result;
}

function describe(stored: Feature): string {
  if (typeof stored === "object" && "dtype" in stored) return `a list of ${stored.dtype}`;
  return isBytesList(stored) ? `${stored.length} values of bytes` : featureKind(stored);
}

function misfit(name: string, note: string, found: string, at: Position): KdataError {
  const reason = `Cannot read tfrecord: feature "${name}" is noted as ${note}, but ${found}`;
  return new KdataError("format", reason, { at });
}
