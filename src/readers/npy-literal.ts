// The part of Python's literals that numpy writes into the headers of NPY files, old numpy on Python 2 included.
// https://docs.python.org/3/reference/lexical_analysis.html#string-and-bytes-literals

import { isUtf8 } from "node:buffer";
import type { ErrorCode, KdataError } from "../core/errors.ts";

/** numpy's own bound since 2.0. */
export const MAX_RANK = 64;
/** The longest plain strings of a header that is accepted name a type: `<M8[generic]`. */
const MAX_STRING_BYTES = 64;
/** Structures in structures: deeper ones are no data, and would exhaust the stack. */
const MAX_NESTING = 32;

/** `\\xe9`, `\\u56fe`, `\\U0001f600` up to the last character there is, and `\\` with any other one. */
const ESCAPE = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U(00(?:0[0-9a-f]|10)[0-9a-f]{4})|(.))/gsu;
const escapes: ReadonlyMap<string, string> = new Map([
  ["\\", "\\"],
  ["'", "'"],
  ['"', '"'],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Makes an error at a byte of the header. */
export type Fail = (code: ErrorCode, reason: string, byte: number) => KdataError;

/** A type as a header describes it: numpy's short description, or the fields of a structure in the order of its bytes. */
export type Descr = string | readonly DescrField[];

/** One field of a structure. A field without a name whose type is opaque bytes is padding. */
export interface DescrField {
  readonly name: string;
  readonly descr: Descr;
  /** Of a sub-array; `[]` for a plain field. */
  readonly shape: readonly number[];
}

/** Reads literals one after another. Names of fields are UTF-8 or Latin-1, all the rest is ASCII. */
export class LiteralCursor {
  readonly #bytes: Uint8Array;
  readonly #encoding: "utf-8" | "latin1";
  readonly #fail: Fail;
  #position: number;

  constructor(bytes: Uint8Array, position: number, encoding: "utf-8" | "latin1", fail: Fail) {
    this.#bytes = bytes;
    this.#position = position;
    this.#encoding = encoding;
    this.#fail = fail;
  }

  /** Makes an error at what comes next. */
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

  /** A type: `'<f4'`, or a list of fields: `[('x', '<f4'), ('y', '<i2', (3,))]`. */
  descr(depth = 0): Descr {
    if (!this.take("[")) return this.string();
    if (depth === MAX_NESTING) throw this.fail(`structures are nested more than ${MAX_NESTING} deep`, "limit");
    const fields: DescrField[] = [];
    while (!this.take("]")) {
      fields.push(this.#field(depth));
      if (this.take(",")) continue;
      this.expect("]");
      break;
    }
    return fields;
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

  /** `('x', '<f4')`, `('x', '<f4', (3,))`, with a title before the name `(('title', 'x'), '<f4')`. */
  #field(depth: number): DescrField {
    this.expect("(");
    const name = this.#fieldName();
    this.expect(",");
    const descr = this.descr(depth + 1);
    const shape = this.take(",") ? this.sizes() : [];
    this.expect(")");
    return { name, descr, shape };
  }

  #fieldName(): string {
    if (!this.take("(")) return this.#text();
    this.#text();
    this.expect(",");
    const name = this.#text();
    this.expect(")");
    return name;
  }

  /** A string of any characters, as Python's `repr` writes it. */
  #text(): string {
    const quote = this.take("'") ? 0x27 : 0x22;
    if (quote === 0x22) this.expect('"');
    const start = this.#position;
    while (this.#bytes[this.#position] !== quote) {
      if (this.#bytes[this.#position] === undefined) throw this.fail("the name of a field does not end");
      this.#position += this.#bytes[this.#position] === 0x5c ? 2 : 1;
    }
    const content = this.#bytes.subarray(start, this.#position);
    this.#position++;
    if (this.#encoding === "utf-8" && !isUtf8(content)) {
      throw this.#fail("format", "the name of a field is not UTF-8", start);
    }
    const raw = Buffer.from(content).toString(this.#encoding);
    return raw.replace(ESCAPE, (whole, ...[hex2, hex4, hex8, character]: (string | undefined)[]) => {
      const hex = hex2 ?? hex4 ?? hex8;
      if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
      const plain = escapes.get(character ?? "");
      if (plain === undefined) throw this.fail(`the name of a field has the escape ${whole}`);
      return plain;
    });
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
