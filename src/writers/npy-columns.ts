// One feature of an NPY shard: rows of one kind and size behind a header that is completed when all rows are known.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { bytesOf, sameShape, type DType, type Tensor } from "../core/tensor.ts";
import { featureKind, isTensor, type Feature } from "../core/sample.ts";
import { formatNpyHeader, npyDescrOf } from "../readers/npy-header.ts";
import { PartialFile } from "./output.ts";

const COLUMN_BUFFER_BYTES = 1 << 18; // a shard has a column for each feature: less than one big file takes
const WORD_BYTES = 4; // of a code point, and of a length in the spool

/** One array that is being written, row by row. */
export interface NpyColumn {
  /** The array's file, whole after `complete`. */
  readonly file: PartialFile;
  /** What its rows are: `uint8 [28, 28]`. */
  readonly row: string;
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
 * Starts the array for rows like `first`, which is not added yet; `undefined` when NPY has no such array.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function createNpyColumn(path: string, first: Feature): NpyColumn | undefined {
  if (typeof first === "string") return new StringColumn(path);
  if (first instanceof Uint8Array) return new FixedColumn(path, first);
  return isTensor(first) && npyDescrOf(first.dtype) !== undefined ? new FixedColumn(path, first) : undefined;
}

/** Describes a feature as a row: `uint8 [28, 28]`, `12 bytes`, `a string`. */
export function describeRow(feature: Feature): string {
  if (typeof feature === "string") return "a string";
  if (feature instanceof Uint8Array) return `${feature.length} bytes`;
  return isTensor(feature) ? `${feature.dtype} [${feature.shape.join(", ")}]` : `a ${featureKind(feature)}`;
}

/** Rows that all take the same bytes: tensors of one dtype and shape, or bytes of one length. */
class FixedColumn implements NpyColumn {
  readonly file: PartialFile;
  readonly row: string;
  /** `undefined` for bytes, whose shape is their length. */
  readonly #dtype: DType | undefined;
  readonly #shape: readonly number[];
  readonly #headerBytes: number;

  constructor(path: string, first: Uint8Array | Tensor) {
    const isBytes = first instanceof Uint8Array;
    this.row = describeRow(first);
    this.#dtype = isBytes ? undefined : first.dtype;
    this.#shape = isBytes ? [first.length] : [...first.shape];
    // Room for any number of rows: the header is written over when their number is known.
    this.#headerBytes = this.#header(Number.MAX_SAFE_INTEGER).length;
    this.file = new PartialFile(path, COLUMN_BUFFER_BYTES);
    this.file.appendZeros(this.#headerBytes);
  }

  get bytes(): number {
    return this.file.bytes;
  }

  fits(feature: Feature): boolean {
    if (feature instanceof Uint8Array) return this.#dtype === undefined && feature.length === this.#shape[0];
    return isTensor(feature) && feature.dtype === this.#dtype && sameShape(feature.shape, this.#shape);
  }

  append(feature: Feature): void {
    if (feature instanceof Uint8Array) this.file.append(feature);
    else if (isTensor(feature)) this.file.append(bytesOf(feature.data));
    else throw new TypeError(`Cannot append a row: it is ${describeRow(feature)}, not ${this.row}`);
  }

  complete(rows: number): void {
    this.file.patch(0, this.#header(rows));
  }

  abort(): void {
    this.file.abort();
  }

  #header(rows: number): Uint8Array {
    return this.#dtype === undefined
      ? formatNpyHeader(`|V${this.#shape[0]}`, [rows])
      : formatNpyHeader(this.#dtype, [rows, ...this.#shape]);
  }
}

/**
 * Strings of any length. NPY pads them all to the longest one, so they are spooled (length and code points of each) until
 * it is known.
 */
export class StringColumn implements NpyColumn {
  readonly file: PartialFile;
  readonly row = "a string";
  readonly #spool: PartialFile;
  readonly #block = new Uint8Array(COLUMN_BUFFER_BYTES);
  #blockStart = 0;
  #blockEnd = 0;
  #longest = 1; // numpy has no strings of width 0
  #entry = new Uint32Array(64);

  constructor(path: string) {
    this.file = new PartialFile(path, COLUMN_BUFFER_BYTES);
    this.#spool = new PartialFile(`${path}.strings`, COLUMN_BUFFER_BYTES);
  }

  get bytes(): number {
    return this.#spool.bytes;
  }

  fits(feature: Feature): boolean {
    return typeof feature === "string";
  }

  append(feature: Feature): void {
    if (typeof feature !== "string") throw new TypeError(`Cannot append a row: it is ${describeRow(feature)}`);
    // A string has at least as many code units as code points.
    if (feature.length >= this.#entry.length) this.#entry = new Uint32Array(2 * feature.length);
    let length = 0;
    for (const character of feature) this.#entry[++length] = character.codePointAt(0) ?? 0;
    this.#entry[0] = length;
    this.#longest = Math.max(this.#longest, length);
    this.#spool.append(bytesOf(this.#entry.subarray(0, length + 1)));
  }

  complete(rows: number): void {
    this.file.append(formatNpyHeader(`<U${this.#longest}`, [rows]));
    const { bytes } = this.#spool;
    for (let position = 0; position < bytes;) {
      const head = this.#spooled(position, WORD_BYTES);
      const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
      position += WORD_BYTES;
      // In pieces: a string may be longer than the block.
      for (const end = position + length * WORD_BYTES; position < end;) {
        const piece = this.#spooled(position, Math.min(end - position, this.#block.length));
        this.file.append(piece);
        position += piece.length;
      }
      this.file.appendZeros((this.#longest - length) * WORD_BYTES);
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
