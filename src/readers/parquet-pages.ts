// The pages of a column chunk: their headers, checksums and levels.
// https://parquet.apache.org/docs/file-format/data-pages/

import { Encodings, PageTypes } from "hyparquet/src/constants.js";
import { crc32 } from "node:zlib";

import type { ErrorCode, KdataError } from "../core/errors.ts";
import type { MemoryBudget } from "./parquet-budget.ts";
import { inflatePage, type PageFaultDetails } from "./parquet-compression.ts";
import type { ColumnChunk } from "./parquet-footer.ts";
import { decodeHybrid, type ByteCursor } from "./parquet-levels.ts";
import type { Leaf } from "./parquet-schema.ts";
import { ThriftCursor, thriftTypes } from "./parquet-thrift.ts";
import { decodePlain, decodeValues, type ValueLayout, type Values } from "./parquet-values.ts";

/** Bytes of the length before levels in pages of version 1. */
const LENGTH_BYTES = 4;

/** Makes the error for what is wrong in a chunk; `byte` counts from the start of the file. */
export type ChunkFail = (code: ErrorCode, reason: string, byte: number, details?: PageFaultDetails) => KdataError;

/** What one data page holds. */
export interface DecodedPage {
  /** Nulls included. */
  readonly entries: number;
  /** The level of each entry; `undefined` where none is null, or none is in a list. */
  readonly definition: Uint8Array | undefined;
  readonly repetition: Uint8Array | undefined;
  readonly values: Values;
}

/** Of which column the pages are, and what reading them may cost. */
export interface PageContext {
  readonly chunk: ColumnChunk;
  readonly leaf: Leaf;
  readonly layout: ValueLayout;
  readonly budget: MemoryBudget;
  readonly fail: ChunkFail;
}

/** What a page header says. */
interface PageHeader {
  readonly type: string;
  readonly inflated: number;
  readonly stored: number;
  readonly checksum: number | undefined;
  readonly data: DataHeader | undefined;
  readonly dictionary: { readonly values: number; readonly encoding: string } | undefined;
  /** Version 2 only. */
  readonly levels: LevelsHeader | undefined;
}

interface DataHeader {
  readonly values: number;
  readonly encoding: string;
  readonly levelEncodings: readonly string[];
}

interface LevelsHeader {
  readonly nulls: number;
  readonly rows: number;
  readonly definitionBytes: number;
  readonly repetitionBytes: number;
  readonly isCompressed: boolean;
}

/**
 * Decodes the data pages of a chunk, whose bytes are given, in order. The checksum of every page that has one is verified.
 *
 * @throws {KdataError} `checksum`, `format`, `limit` and `unsupported`, with the position of the page.
 */
export function* decodePages(bytes: Uint8Array, context: PageContext): Generator<DecodedPage> {
  const { chunk } = context;
  let dictionary: Values | undefined;
  let entries = 0;
  for (let position = 0; position < bytes.length;) {
    const page = new PageReader(bytes, position, context);
    position = page.end;
    if (page.header.type === "DICTIONARY_PAGE") {
      if (dictionary || entries > 0) throw page.fail("format", "it has a dictionary that is not its first page");
      dictionary = page.dictionary();
    } else if (page.header.type === "DATA_PAGE" || page.header.type === "DATA_PAGE_V2") {
      const decoded = page.decode(dictionary, chunk.entries - entries);
      entries += decoded.entries;
      yield decoded;
    } else {
      throw page.fail("format", `it has a page of type ${page.header.type}`);
    }
  }
  if (entries !== chunk.entries) {
    throw context.fail("format", `its pages have ${entries} values, the footer says ${chunk.entries}`, chunk.start);
  }
}

/** One page. */
class PageReader {
  readonly header: PageHeader;
  /** Of the bytes of the chunk, the one after the page. */
  readonly end: number;
  readonly #context: PageContext;
  readonly #position: number;
  readonly #body: Uint8Array;

