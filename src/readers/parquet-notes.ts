// What kdata keeps in a Parquet file beside the columns: dtypes and shapes that no Parquet type says. They are JSON in the file's
// metadata under `kdata`: `{"image":["uint8",[28,28]]}`. Shared by the reader and the writer.

import { KdataError, type Position } from "../core/errors.ts";
import type { JsonValue } from "../core/sample.ts";
import { bytesPerElement, elementCount, isDType, viewElements, type DType, type Tensor } from "../core/tensor.ts";

/** The name of the notes in a file's metadata. */
export const NOTES_NAME = "kdata";
/** The column of keys. */
export const KEY_NAME = "__key__";
/** Begins the name of the column that holds the shapes of a feature where they differ: int64 lists, null where the note's holds. */
export const SHAPE_PREFIX = "__shape__.";

/** The dtype of a tensor and its shape in each sample; `null`: one axis of any length. */
export type ParquetNote = readonly [dtype: DType, shape: readonly number[] | null];

/** Encodes notes; they are written in the order given. */
export function encodeNotes(notes: readonly (readonly [name: string, note: ParquetNote])[]): string {
  return `{${notes.map(([name, note]) => `${JSON.stringify(name)}:${JSON.stringify(note)}`).join(",")}}`;
}

/**
 * Parses notes.
 *
 * @throws {KdataError} `format` when they are none.
 */
export function parseNotes(text: string, at: Position): ReadonlyMap<string, ParquetNote> {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new KdataError("format", `Cannot read parquet: the metadata "${NOTES_NAME}" is not JSON`, { at, cause });
  }
  const notes = new Map<string, ParquetNote>();
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw noNote("them", at);
  for (const [name, note] of Object.entries(value)) notes.set(name, parseNote(name, note, at));
  return notes;
}

/**
 * Makes the tensor that a note says out of what its column holds: bytes, or a tensor of rank 0 or 1.
 *
 * `shape` is that of the sample where it differs from the note's. Says what is wrong when they do not fit together.
 */
export function applyNote(
  [dtype, noted]: ParquetNote,
  stored: Uint8Array | Tensor,
  shape: readonly number[] | undefined,
): Tensor | string {
  if (stored instanceof Uint8Array) {
    const size = bytesPerElement(dtype);
    if (stored.length % size !== 0) return `its ${stored.length} bytes are no ${dtype}`;
    const aligned = stored.byteOffset % size === 0 ? stored : new Uint8Array(stored);
    if (dtype === "bool" && aligned.some((byte) => byte > 1)) return "a bool is neither 0 nor 1";
    return withShape(
      dtype,
      viewElements(dtype, aligned.buffer, aligned.byteOffset, stored.length / size),
      shape ?? noted,
    );
  }
  // What is no dtype of Parquet lies in one of the same size.
  if (stored.dtype !== storedDType(dtype)) return `it is noted as ${dtype}, but holds ${stored.dtype}`;
  return withShape(dtype, stored.data, shape ?? noted);
}

/** The dtype of the column that holds numbers of a dtype. */
export function storedDType(dtype: DType): DType {
  return dtype === "bfloat16" ? "uint16" : dtype;
}

function withShape(dtype: DType, data: Tensor["data"], shape: readonly number[] | null): Tensor | string {
  if (shape === null) return { dtype, shape: [data.length], data };
  if (elementCount(shape) !== data.length) return `${data.length} elements do not fill the shape [${shape.join(", ")}]`;
  return { dtype, shape, data };
}

function parseNote(name: string, note: JsonValue, at: Position): ParquetNote {
  if (Array.isArray(note) && note.length === 2) {
    const [dtype, shape] = note as readonly JsonValue[];
    if (typeof dtype === "string" && isDType(dtype) && (shape === null || isShape(shape))) return [dtype, shape];
  }
  throw noNote(`"${name}"`, at);
}

function isShape(value: JsonValue | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function noNote(what: string, at: Position): KdataError {
  return new KdataError("format", `Cannot read parquet: the metadata "${NOTES_NAME}" has no valid note for ${what}`, {
    at,
  });
}
