// The header of a safetensors file, read and written: JSON that names tensors with dtype, shape and where they lie.
// https://huggingface.co/docs/safetensors/index#format

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import { elementCount } from "../core/tensor.ts";
import { decodeUtf8 } from "./text.ts";

/** The length of the header, little-endian. */
export const SAFETENSORS_LENGTH_BYTES = 8;
/** The header is padded with spaces so that the data begins at a multiple of this. */
const ALIGNMENT = 8;
/** The member of the header that is no tensor. */
const METADATA = "__metadata__";
/** What the header's JSON has beside strings: no fractions, no exponents, no signs. */
const TOKEN = /(?:0|[1-9][0-9]*)(?![0-9])|[{}[\]:,]/y;
const SPACE = /[ \t\n\r]*/y;

/** Bytes of one element by dtype, as the specification names them. */
const elementBytes: ReadonlyMap<string, number> = new Map([
  ["BOOL", 1],
  ["U8", 1],
  ["I8", 1],
  ["F8_E5M2", 1],
  ["F8_E4M3", 1],
  ["F8_E8M0", 1],
  ["F8_E4M3FNUZ", 1],
  ["F8_E5M2FNUZ", 1],
  ["I16", 2],
  ["U16", 2],
  ["F16", 2],
  ["BF16", 2],
  ["I32", 4],
  ["U32", 4],
  ["F32", 4],
  ["C64", 8],
  ["F64", 8],
  ["I64", 8],
  ["U64", 8],
]);

/** One tensor of the header. */
export interface StoredTensor {
  readonly name: string;
  /** As the specification names it: `F32`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where its bytes lie behind the header: half-open. */
  readonly start: number;
  readonly end: number;
}

/** What a header says. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of their bytes. */
  readonly tensors: readonly StoredTensor[];
}