  constructor(bytes: Uint8Array, position: number, context: PageContext) {
    this.#context = context;
    this.#position = position;
    const cursor = new ThriftCursor(bytes.subarray(position), (reason) => {
      return this.fail("format", `the header of a page is damaged: ${reason}`);
    });
    this.header = readHeader(cursor);
    const start = position + cursor.position;
    const { stored, checksum } = this.header;
    if (stored > bytes.length - start) throw this.fail("format", `a page of ${stored} bytes is longer than its column`);
    this.end = start + stored;
    this.#body = bytes.subarray(start, this.end);
    if (checksum !== undefined && crc32(this.#body) !== checksum) {
      throw this.fail("checksum", "the checksum of a page does not match");
    }
  }

  fail(code: ErrorCode, reason: string, details?: PageFaultDetails): KdataError {
    return this.#context.fail(code, reason, this.#context.chunk.start + this.#position, details);
  }

  dictionary(): Values {
    const { dictionary, inflated } = this.header;
    if (!dictionary) throw this.fail("format", "the header of a dictionary is incomplete");
    const { values, encoding } = dictionary;
    if (encoding !== "PLAIN" && encoding !== "PLAIN_DICTIONARY") {
      throw this.fail("format", `a dictionary cannot have the encoding ${encoding}`);
    }
    const bytes = this.#inflate(this.#body, inflated);
    return decodePlain({ bytes, position: 0 }, values, this.#valueContext(undefined));
  }

  /** Decodes a data page with at most `most` entries. */
  decode(dictionary: Values | undefined, most: number): DecodedPage {
    const { data, levels } = this.header;
    if (!data) throw this.fail("format", "the header of a page is incomplete");
    if (data.values > most) throw this.fail("format", `a page has ${data.values} values where ${most} are left`);
    return levels ? this.#decodeV2(dictionary, data, levels) : this.#decodeV1(dictionary, data);
  }

  #decodeV1(dictionary: Values | undefined, { values: entries, encoding, levelEncodings }: DataHeader): DecodedPage {
    const { maxDefinition, maxRepetition } = this.#context.leaf;
    const cursor = { bytes: this.#inflate(this.#body, this.header.inflated), position: 0 };
    const [definitionEncoding, repetitionEncoding] = levelEncodings;
    const repetition = this.#levelsV1(cursor, entries, maxRepetition, repetitionEncoding);
    const definition = this.#levelsV1(cursor, entries, maxDefinition, definitionEncoding);
    return this.#decodeRest(cursor, entries, encoding, definition, repetition, dictionary);
  }

  #decodeV2(dictionary: Values | undefined, data: DataHeader, levels: LevelsHeader): DecodedPage {
    const { maxDefinition, maxRepetition } = this.#context.leaf;
    const { repetitionBytes, definitionBytes, isCompressed } = levels;
    const levelBytes = repetitionBytes + definitionBytes;
    if (levelBytes > this.#body.length || levelBytes > this.header.inflated) {
      throw this.fail("format", `the levels of a page take ${levelBytes} bytes, which are more than it has`);
    }
    const head = { bytes: this.#body, position: 0 };
    const repetition = this.#levels(head, repetitionBytes, data.values, maxRepetition);
    head.position = repetitionBytes;
    const definition = this.#levels(head, levelBytes, data.values, maxDefinition);
    const stored = this.#body.subarray(levelBytes);
    const length = this.header.inflated - levelBytes;
    if (!isCompressed && stored.length !== length) {
      throw this.fail("format", `a page of ${stored.length} bytes says ${length}`);
    }
    // A page without values may have nothing that could be inflated.
    const bytes = isCompressed && stored.length > 0 ? this.#inflate(stored, length) : stored;
    const page = this.#decodeRest(
      { bytes, position: 0 },
      data.values,
      data.encoding,
      definition,
      repetition,
      dictionary,
    );
    const rows = repetition ? countOf(repetition, 0) : data.values;
    const nulls = page.entries - page.values.count;
    if (levels.nulls !== nulls || levels.rows !== rows) {
      const said = `${levels.nulls} nulls in ${levels.rows} rows`;
      throw this.fail("format", `a page says ${said}, but has ${nulls} in ${rows}`);
    }
    return page;
  }

  #decodeRest(
    cursor: ByteCursor,
    entries: number,
    encoding: string,
    levels: Uint8Array | undefined,
    repetition: Uint8Array | undefined,
    dictionary: Values | undefined,
  ): DecodedPage {
    const { maxDefinition } = this.#context.leaf;
    const count = levels ? countOf(levels, maxDefinition) : entries;
    const values = decodeValues(encoding, cursor, count, this.#valueContext(dictionary));
    const hasNulls = count < entries;
    if (levels && !hasNulls) this.#context.budget.give(entries);
    return { entries, definition: hasNulls ? levels : undefined, repetition, values };
  }

  #levelsV1(cursor: ByteCursor, entries: number, most: number, encoding: string | undefined): Uint8Array | undefined {
    if (most === 0) return undefined;
    if (encoding !== "RLE") throw this.fail("unsupported", `levels with the encoding ${encoding} are not read`);
    const { bytes, position } = cursor;
    if (position + LENGTH_BYTES > bytes.length) throw this.fail("format", "the levels of a page are cut off");
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(position, true);
    cursor.position += LENGTH_BYTES;
    const end = cursor.position + length;
    if (end > bytes.length) throw this.fail("format", "the levels of a page are cut off");
    const levels = this.#levels(cursor, end, entries, most);
    cursor.position = end;
    return levels;
  }

