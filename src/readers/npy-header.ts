// The header of an NPY file, read and written: magic, version, length, and a Python dictionary literal with the keys descr,
// fortran_order and shape. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import type { DType } from "../core/tensor.ts";
import { tensorElement, type ArrayElement } from "./element.ts";
import type { Limits } from "./format.ts";

/** `\x93NUMPY`. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;
/** The magic, two bytes of version, and a length of two bytes (version 1) or four (versions 2 and 3). */
const MAX_PREAMBLE_BYTES = 12;
/** numpy's own bound since 2.0. */
const MAX_RANK = 64;
/** The longest strings of a header that is accepted name a type: `<M8[generic]`. */
const MAX_STRING_BYTES = 64;
/** Data begins at a multiple of this, so that it can be mapped into memory. */
const ALIGNMENT = 64;
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
const dtypesByDescr: ReadonlyMap<string, DType> = new Map(
  Object.entries(descrs).map(([dtype, descr]) => [descr, dtype as DType]),
);

/** numpy's types that are refused, by their letter, with the reason. */
const refusals: ReadonlyMap<string, string> = new Map([
  ["O", "holds Python objects as pickles, which are programs; kdata never runs them"],
  ["c", "holds complex numbers, which no dtype of kdata can"],
  ["S", "holds strings of type S, which do not say how they are encoded or where they end"],
  ["a", "holds strings of type S, which do not say how they are encoded or where they end"],
  ["M", "holds dates, which no dtype of kdata can"],
  ["m", "holds time spans, which no dtype of kdata can"],
]);

/** What an NPY header says. */
export interface NpyHeader {
  readonly element: ArrayElement;
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
 *   arrays of pickled objects, structures, complex numbers and other types that no feature can hold, `limit` when a row has
 *   more elements than can be counted.
 */
export function parseNpyHeader(header: Uint8Array, at: Position): NpyHeader {
  const fail = failAt(at);
  const values = parseDictionary(new LiteralCursor(header, preambleSize(header[MAGIC.length] ?? 1), fail));
  const { descr, fortranOrder, shape } = values;
  if (descr === undefined || fortranOrder === undefined || shape === undefined) {
    throw fail("format", "the header lacks descr, fortran_order or shape", MAGIC.length);
  }
  checkShape(shape, fail);
  return { element: parseDescr(descr, fail), fortranOrder, shape, byteLength: header.length };
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
  header[header.length - 1] = 0x0a;
  return header;
}

/** Makes an error at a byte of the header. */
type Fail = (code: ErrorCode, reason: string, byte: number) => KdataError;

function failAt(at: Position): Fail {
  const start = at.byte ?? 0;
  return (code, reason, byte) =>
    new KdataError(code, `Cannot read npy: ${reason}`, { at: { ...at, byte: start + byte } });
}

function preambleSize(majorVersion: number): number {
  return majorVersion === 1 ? MAX_PREAMBLE_BYTES - 2 : MAX_PREAMBLE_BYTES;
}

interface HeaderValues {
  descr?: string;
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

/** Reads the part of Python's literals that numpy writes, old numpy on Python 2 included. All of it is ASCII. */
class LiteralCursor {
  readonly #bytes: Uint8Array;
  readonly #fail: Fail;
  #position: number;

  constructor(bytes: Uint8Array, position: number, fail: Fail) {
    this.#bytes = bytes;
    this.#position = position;
    this.#fail = fail;
  }

  fail(reason: string, code: ErrorCode = "format"): KdataError {
    return this.#fail(code, reason, this.#position);
  }

  /** Passes over white space, and over `text` if it comes next. */
  take(text: string): boolean {
    this.#skipSpace();
    for (let i = 0; i < text.length; i++) {
      if (this.#bytes[this.#position + i] !== text.charCodeAt(i)) return false;
    }
    this.#position += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.take(text)) throw this.fail(`the header has no ${text} where it must`);
  }

  expectEnd(): void {
    this.#skipSpace();
    if (this.#position < this.#bytes.length) throw this.fail("something follows the dictionary of the header");
  }

  /** A string in either quotes, without escapes: none of numpy's needs any. */
  string(): string {
    const quote = this.take("'") ? 0x27 : 0x22;
    if (quote === 0x22) this.expect('"');
    const end = this.#bytes.indexOf(quote, this.#position);
    const content = this.#bytes.subarray(this.#position, Math.min(end, this.#position + MAX_STRING_BYTES + 1));
    if (
      end < 0 ||
      content.length > MAX_STRING_BYTES ||
      content.some((byte) => byte < 0x20 || byte > 0x7e || byte === 0x5c)
    ) {
      throw this.fail("the header has a string that is not plain text in quotes");
    }
    this.#position = end + 1;
    return String.fromCharCode(...content);
  }

  descr(): string {
    if (this.take("[") || this.take("(")) {
      throw this.fail("the array has a structured type, which no feature can hold", "unsupported");
    }
    return this.string();
  }

  boolean(): boolean {
    if (this.take("True")) return true;
    if (this.take("False")) return false;
    throw this.fail("fortran_order is neither True nor False");
  }

  /** A tuple of sizes: `()`, `(3,)`, `(3, 4)`. */
  sizes(): readonly number[] {
    const sizes: number[] = [];
    this.expect("(");
    while (!this.take(")")) {
      sizes.push(this.#size());
      if (sizes.length > MAX_RANK) throw this.fail(`the shape has more than ${MAX_RANK} axes`);
      if (this.take(",")) continue;
      this.expect(")");
      if (sizes.length === 1) throw this.fail("the shape is not a tuple");
      break;
    }
    return sizes;
  }

  #size(): number {
    this.#skipSpace();
    const start = this.#position;
    while (isDigit(this.#bytes[this.#position])) this.#position++;
    const digits = String.fromCharCode(...this.#bytes.subarray(start, Math.min(this.#position, start + 20)));
    const size = Number(digits);
    if (digits === "" || (digits.startsWith("0") && digits !== "0")) throw this.fail("an axis of the shape is no size");
    if (!Number.isSafeInteger(size)) throw this.fail(`an axis of the shape has the size ${digits}`, "limit");
    // numpy on Python 2 marked some sizes as long integers.
    if (this.#bytes[this.#position] === 0x4c) this.#position++;
    return size;
  }

  #skipSpace(): void {
    while (isSpace(this.#bytes[this.#position])) this.#position++;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
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

function parseDescr(descr: string, fail: Fail): ArrayElement {
  const [, order = "", letter = "", digits = ""] =
    /^([<>|])([A-Za-z])(0|[1-9][0-9]{0,9})?(?:\[[A-Za-z0-9]*\])?$/.exec(descr) ?? [];
  const dtype = dtypesByDescr.get(letter + digits);
  const bigEndian = order === ">";
  if (dtype !== undefined && (order !== "|" || digits === "1")) return tensorElement(dtype, bigEndian);
  if (letter === "V" && digits !== "") return { kind: "bytes", byteLength: Number(digits) };
  if (letter === "U" && digits !== "" && order !== "|") {
    return { kind: "string", byteLength: Number(digits) * 4, bigEndian };
  }
  const refusal =
    letter === "f" && Number(digits) > 8 ? "holds long doubles, which no dtype of kdata can" : refusals.get(letter);
  if (refusal !== undefined) throw fail("unsupported", `the array (type ${descr}) ${refusal}`, MAGIC.length);
  throw fail("format", `the type ${JSON.stringify(descr)} is none of numpy's`, MAGIC.length);
}
