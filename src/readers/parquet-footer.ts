// The footer of a Parquet file: its schema, its row groups, and where each column chunk lies.
// https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift

import type { CompressionCodec, ConvertedType, ParquetType } from "hyparquet";
import { CompressionCodecs, ConvertedTypes, ParquetTypes } from "hyparquet/src/constants.js";

import { KdataError } from "../core/errors.ts";
import { ThriftCursor, thriftTypes } from "./parquet-thrift.ts";
import type { SeekableSource } from "./source.ts";
import { decodeUtf8 } from "./text.ts";

/** At both ends of a file. */
export const PARQUET_MAGIC = "PAR1";
/** At the end of a file whose footer is encrypted. */
const ENCRYPTED_MAGIC = "PARE";
/** Length of the footer and magic. */
const TAIL_BYTES = 8;
const MAGIC_BYTES = 4;

/** One node of the schema, as the file lists them: depth first. */
export interface SchemaElement {
  readonly name: string;
  /** The physical type of a leaf; `undefined` for a group. */
  readonly type: ParquetType | undefined;
  /** Bytes of a value of type FIXED_LEN_BYTE_ARRAY. */
  readonly typeLength: number;
  readonly repetition: "required" | "optional" | "repeated";
  readonly children: number;
  /** What older files have instead of a logical type. */
  readonly converted: ConvertedType | undefined;
  readonly logical: LogicalType | undefined;
  readonly scale: number;
}

/** A logical type: its number in the union of the specification, and what the kinds with parameters say. */
export interface LogicalType {
  readonly id: number;
  readonly scale: number;
  readonly bitWidth: number;
  readonly isSigned: boolean;
}

/** The values of one column in one row group. */
export interface ColumnChunk {
  readonly path: readonly string[];
  readonly type: ParquetType;
  readonly codec: CompressionCodec;
  /** Nulls included; for lists an entry for each element and each empty or missing list. */
  readonly entries: number;
  /** First byte of its first page, and the byte after its last. */
  readonly start: number;
  readonly end: number;
}

/** Rows that are stored together. */
export interface RowGroup {
  readonly rows: number;
  readonly columns: readonly ColumnChunk[];
}

/** What a footer says. */
export interface ParquetFooter {
  readonly elements: readonly SchemaElement[];
  readonly groups: readonly RowGroup[];
  /** The sum over the row groups. */
  readonly rows: number;
  /** The text that writers keep under `key`; the last one of a name. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the footer begins: its first byte, and the end of all that it speaks of. */
  readonly start: number;
}

/**
 * Reads the footer. Every place and number in it is held to the file.
 *
 * @throws {KdataError} `truncated` when the file does not end as it must, `format` when the footer contradicts itself or the file,
 *   `unsupported` for encryption and for columns in other files.
 */
export function readFooter(source: SeekableSource): ParquetFooter {
  const [start, length] = locateFooter(source);
  const bytes = new Uint8Array(length);
  if (source.read(bytes, start) < length) throw new FooterFault(source.name, start).truncated(source.size);
  return new FooterParser(source.name, start, bytes).parse();
}

/** Makes errors about a footer. */
class FooterFault {
  readonly source: string;
  readonly start: number;

  constructor(source: string, start: number) {
    this.source = source;
    this.start = start;
  }

  format(reason: string, byte = 0): KdataError {
    const at = { source: this.source, byte: this.start + byte };
    return new KdataError("format", `Cannot read parquet: the footer is damaged: ${reason}`, { at });
  }

  unsupported(reason: string, hint?: string): KdataError {
    const at = { source: this.source, byte: this.start };
    return new KdataError("unsupported", `Cannot read parquet: ${reason}`, { at, ...(hint !== undefined && { hint }) });
  }

  truncated(byte: number): KdataError {
    const reason = `Cannot read parquet: the file does not end with ${PARQUET_MAGIC}: it was cut, or never finished`;
    return new KdataError("truncated", reason, { at: { source: this.source, byte } });
  }
}

