// What kdata notes in the metadata of a safetensors file: which tensors of uint8 are bytes or text, which the format lacks.
//
// `__metadata__` has the entry `kdata`: JSON text of an object from a tensor's name to "bytes" (one row is the bytes) or
// "string" (one row is UTF-8, padded with NULs). Other readers see tensors of U8.

import { KdataError, type Position } from "../core/errors.ts";
import type { SafetensorsHeader } from "./safetensors-header.ts";
import { parseJson } from "./text.ts";

const ENTRY = "kdata";

/** What the rows of a tensor of uint8 are, if not tensors. */
export type RowNote = "bytes" | "string";

/**
 * Reads the notes of a header.
 *
 * @throws {KdataError} `format` when they are no notes or do not fit the tensors. `at` is where the header begins.
 */
export function rowNotesOf({ metadata, tensors }: SafetensorsHeader, at: Position): ReadonlyMap<string, RowNote> {
  const notes = new Map<string, RowNote>();
  const text = metadata.get(ENTRY);
  if (text === undefined) return notes;
  const what = `Cannot read safetensors: the metadata "${ENTRY}"`;
  const json = parseJson(Buffer.from(text), what, at);
  if (json === null || typeof json !== "object")
    throw new KdataError("format", `${what} is no object of notes`, { at });
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const [name, note] of Object.entries(json)) {
    const tensor = byName.get(name);
    if ((note !== "bytes" && note !== "string") || tensor?.dtype !== "U8" || tensor.shape.length !== 2) {
      throw new KdataError("format", `${what} does not fit tensor "${name}"`, { at });
    }
    notes.set(name, note);
  }
  return notes;
}

/** Makes the metadata for notes, in the order of their names; none without notes. */
export function metadataOf(notes: ReadonlyMap<string, RowNote>): ReadonlyMap<string, string> {
  if (notes.size === 0) return new Map();
  const sorted = [...notes].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map([[ENTRY, `{${sorted.map(([name, note]) => `${JSON.stringify(name)}:"${note}"`).join(",")}}`]]);
}
