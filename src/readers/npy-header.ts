// The header of an NPY file, read and written: magic, version, length, and a Python dictionary literal with the keys descr,
// fortran_order and shape. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { KdataError, type Position } from "../core/errors.ts";
import { elementCount, type DType } from "../core/tensor.ts";
import { tensorElement, type ArrayElement } from "./element.ts";
import type { Limits } from "./format.ts";
import { LiteralCursor, MAX_RANK, type Descr, type DescrField, type Fail } from "./npy-literal.ts";
import { axesOf, type StridedAxis } from "./row-layout.ts";

/** `\x93NUMPY`. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;
/** The magic, two bytes of version, and a length of two bytes (version 1) or four (versions 2 and 3). */
const MAX_PREAMBLE_BYTES = 12;
/** What ends a header. Without it, bytes of the header may have moved into the data. */
const LINE_FEED = 0x0a;
/** Data begins at a multiple of this, so that it can be mapped into memory. */
const ALIGNMENT = 64;
/** From this version on headers are UTF-8 instead of Latin-1. */
const UTF8_VERSION = 3;
/** numpy leaves room for a first axis of this many digits, so that a file can grow in place. */
const GROWTH_DIGITS = 21;

/** Descriptions without the byte order. bfloat16 has none. */
const descrs: Readonly<Partial<Record<DType, string>>> = {
  bool: "b1",
  int8: "i1",
  uint8: "u1",
  int16: "i2",
  uint16: "u2",
  int32: "i4",
  uint32: "u4",
  int64: "i8",
  uint64: "u8",
  float16: "f2",
  float32: "f4",
  float64: "f8",
};
/** Complex numbers are pairs of floats: their last axis is (real, imaginary). */
const pairs: ReadonlyMap<string, DType> = new Map([
  ["c8", "float32"],
  ["c16", "float64"],
]);
const dtypesByDescr: ReadonlyMap<string, DType> = new Map(
  Object.entries(descrs).map(([dtype, descr]) => [descr, dtype as DType]),
);

/** numpy's types that are refused, by their letter, with the reason. */
const refusals: ReadonlyMap<string, string> = new Map([
  ["O", "holds Python objects as pickles, which are programs; kdata never runs them"],
  ["M", "holds dates, which no dtype of kdata can"],
  ["m", "holds time spans, which no dtype of kdata can"],
]);

/** What an element of an array is: one element, or of complex numbers two. */
export interface NpyType {
  readonly element: ArrayElement;
  /** Axes inside of one element: `[2]` for complex numbers, otherwise none. */
  readonly innerShape: readonly number[];
}

/** A field of a structure, fields of inner structures included. */
export interface NpyField extends NpyType {
  /** Names of outer structures come before, with dots. */
  readonly name: string;
  /** Where it begins in the structure, in bytes. */
  readonly offset: number;
  /** Axes of the structures around it, the outermost first. */
  readonly outerAxes: readonly StridedAxis[];
  /** Of its own sub-array. */
  readonly shape: readonly number[];
}

/** What an NPY header says. */
export interface NpyHeader extends NpyType {
  /** The fields of a structured array, without padding; its elements are then opaque bytes. */
  readonly fields: readonly NpyField[] | undefined;
  /** Whether the first axis varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Bytes of the header: where the data begins in the file. */
  readonly byteLength: number;
}

/** Says whether these bytes begin like an NPY file. */
export function isNpy(head: Uint8Array): boolean {
  return MAGIC.every((byte, index) => head[index] === byte);
}

/**
 * Says how many bytes the whole header takes, from its first 12 bytes or all that there are.
 *
 * @throws {KdataError} `format` when they are not of an NPY file of version 1, 2 or 3, `truncated` when they are too few, `limit`
 *   when the header is longer than `limits.headerBytes`.
 */