function locateFooter(source: SeekableSource): readonly [start: number, length: number] {
  const { name, size } = source;
  const fault = new FooterFault(name, size);
  if (size < MAGIC_BYTES + TAIL_BYTES) throw fault.truncated(size);
  const head = new Uint8Array(MAGIC_BYTES);
  const tail = new Uint8Array(TAIL_BYTES);
  if (source.read(head, 0) < MAGIC_BYTES || source.read(tail, size - TAIL_BYTES) < TAIL_BYTES)
    throw fault.truncated(size);
  const magic = Buffer.from(tail.subarray(MAGIC_BYTES)).toString("latin1");
  if (magic === ENCRYPTED_MAGIC) throw fault.unsupported("its footer is encrypted");
  if (magic !== PARQUET_MAGIC) throw fault.truncated(size);
  if (Buffer.from(head).toString("latin1") !== PARQUET_MAGIC) {
    const at = { source: name, byte: 0 };
    throw new KdataError("format", `Cannot read parquet: the file does not begin with ${PARQUET_MAGIC}`, { at });
  }
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (length > size - TAIL_BYTES - MAGIC_BYTES) {
    const reason = `Cannot read parquet: a footer of ${length} bytes does not fit into the file`;
    throw new KdataError("format", reason, { at: { source: name, byte: size - TAIL_BYTES } });
  }
  return [size - TAIL_BYTES - length, length];
}

/** Parses the bytes of a footer, field by field as the specification numbers them. */
class FooterParser {
  readonly #fault: FooterFault;
  readonly #cursor: ThriftCursor;
  readonly #length: number;

  constructor(source: string, start: number, bytes: Uint8Array) {
    const fault = new FooterFault(source, start);
    this.#fault = fault;
    this.#length = bytes.length;
    this.#cursor = new ThriftCursor(bytes, (reason, byte) => fault.format(reason, byte));
  }