  #levels(cursor: ByteCursor, end: number, entries: number, most: number): Uint8Array | undefined {
    if (most === 0) return undefined;
    this.#context.budget.take(entries);
    const levels = new Uint8Array(entries);
    const reason = decodeHybrid(cursor, end, 32 - Math.clz32(most), levels);
    if (reason !== undefined) throw this.fail("format", `the levels of a page are damaged: ${reason}`);
    for (const level of levels) if (level > most) throw this.fail("format", `a level is ${level}, above ${most}`);
    return levels;
  }

  #inflate(stored: Uint8Array, length: number): Uint8Array {
    const { chunk, budget } = this.#context;
    if (chunk.codec !== "UNCOMPRESSED") budget.take(length);
    return inflatePage(chunk.codec, stored, length, (code, reason, details) => this.fail(code, reason, details));
  }

  #valueContext(dictionary: Values | undefined) {
    const { layout, budget } = this.#context;
    return { layout, budget, dictionary, fail: (reason: string) => this.fail("format", reason) };
  }
}

function readHeader(cursor: ThriftCursor): PageHeader {
  const found: { -readonly [K in keyof PageHeader]?: PageHeader[K] } = {};
  cursor.struct((id, kind) => {
    if (id === 1) found.type = PageTypes[cursor.count(kind)] ?? "none";
    else if (id === 2) found.inflated = cursor.count(kind);
    else if (id === 3) found.stored = cursor.count(kind);
    // Written as a signed number.
    else if (id === 4) found.checksum = cursor.count(kind) >>> 0;
    else if (id === 5) found.data = dataHeader(cursor, kind);
    else if (id === 7) found.dictionary = dictionaryHeader(cursor, kind);
    else if (id === 8) [found.data, found.levels] = headerV2(cursor, kind);
    else return false;
    return true;
  });
  const { type, inflated, stored, checksum, data, dictionary, levels } = found;
  if (type === undefined || inflated === undefined || stored === undefined) throw cursor.fail("it is incomplete");
  if (inflated < 0 || stored < 0) throw cursor.fail(`it says ${stored} bytes, inflated ${inflated}`);
  if (type === "DATA_PAGE" ? levels !== undefined : type === "DATA_PAGE_V2" && levels === undefined) {
    throw cursor.fail("it is of another version than it says");
  }
  return { type, inflated, stored, checksum, data, dictionary, levels };
}

function dataHeader(cursor: ThriftCursor, type: number): DataHeader {
  const numbers = numbersOf(cursor, type);
  const values = natural(cursor, numbers.get(1));
  const [encoding, ...levelEncodings] = [2, 3, 4].map((id) => Encodings[numbers.get(id) ?? -1] ?? "none");
  return { values, encoding: encoding ?? "none", levelEncodings };
}

function dictionaryHeader(cursor: ThriftCursor, type: number): { values: number; encoding: string } {
  const numbers = numbersOf(cursor, type);
  return { values: natural(cursor, numbers.get(1)), encoding: Encodings[numbers.get(2) ?? -1] ?? "none" };
}

function headerV2(cursor: ThriftCursor, type: number): [DataHeader, LevelsHeader] {
  const numbers = numbersOf(cursor, type);
  const [values, nulls, rows] = [1, 2, 3].map((id) => natural(cursor, numbers.get(id))) as [number, number, number];
  return [
    { values, encoding: Encodings[numbers.get(4) ?? -1] ?? "none", levelEncodings: [] },
    {
      nulls,
      rows,
      definitionBytes: natural(cursor, numbers.get(5)),
      repetitionBytes: natural(cursor, numbers.get(6)),
      isCompressed: numbers.get(7) !== 0,
    },
  ];
}

/** The fields of a structure that are numbers; a boolean is 0 or 1. */
function numbersOf(cursor: ThriftCursor, type: number): Map<number, number> {
  cursor.expect(type, thriftTypes.struct);
  const numbers = new Map<number, number>();
  cursor.struct((id, kind) => {
    if (kind === thriftTypes.true || kind === thriftTypes.false) numbers.set(id, cursor.flag(kind) ? 1 : 0);
    else if (kind === thriftTypes.i32) numbers.set(id, cursor.count(kind));
    else return false;
    return true;
  });
  return numbers;
}

function natural(cursor: ThriftCursor, number: number | undefined): number {
  if (number === undefined || number < 0) throw cursor.fail(`it says ${number ?? "nothing"} where a number must be`);
  return number;
}

function countOf(levels: Uint8Array, level: number): number {
  let count = 0;
  for (const found of levels) if (found === level) count++;
  return count;
}