export function npyHeaderSize(preamble: Uint8Array, limits: Pick<Limits, "headerBytes">, at: Position): number {
  const fail = failAt(at);
  const magicBytes = Math.min(preamble.length, MAGIC.length);
  if (!MAGIC.slice(0, magicBytes).every((byte, index) => preamble[index] === byte)) {
    throw fail("format", "the file does not begin with the magic of NPY", 0);
  }
  const major = preamble[MAGIC.length] ?? 1;
  const minor = preamble[MAGIC.length + 1] ?? 0;
  if (major < 1 || major > 3 || minor !== 0) {
    throw fail("format", `version ${major}.${minor} is not known, only 1.0, 2.0 and 3.0`, MAGIC.length);
  }
  const preambleBytes = preambleSize(major);
  if (preamble.length < preambleBytes) throw fail("truncated", "the file ends inside the header", preamble.length);
  const view = new DataView(preamble.buffer, preamble.byteOffset, preambleBytes);
  const size = preambleBytes + (major === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (size > limits.headerBytes) {
    throw fail("limit", `the header of ${size} bytes exceeds the limit of ${limits.headerBytes}`, MAGIC.length + 2);
  }
  return size;
}

/**
 * Parses a whole header of the size that {@link npyHeaderSize} gave. `at.byte` is where it begins.
 *
 * @throws {KdataError} `format` when it is not numpy's dictionary literal with exactly its three keys, `unsupported` for
 *   arrays of pickled objects, dates, long doubles and other types that no feature can hold, `limit` when a row has more
 *   elements than can be counted.
 */
export function parseNpyHeader(header: Uint8Array, at: Position): NpyHeader {
  const fail = failAt(at);
  const major = header[MAGIC.length] ?? 1;
  const encoding = major < UTF8_VERSION ? "latin1" : "utf-8";
  const values = parseDictionary(new LiteralCursor(header, preambleSize(major), encoding, fail));
  if (header.at(-1) !== LINE_FEED) throw fail("format", "the header does not end in a line feed", header.length - 1);
  const { descr, fortranOrder, shape } = values;
  if (descr === undefined || fortranOrder === undefined || shape === undefined) {
    throw fail("format", "the header lacks descr, fortran_order or shape", MAGIC.length);
  }
  checkShape(shape, fail);
  const rest = { fortranOrder, shape, byteLength: header.length };
  if (typeof descr === "string") return { ...parseType(descr, fail), fields: undefined, ...rest };
  const fields: NpyField[] = [];
  const byteLength = descrBytes(descr, fail);
  layOut(descr, { path: "", offset: 0, outerAxes: [] }, fields, fail);
  if (fields.length === 0) throw fail("unsupported", "the array has a structured type without fields", MAGIC.length);
  return { element: { kind: "bytes", byteLength }, innerShape: [], fields, ...rest };
}

/** Says how many bytes one element takes, both parts of complex numbers included. */
export function itemBytes({ element, innerShape }: NpyType): number {
  return element.byteLength * elementCount(innerShape);
}

/** Names numpy's little-endian description of a dtype: `<f4`; `undefined` for bfloat16, which numpy does not have. */
export function npyDescrOf(dtype: DType): string | undefined {
  const descr = descrs[dtype];
  return descr === undefined ? undefined : `${descr.endsWith("1") ? "|" : "<"}${descr}`;
}

/**
 * Formats the header of a row-major array as numpy writes it, version 1.0. `type` is a dtype or numpy's description of opaque
 * bytes or strings: `|V12`, `<U7`. The length of the header does not depend on the first size.
 *
 * @throws {RangeError} when numpy has no such dtype or the shape has too many axes.
 */
export function formatNpyHeader(type: DType | `|V${string}` | `<U${string}`, shape: readonly number[]): Uint8Array {
  const descr = type.startsWith("|V") || type.startsWith("<U") ? type : npyDescrOf(type as DType);
  if (descr === undefined) throw new RangeError(`Cannot format npy header: numpy has no ${type}`);
  if (shape.length > MAX_RANK) throw new RangeError(`Cannot format npy header: ${shape.length} axes are too many`);
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const growth = shape.length === 0 ? 0 : GROWTH_DIGITS - String(shape[0]).length;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }${" ".repeat(growth)}`;
  const preambleBytes = preambleSize(1);
  const unpadded = preambleBytes + text.length + 1;
  const header = new Uint8Array(unpadded + ALIGNMENT - (unpadded % ALIGNMENT)).fill(0x20);
  header.set([...MAGIC, 1, 0]);
  new DataView(header.buffer).setUint16(8, header.length - preambleBytes, true);
  new TextEncoder().encodeInto(text, header.subarray(preambleBytes));
  header[header.length - 1] = LINE_FEED;
  return header;
}

function failAt(at: Position): Fail {
  const start = at.byte ?? 0;
  return (code, reason, byte) =>
    new KdataError(code, `Cannot read npy: ${reason}`, { at: { ...at, byte: start + byte } });
}

function preambleSize(majorVersion: number): number {
  return majorVersion === 1 ? MAX_PREAMBLE_BYTES - 2 : MAX_PREAMBLE_BYTES;
}

interface HeaderValues {
  descr?: Descr;
  fortranOrder?: boolean;
  shape?: readonly number[];
}

/** Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` and white space around it. */
function parseDictionary(cursor: LiteralCursor): HeaderValues {
  const values: HeaderValues = {};
  cursor.expect("{");
  while (!cursor.take("}")) {
    const key = cursor.string();
    cursor.expect(":");
    if (key === "descr" && values.descr === undefined) values.descr = cursor.descr();
    else if (key === "fortran_order" && values.fortranOrder === undefined) values.fortranOrder = cursor.boolean();
    else if (key === "shape" && values.shape === undefined) values.shape = cursor.sizes();
    else throw cursor.fail(`the key ${JSON.stringify(key)} is unknown or there twice`);
    if (!cursor.take(",")) {
      cursor.expect("}");
      break;
    }
  }
  cursor.expectEnd();
  return values;
}

/** A row without limits could have more elements than there are numbers, even in an array of no rows. */
function checkShape(shape: readonly number[], fail: Fail): void {
  let elements = 1;
  for (const size of shape) {
    elements *= Math.max(size, 1);
    if (!Number.isSafeInteger(elements)) {
      throw fail("limit", `the shape (${shape.join(", ")}) has more elements than can be counted`, MAGIC.length);
    }
  }
}

function parseType(descr: string, fail: Fail): NpyType {
  const [, order = "", letter = "", digits = ""] =
    /^([<>|])([A-Za-z])(0|[1-9][0-9]{0,9})?(?:\[[A-Za-z0-9]*\])?$/.exec(descr) ?? [];
  const pair = order === "|" ? undefined : pairs.get(letter + digits);
  const dtype = dtypesByDescr.get(letter + digits) ?? pair;
  const bigEndian = order === ">";
  const innerShape = pair === undefined ? [] : [2];
  if (dtype !== undefined && (order !== "|" || digits === "1")) {
    return { element: tensorElement(dtype, bigEndian), innerShape };
  }
  // numpy takes the NULs at the end of S for padding, which not all are: all bytes are kept.
  if ((letter === "V" || letter === "S") && digits !== "") {
    return { element: { kind: "bytes", byteLength: Number(digits) }, innerShape };
  }
  if (letter === "U" && digits !== "" && order !== "|") {
    return { element: { kind: "string", encoding: "utf-32", byteLength: Number(digits) * 4, bigEndian }, innerShape };
  }
  const isLong = (letter === "f" && Number(digits) > 8) || (letter === "c" && Number(digits) > 16);
  const refusal = isLong ? "holds long doubles, which no dtype of kdata can" : refusals.get(letter);
  if (refusal !== undefined) throw fail("unsupported", `the array (type ${descr}) ${refusal}`, MAGIC.length);
  throw fail("format", `the type ${JSON.stringify(descr)} is none of numpy's`, MAGIC.length);
}

/** Where a structure lies in the outermost one. */
interface Place extends Pick<NpyField, "offset" | "outerAxes"> {
  /** The names of the structures around it, each with a dot. */
  readonly path: string;
}

/** Places the fields of a structure one after another, as the header lists them. */
function layOut(structure: readonly DescrField[], place: Place, fields: NpyField[], fail: Fail): void {
  let { offset } = place;
  for (const { name, descr, shape } of structure) {
    const isPadding = name === "" && typeof descr === "string" && descr.startsWith("|V");
    if (name === "" && !isPadding) throw fail("format", "a field has no name", MAGIC.length);
    const path = place.path + name;
    if (typeof descr !== "string") {
      const outerAxes = [...place.outerAxes, ...axesOf(shape, descrBytes(descr, fail))];
      layOut(descr, { path: `${path}.`, offset, outerAxes }, fields, fail);
    } else if (!isPadding) {
      fields.push({ ...parseType(descr, fail), name: path, offset, outerAxes: place.outerAxes, shape });
    }
    offset += elementCount(shape) * descrBytes(descr, fail);
  }
}

/** Says how many bytes a type takes. */
function descrBytes(descr: Descr, fail: Fail): number {
  if (typeof descr === "string") return itemBytes(parseType(descr, fail));
  const bytes = descr.reduce((sum, field) => sum + elementCount(field.shape) * descrBytes(field.descr, fail), 0);
  if (!Number.isSafeInteger(bytes)) throw fail("limit", "a structure is larger than can be counted", MAGIC.length);
  return bytes;
}