  parse(): ParquetFooter {
    const cursor = this.#cursor;
    const elements: SchemaElement[] = [];
    const groups: RowGroup[] = [];
    const metadata = new Map<string, string>();
    let rows: number | undefined;
    cursor.struct((id, type) => {
      if (id === 2) cursor.structs(type, () => elements.push(this.#element()));
      else if (id === 3) rows = cursor.count(type);
      else if (id === 4) cursor.structs(type, () => groups.push(this.#group()));
      else if (id === 5)
        cursor.structs(type, () => {
          this.#metadata(metadata);
        });
      else if (id === 8) throw this.#fault.unsupported("its columns are encrypted");
      else return false;
      return true;
    });
    if (cursor.position !== this.#length) throw cursor.fail("bytes follow after its end");
    const sum = groups.reduce((total, group) => total + group.rows, 0);
    if (rows !== sum) throw this.#fault.format(`it says ${rows} rows, its row groups have ${sum}`);
    return { elements, groups, rows, metadata, start: this.#fault.start };
  }

  #element(): SchemaElement {
    const cursor = this.#cursor;
    let name: string | undefined;
    let type: ParquetType | undefined;
    let converted: ConvertedType | undefined;
    let logical: LogicalType | undefined;
    let [typeLength, repetition, children, scale] = [0, 0, 0, 0];
    cursor.struct((id, kind) => {
      if (id === 1) type = this.#word(ParquetTypes, kind);
      else if (id === 2) typeLength = cursor.count(kind);
      else if (id === 3) repetition = cursor.count(kind);
      else if (id === 4) name = this.#text(kind);
      else if (id === 5) children = cursor.count(kind);
      else if (id === 6) converted = this.#word(ConvertedTypes, kind);
      else if (id === 7) scale = cursor.count(kind);
      else if (id === 10) logical = this.#logical(kind);
      else return false;
      return true;
    });
    const word = (["required", "optional", "repeated"] as const)[repetition];
    if (name === undefined || word === undefined) throw cursor.fail("a node of the schema is incomplete");
    return { name, type, typeLength, repetition: word, children, converted, logical, scale };
  }

  #logical(type: number): LogicalType {
    const cursor = this.#cursor;
    let logical: LogicalType | undefined;
    cursor.expect(type, thriftTypes.struct);
    cursor.struct((id, kind) => {
      cursor.expect(kind, thriftTypes.struct);
      let [scale, bitWidth, isSigned] = [0, 0, false];
      cursor.struct((field, parameter) => {
        if (id === 5 && field === 1) scale = cursor.count(parameter);
        else if (id === 10 && field === 1) bitWidth = cursor.int8(parameter);
        else if (id === 10 && field === 2) isSigned = cursor.flag(parameter);
        else return false;
        return true;
      });
      logical = { id, scale, bitWidth, isSigned };
      return true;
    });
    if (!logical) throw cursor.fail("a logical type is empty");
    return logical;
  }

  #group(): RowGroup {
    const cursor = this.#cursor;
    const columns: ColumnChunk[] = [];
    const found: { rows?: number; hasColumns?: true } = {};
    cursor.struct((id, type) => {
      if (id === 1) {
        found.hasColumns = true;
        cursor.structs(type, () => columns.push(this.#chunk()));
      } else if (id === 3) found.rows = cursor.count(type);
      else return false;
      return true;
    });
    const { rows, hasColumns } = found;
    if (rows === undefined || rows < 0 || !hasColumns) throw cursor.fail("a row group is incomplete");
    return { rows, columns };
  }

  #chunk(): ColumnChunk {
    const cursor = this.#cursor;
    let chunk: ColumnChunk | undefined;
    cursor.struct((id, type) => {
      if (id === 1) throw this.#fault.unsupported("a column lies in another file", "Write the data set as one file.");
      if (id === 8) throw this.#fault.unsupported("a column is encrypted");
      if (id !== 3) return false;
      cursor.expect(type, thriftTypes.struct);
      chunk = this.#chunkMetadata();
      return true;
    });
    if (!chunk) throw cursor.fail("a column chunk is incomplete");
    return chunk;
  }

  #chunkMetadata(): ColumnChunk {
    const cursor = this.#cursor;
    const path: string[] = [];
    const found: {
      type?: ParquetType;
      codec?: CompressionCodec;
      entries?: number;
      bytes?: number;
      data?: number;
      dictionary?: number;
    } = {};
    cursor.struct((id, kind) => {
      if (id === 1) found.type = this.#word(ParquetTypes, kind);
      else if (id === 3) cursor.list(kind, thriftTypes.binary, () => path.push(this.#text(thriftTypes.binary)));
      else if (id === 4) found.codec = this.#word(CompressionCodecs, kind);
      else if (id === 5) found.entries = cursor.count(kind);
      else if (id === 7) found.bytes = cursor.count(kind);
      else if (id === 9) found.data = cursor.count(kind);
      else if (id === 11) found.dictionary = cursor.count(kind);
      else return false;
      return true;
    });
    const { type, codec, entries, bytes, data, dictionary = 0 } = found;
    if (
      type === undefined ||
      codec === undefined ||
      entries === undefined ||
      bytes === undefined ||
      data === undefined
    ) {
      throw cursor.fail("a column chunk is incomplete");
    }
    // Of a column without values, the places mean nothing.
    if (entries === 0) return { path, type, codec, entries, start: MAGIC_BYTES, end: MAGIC_BYTES };
    // Some writers leave 0 where there is no dictionary.
    const start = dictionary > 0 ? Math.min(dictionary, data) : data;
    const end = start + bytes;
    if (start < MAGIC_BYTES || bytes < 0 || end > this.#fault.start || entries < 0) {
      throw cursor.fail(`the column "${path.join(".")}" of ${entries} values lies at bytes ${start} to ${end}`);
    }
    return { path, type, codec, entries, start, end };
  }

  #metadata(into: Map<string, string>): void {
    const cursor = this.#cursor;
    const found: { key?: string; value?: string } = {};
    cursor.struct((id, type) => {
      if (id === 1) found.key = this.#text(type);
      else if (id === 2) found.value = Buffer.from(cursor.binary(type)).toString("utf8");
      else return false;
      return true;
    });
    if (found.key !== undefined && found.value !== undefined) into.set(found.key, found.value);
  }

  /** Reads a number that stands for a word of the specification. */
  #word<W extends string>(words: readonly W[], type: number): W {
    const number = this.#cursor.count(type);
    const word = words[number];
    if (word === undefined) throw this.#cursor.fail(`${number} is none of ${words.join(", ")}`);
    return word;
  }

  #text(type: number): string {
    const bytes = this.#cursor.binary(type);
    const at = { source: this.#fault.source, byte: this.#fault.start + this.#cursor.position };
    return decodeUtf8(bytes, "Cannot read parquet: a name in the footer", at);
  }
}
