// How the members of a WebDataset archive (https://github.com/webdataset/webdataset) are named and what they hold: the split
// of a path into key and extension, the table of extensions, and the notes that kdata adds where an extension alone does not
// give back a feature's name and dtype. Shared by the reader and the writer.

import { KdataError, type Position } from "../core/errors.ts";
import type { JsonValue } from "../core/sample.ts";
import { isDType, type DType } from "../core/tensor.ts";
import { parseJson } from "./text.ts";

/** What tells kdata's note from the other comments that global pax headers carry (git archive writes a commit there). */
const NOTE_PREFIX = "kdata ";
/** The pax keyword that holds the notes: tar programs pass over comments in silence. */
export const NOTE_KEYWORD = "comment";

/**
 * What a member holds, by its extension: decimal text of an integer, UTF-8 text, JSON, an NPY file, an NPZ archive, one of these
 * deflated by gzip, or bytes as they are.
 */
export type MemberKind = "int64" | "string" | "json" | "npy" | "npz" | "gzip" | "bytes";

/** The dtypes that a note may give to an integer in decimal text. */
const integerDTypes = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"] as const;
/** A dtype of whole numbers. */
export type IntegerDType = (typeof integerDTypes)[number];

/** What an extension does not say: the name of the feature, and the dtype of an integer that is no int64. */
export interface MemberNote {
  readonly name: string;
  readonly dtype?: IntegerDType;
}

/** Notes by extension. */
export type MemberNotes = ReadonlyMap<string, MemberNote>;

const kinds: ReadonlyMap<string, MemberKind> = new Map([
  ...["cls", "cls2", "index", "inx", "id"].map((ext) => [ext, "int64"] as const),
  ...["txt", "text", "transcript"].map((ext) => [ext, "string"] as const),
  ...["json", "jsn"].map((ext) => [ext, "json"] as const),
  ["npy", "npy"],
  ["npz", "npz"],
  ["gz", "gzip"],
]);

/** Says what a member holds: the last part of its extension decides, as in webdataset's table. Pickles stay bytes. */
export function memberKindOf(ext: string): MemberKind {
  return kinds.get(ext.slice(ext.lastIndexOf(".") + 1)) ?? "bytes";
}

/**
 * Splits a member's path where webdataset's `base_plus_ext` does, at the first dot after the last slash. The extension is
 * in lower case, as webdataset groups by it.
 *
 * `undefined` for what webdataset makes no part of a sample: a name without a dot, `.name` at the top or in a folder with a dot in its own
 * name (elsewhere webdataset takes the folder as its key), and `__metadata__` at the top.
 */
export function splitMemberPath(path: string): { readonly key: string; readonly ext: string } | undefined {
  const base = path.lastIndexOf("/") + 1;
  const dot = path.indexOf(".", base);
  if (dot < 0 || (dot === base && !isPlainFolder(path.slice(0, base)))) return undefined;
  if (isTopMetadata(path)) return undefined;
  return { key: path.slice(0, dot), ext: path.slice(dot + 1).toLowerCase() };
}

/**
 * Says whether a path that {@link splitMemberPath} gives no key is metadata by its name, which is never data: `.name`
 * (`.DS_Store`, the `._name` that macOS adds to each file) and `__metadata__` at the top.
 */
export function isMetadataPath(path: string): boolean {
  return path.startsWith(".", path.lastIndexOf("/") + 1) || isTopMetadata(path);
}

/** Says whether a dtype may be noted for an integer in decimal text. */
export function isIntegerDType(dtype: DType): dtype is IntegerDType {
  return integerDTypes.some((integer) => integer === dtype);
}

/** Encodes notes as the value of a `comment` record. They replace all notes of earlier headers, so they must be complete. */
export function encodeMemberNotes(notes: MemberNotes): string {
  const members = [...notes].map(([ext, { name, dtype }]) => {
    return `${JSON.stringify(ext)}:${JSON.stringify(dtype === undefined ? [name] : [name, dtype])}`;
  });
  return `${NOTE_PREFIX}{${members.join(",")}}`;
}

/**
 * Parses the value of a `comment` record; `undefined` when it is someone else's comment.
 *
 * @throws {KdataError} `format` when it begins like notes but is none.
 */
export function parseMemberNotes(comment: string, at: Position): MemberNotes | undefined {
  if (!comment.startsWith(NOTE_PREFIX)) return undefined;
  const text = new TextEncoder().encode(comment.slice(NOTE_PREFIX.length));
  const value = parseJson(text, "Cannot read webdataset: the kdata note", at);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalidNote(at);
  return new Map(Object.entries(value).map(([ext, note]) => [ext, parseNote(note, at)]));
}

function isTopMetadata(path: string): boolean {
  return path.startsWith("__") && /^__[^/]*__(?:$|\/)/.test(path);
}

/** Says whether the last part of `a/b/` is there and without a dot. */
function isPlainFolder(folder: string): boolean {
  return folder !== "" && !folder.slice(folder.slice(0, -1).lastIndexOf("/") + 1).includes(".");
}

function parseNote(note: JsonValue, at: Position): MemberNote {
  if (!Array.isArray(note)) throw invalidNote(at);
  const [name, dtype, ...rest] = note as readonly JsonValue[];
  if (typeof name !== "string" || rest.length > 0) throw invalidNote(at);
  if (dtype === undefined) return { name };
  if (typeof dtype !== "string" || !isDType(dtype) || !isIntegerDType(dtype)) throw invalidNote(at);
  return { name, dtype };
}

function invalidNote(at: Position): KdataError {
  return new KdataError("format", "Cannot read webdataset: the kdata note is not what kdata writes", { at });
}
