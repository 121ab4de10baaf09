// One feature of a shard of arrays: rows of one kind and size behind a header that is completed when all rows are known.

import { bytesOf, sameShape, type DType } from "../core/tensor.ts";
import { featureKind, isTensor, type Feature } from "../core/sample.ts";
import { PartialFile } from "./output.ts";

const COLUMN_BUFFER_BYTES = 1 << 18; // a shard has a column for each feature: less than one big file takes
const WORD_BYTES = 4; // of a length in the spool

/** What the rows of an array are. `byteLength` counts the bytes of one row: of the longest one for strings. */
export type RowType =
  | { readonly kind: "tensor"; readonly dtype: DType; readonly shape: readonly number[] }
  | { readonly kind: "bytes"; readonly byteLength: number }
  | { readonly kind: "string"; readonly byteLength: number };

/** How a format stores arrays of rows. */
export interface ArrayLayout {
  /** The name for messages: `NPY`. */
  readonly title: string;
  /** Says whether there are arrays of this dtype. */
  holds(dtype: DType): boolean;
  /** What comes before the rows of an array. Its length does not depend on their number. */
  header(type: RowType, rows: number): Uint8Array;
  /** Makes a function that encodes text, into memory that it reuses. */
  textEncoder(): (text: string) => Uint8Array;
}

/** One array that is being written, row by row. */
export interface ColumnFile {
  /** The array's file, whole after `complete`. */
  readonly file: PartialFile;
  /** What its rows are: `uint8 [28, 28]`. */
  readonly row: string;
  /** The same for programs; of strings it is known after `complete`. */
  readonly type: RowType;
  /** Bytes taken so far. */
  readonly bytes: number;
  /** Says whether a feature is of the kind, dtype, shape and length of the rows. */
  fits(feature: Feature): boolean;
  /**
   * Adds a row. It is copied.
   *
   * @throws {TypeError} when it does not fit.
   */
  append(feature: Feature): void;
  /** Writes what depends on all rows. The file is still to be committed. */
  complete(rows: number): void;
  /** Removes the partial files. */
  abort(): void;
}

/**
 * Starts the array for rows like `first`, which is not added yet; `undefined` when the layout has no such array.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function createColumnFile(path: string, first: Feature, layout: ArrayLayout): ColumnFile | undefined {
  if (typeof first === "string") return new StringColumn(path, layout);
  if (first instanceof Uint8Array) return new FixedColumn(path, { kind: "bytes", byteLength: first.length }, layout);
  if (!isTensor(first) || !layout.holds(first.dtype)) return undefined;
  return new FixedColumn(path, { kind: "tensor", dtype: first.dtype, shape: [...first.shape] }, layout);
}

/** Describes a feature as a row: `uint8 [28, 28]`, `12 bytes`, `a string`. */
export function describeRow(feature: Feature): string {
  if (typeof feature === "string") return "a string";
  if (feature instanceof Uint8Array) return `${feature.length} bytes`;
  return isTensor(feature) ? `${feature.dtype} [${feature.shape.join(", ")}]` : `a ${featureKind(feature)}`;
}

/** Rows that all take the same bytes: tensors of one dtype and shape, or bytes of one length. */
class FixedColumn implements ColumnFile {
  readonly file: PartialFile;
  readonly row: string;
  readonly type: Exclude<RowType, { kind: "string" }>;
  readonly #layout: ArrayLayout;

  constructor(path: string, type: Exclude<RowType, { kind: "string" }>, layout: ArrayLayout) {
    this.row = type.kind === "bytes" ? `${type.byteLength} bytes` : `${type.dtype} [${type.shape.join(", ")}]`;
    this.type = type;
    this.#layout = layout;
    // Room for any number of rows: the header is written over when their number is known.
    const headerBytes = layout.header(type, Number.MAX_SAFE_INTEGER).length;
    this.file = new PartialFile(path, COLUMN_BUFFER_BYTES);
    this.file.appendZeros(headerBytes);
  }

  get bytes(): number {
    return this.file.bytes;
  }

  fits(feature: Feature): boolean {
    const { type } = this;
    if (feature instanceof Uint8Array) return type.kind === "bytes" && feature.length === type.byteLength;
    if (!isTensor(feature) || type.kind !== "tensor") return false;
    return feature.dtype === type.dtype && sameShape(feature.shape, type.shape);
  }

  append(feature: Feature): void {
    if (feature instanceof Uint8Array) this.file.append(feature);
    else if (isTensor(feature)) this.file.append(bytesOf(feature.data));
    else throw new TypeError(`Cannot append a row: it is ${describeRow(feature)}, not ${this.row}`);
  }

  complete(rows: number): void {
    this.file.patch(0, this.#layout.header(this.type, rows));
  }

  abort(): void {
    this.file.abort();
  }
}

/**
 * Strings of any length. Arrays pad them all to the longest one, so they are spooled (length and encoded text of each) until
 * it is known.
 */
export class StringColumn implements ColumnFile {
  readonly file: PartialFile;
  readonly row = "a string";
  readonly #layout: ArrayLayout;
  readonly #encode: (text: string) => Uint8Array;
  readonly #spool: PartialFile;
  readonly #length = new Uint32Array(1);
  readonly #block = new Uint8Array(COLUMN_BUFFER_BYTES);
  #blockStart = 0;
  #blockEnd = 0;
  #longest: number;

  constructor(path: string, layout: ArrayLayout) {
    this.#layout = layout;
    this.#encode = layout.textEncoder();
    this.#longest = this.#encode("\0").length; // numpy has no strings of width 0
    this.file = new PartialFile(path, COLUMN_BUFFER_BYTES);
    this.#spool = new PartialFile(`${path}.strings`, COLUMN_BUFFER_BYTES);
  }

  get type(): RowType {
    return { kind: "string", byteLength: this.#longest };
  }

  get bytes(): number {
    return this.#spool.bytes;
  }

  fits(feature: Feature): boolean {
    return typeof feature === "string";
  }

  append(feature: Feature): void {
    if (typeof feature !== "string") throw new TypeError(`Cannot append a row: it is ${describeRow(feature)}`);
    const text = this.#encode(feature);
    this.#length[0] = text.length;
    this.#longest = Math.max(this.#longest, text.length);
    this.#spool.append(bytesOf(this.#length));
    this.#spool.append(text);
  }

  complete(rows: number): void {
    this.file.append(this.#layout.header(this.type, rows));
    const { bytes } = this.#spool;
    for (let position = 0; position < bytes;) {
      const head = this.#spooled(position, WORD_BYTES);
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
      position += WORD_BYTES;
      // In pieces: a string may be longer than the block.
      for (const end = position + length; position < end;) {
        const piece = this.#spooled(position, Math.min(end - position, this.#block.length));
        this.file.append(piece);
        position += piece.length;
      }
      this.file.appendZeros(this.#longest - length);
    }
    this.#spool.abort();
  }

  abort(): void {
    this.#spool.abort();
    this.file.abort();
  }

  /** Views bytes of the spool, which is read block by block. */
  #spooled(position: number, length: number): Uint8Array {
    if (position < this.#blockStart || position + length > this.#blockEnd) {
      this.#blockStart = position;
      this.#blockEnd = Math.min(position + this.#block.length, this.#spool.bytes);
      this.#spool.read(this.#block.subarray(0, this.#blockEnd - position), position);
    }
    return this.#block.subarray(position - this.#blockStart, position - this.#blockStart + length);
  }
}