/**
 * Parses the JSON of a header. `at.byte` is where it begins.
 *
 * The tensors are held to lie one after another without holes and overlaps, each with the bytes that dtype and shape say.
 *
 * @throws {KdataError} `format` when it is anything else, or a name is there twice; `unsupported` for a dtype that is not known;
 *   `limit` when a tensor is larger than can be counted.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, at: Position): SafetensorsHeader {
  const cursor = new JsonCursor(decodeUtf8(bytes, "Cannot read safetensors: the header", at), at);
  let metadata: ReadonlyMap<string, string> = new Map();
  const tensors: StoredTensor[] = [];
  // The specification: the header begins with it, not with a space.
  if (bytes[0] !== 0x7b) throw cursor.fail("format", "the header does not begin with {");
  const names = cursor.object((name) => {
    if (name === METADATA) metadata = parseMetadata(cursor);
    else tensors.push(parseTensor(cursor, name));
  });
  cursor.expectEnd();
  tensors.sort((a, b) => a.start - b.start || a.end - b.end);
  let end = 0;
  for (const tensor of tensors) {
    if (tensor.start !== end) {
      const what = tensor.start > end ? "leaves a hole before it" : "overlaps another one";
      throw cursor.fail("format", `tensor "${tensor.name}" ${what}`, names.get(tensor.name));
    }
    end = tensor.end;
  }
  return { metadata, tensors };
}

/** Formats what comes before the data: length, JSON, and spaces up to a multiple of eight. */
export function formatSafetensorsHeader({ metadata, tensors }: SafetensorsHeader): Uint8Array {
  const members = tensors.map(({ name, dtype, shape, start, end }) => {
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, end] })}`;
  });
  if (metadata.size > 0) members.unshift(`"${METADATA}":${JSON.stringify(Object.fromEntries(metadata))}`);
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(SAFETENSORS_LENGTH_BYTES + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, SAFETENSORS_LENGTH_BYTES);
  return header;
}

/** Reads the parts of JSON that a header is made of; unlike `JSON.parse` it sees names that are there twice. */
class JsonCursor {
  readonly #text: string;
  readonly #at: Position;
  #position = 0;
  #end = 0;

  constructor(text: string, at: Position) {
    this.#text = text;
    this.#at = at;
  }

  /** Makes an error at a character, by default at what comes next. */
  fail(code: ErrorCode, reason: string, position = this.#position): KdataError {
    const byte = (this.#at.byte ?? 0) + Buffer.byteLength(this.#text.slice(0, position));
    return new KdataError(code, `Cannot read safetensors: ${reason}`, { at: { ...this.#at, byte } });
  }

  /** Reads `{"name": <what takeValue reads>, ...}` and gives where each name is. */
  object(takeValue: (name: string) => void): ReadonlyMap<string, number> {
    const names = new Map<string, number>();
    this.#expect("{");
    if (this.#take("}")) return names;
    for (;;) {
      const position = this.#position;
      const name = this.string();
      if (names.has(name)) throw this.fail("format", `the name "${name}" is there twice`, position);
      names.set(name, position);
      this.#expect(":");
      takeValue(name);
      if (this.#take("}")) return names;
      this.#expect(",");
    }
  }

  string(): string {
    const token = this.#next();
    if (token?.startsWith('"') !== true) throw this.fail("format", "the header has no string where it must");
    const start = this.#position;
    this.#position = this.#end;
    try {
      const text = JSON.parse(token) as string;
      if (!/\p{Surrogate}/u.test(text)) return text;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw this.fail("format", "a string of the header has an escape that is none", start);
  }

  sizes(): readonly number[] {
    const sizes: number[] = [];
    this.#expect("[");
    if (this.#take("]")) return sizes;
    for (;;) {
      const token = this.#next() ?? "";
      if (!/^[0-9]/.test(token)) throw this.fail("format", "the header has no size where it must");
      if (!Number.isSafeInteger(Number(token))) throw this.fail("limit", `the header has the size ${token}`);
      sizes.push(Number(token));
      this.#position = this.#end;
      if (this.#take("]")) return sizes;
      this.#expect(",");
    }
  }

  /** Only spaces may follow. */
  expectEnd(): void {
    if (/[^ ]/.test(this.#text.slice(this.#position))) {
      throw this.fail("format", "something follows the JSON of the header");
    }
  }

  /** What comes next, white space aside: sets where it ends. */
  #next(): string | undefined {
    SPACE.lastIndex = this.#position;
    SPACE.test(this.#text);
    const start = SPACE.lastIndex;
    if (this.#text[start] !== '"') {
      TOKEN.lastIndex = start;
      const token = TOKEN.exec(this.#text)?.[0];
      this.#end = TOKEN.lastIndex;
      return token;
    }
    // By hand: a regular expression needs stack for every character.
    for (let end = start + 1; end < this.#text.length; end++) {
      const character = this.#text.charCodeAt(end);
      if (character === 0x5c) end++;
      if (character !== 0x22) continue;
      this.#end = end + 1;
      return this.#text.slice(start, this.#end);
    }
    return undefined;
  }

  #take(token: string): boolean {
    if (this.#next() !== token) return false;
    this.#position = this.#end;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.fail("format", `the header has no ${token} where it must`);
  }
}

function parseMetadata(cursor: JsonCursor): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  cursor.object((name) => metadata.set(name, cursor.string()));
  return metadata;
}

/** Reads `{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}` in any order. */
function parseTensor(cursor: JsonCursor, name: string): StoredTensor {
  let dtype: string | undefined;
  let shape: readonly number[] | undefined;
  let offsets: readonly number[] | undefined;
  cursor.object((key) => {
    if (key === "dtype") dtype = cursor.string();
    else if (key === "shape") shape = cursor.sizes();
    else if (key === "data_offsets") offsets = cursor.sizes();
    else throw cursor.fail("format", `tensor "${name}" has the key ${JSON.stringify(key)}, which is not known`);
  });
  const [start, end] = offsets ?? [];
  if (dtype === undefined || !shape || start === undefined || end === undefined || offsets?.length !== 2) {
    throw cursor.fail("format", `tensor "${name}" lacks dtype, shape or two data_offsets`);
  }
  const bytes = elementBytes.get(dtype);
  if (bytes === undefined)
    throw cursor.fail("unsupported", `tensor "${name}" has the dtype ${dtype}, which is not known`);
  const size = bytes * elementCount(shape.map((count) => Math.max(count, 1)));
  if (!Number.isSafeInteger(size)) throw cursor.fail("limit", `tensor "${name}" is larger than can be counted`);
  const expected = bytes * elementCount(shape);
  if (end - start !== expected) {
    const reason = `tensor "${name}" of ${dtype} [${shape.join(", ")}] takes ${expected} bytes, not ${end - start}`;
    throw cursor.fail("format", reason);
  }
  return { name, dtype, shape, start, end };
}
