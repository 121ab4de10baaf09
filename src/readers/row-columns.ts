// Rows of arrays as columns: straight from the file into the memory of a batch. Large rows, and rows that follow one another, are read
// where they lie; small ones in any order are gathered from a copy of the file in memory, which a system call a row is far from.

import { KdataError } from "../core/errors.ts";
import type { TensorData } from "../core/tensor.ts";
import { bytesOf, elementCount } from "../core/tensor.ts";
import { toNativeOrder } from "./element.ts";
import type { ColumnReader, ColumnRows, ColumnSpec } from "./format.ts";
import { DIRECT_BYTES, isWorthLoading, loadResident, releaseResident } from "./resident-source.ts";
import type { RowColumn } from "./row-layout.ts";

/** Four-byte words of a cache line. */
const LINE_WORDS = 16;

/** Kept, so that what is only touched counts as used. */
const touched = new Int32Array(1);

/** What a reader of rows lends its columns. */
export interface RowAccess {
  readonly source: string;
  readonly count: number;
  /** Whether keys are stored: then they may be damaged, and are read even where they are not wanted. */
  readonly hasKeys: boolean;
  /** What a key begins with where they are not stored; the record follows. */
  readonly keyStem: string;
  /** Reads the key of a record with all checks; the next ones as well where they are read in order. */
  key(record: number, isInOrder: boolean): string;
  /** Reads a record as a sample, for the error that it is. */
  read(record: number): unknown;
}

/** Makes a reader of columns; `undefined` where rows are interleaved with others, are no tensors, or are of other columns than these. */
export function openRowColumns(
  stored: readonly RowColumn[],
  columns: readonly ColumnSpec[],
  access: RowAccess,
): RowColumns | undefined {
  if (columns.length === 0 || stored.length !== columns.length) return undefined;
  const found: RowColumn[] = [];
  for (const column of columns) {
    const match = stored.find(({ name }) => name === column.name);
    if (match === undefined || !isColumn(match, column)) return undefined;
    found.push(match);
  }
  return new RowColumns(
    found.map((column) => new Rows(column)),
    access,
  );
}

function isColumn({ element, shape, layout }: RowColumn, column: ColumnSpec): boolean {
  if (layout !== undefined || element.kind !== "tensor" || element.dtype !== column.dtype) return false;
  return shape.length === column.shape.length && shape.every((size, axis) => size === column.shape[axis]);
}

/** Reads the columns of one shard. */
export class RowColumns implements ColumnReader {
  readonly #columns: readonly Rows[];
  readonly #access: RowAccess;
  #next = 0;

  constructor(columns: readonly Rows[], access: RowAccess) {
    this.#columns = columns;
    this.#access = access;
  }

  next(into: ColumnRows, row: number, count: number): number {
    const first = this.#next;
    const read = Math.min(count, this.#access.count - first);
    for (const [i, column] of this.#columns.entries()) {
      const target = column.target(into.columns[i], row, read);
      if (!column.read(target, first, read) || !column.isValid(target)) this.#refuse(read, (i) => first + i);
    }
    if (into.keys || this.#access.hasKeys) {
      for (let i = 0; i < read; i++) this.#addKey(first + i, true, into);
    }
    this.#next += read;
    return read;
  }

  read(records: ArrayLike<number>, into: ColumnRows, row: number): number {
    for (let i = 0; i < records.length; i++) {
      const record = records[i] as number;
      if (!(record >= 0 && record < this.#access.count && Number.isInteger(record))) this.#access.read(record);
    }
    for (const [i, column] of this.#columns.entries()) {
      const target = column.target(into.columns[i], row, records.length);
      if (!column.gather(target, records) || !column.isValid(target)) {
        this.#refuse(records.length, (i) => records[i] as number);
      }
    }
    if (into.keys || this.#access.hasKeys) {
      for (let i = 0; i < records.length; i++) this.#addKey(records[i] as number, false, into);
    }
    return records.length;
  }

  /** Lets go of what is in memory. */
  close(): void {
    for (const column of this.#columns) column.close();
  }

  #addKey(record: number, isInOrder: boolean, { keys }: ColumnRows): void {
    const { hasKeys, keyStem } = this.#access;
    const key = hasKeys ? this.#access.key(record, isInOrder) : `${keyStem}${record}`;
    keys?.push(key);
  }

  /** Reads records as samples: the first one that is damaged is the error. */
  #refuse(count: number, recordAt: (i: number) => number): never {
    for (let i = 0; i < count; i++) this.#access.read(recordAt(i));
    const at = { source: this.#access.source, record: recordAt(0) };
    throw new KdataError("input", "Cannot read rows: the file changed while it was read", { at });
  }
}

/** The rows of one column. */
class Rows {
  readonly #column: RowColumn;
  readonly #rowBytes: number;
  #resident: Uint8Array | undefined;
  #alone = 0;

  constructor(column: RowColumn) {
    this.#column = column;
    this.#rowBytes = column.element.byteLength * elementCount(column.shape);
  }

  /** The bytes of `count` rows of a column's memory from `row` on. */
  target(data: TensorData | undefined, row: number, count: number): Uint8Array {
    const bytes = data === undefined ? new Uint8Array(0) : bytesOf(data);
    return bytes.subarray(row * this.#rowBytes, (row + count) * this.#rowBytes);
  }

  /** Whether every bool is 0 or 1. */
  isValid(rows: Uint8Array): boolean {
    const { element } = this.#column;
    return element.kind !== "tensor" || element.dtype !== "bool" || rows.every((value) => value <= 1);
  }

  /** Reads rows that follow one another; `false` where the file has become shorter. */
  read(target: Uint8Array, first: number, count: number): boolean {
    const { source, start, element } = this.#column;
    const length = count * this.#rowBytes;
    if (source.read(target.subarray(0, length), start + first * this.#rowBytes) < length) return false;
    toNativeOrder(element, target.subarray(0, length));
    return true;
  }

  /** Reads rows in any order; `false` where the file has become shorter. */
  gather(target: Uint8Array, records: ArrayLike<number>): boolean {
    const rowBytes = this.#rowBytes;
    if (this.#resident) {
      gatherRows(target, this.#resident, records, rowBytes);
      return true;
    }
    for (let i = 0; i < records.length;) {
      const first = records[i] as number;
      let count = 1;
      while (i + count < records.length && records[i + count] === first + count) count++;
      if (!this.read(target.subarray(i * rowBytes), first, count)) return false;
      if (count * rowBytes < DIRECT_BYTES) this.#alone++;
      i += count;
    }
    this.#loadIfWorth();
    return true;
  }

  /** Gives back the memory. */
  close(): void {
    if (this.#resident) releaseResident(this.#resident.length);
    this.#resident = undefined;
    this.#alone = 0;
  }

  /** Loads the column when enough of its rows have been read alone and there is room for it. */
  #loadIfWorth(): void {
    const { count, stored } = this.#column;
    if (!stored || !isWorthLoading(this.#alone, count)) return;
    // A file that has become shorter is an error of the rows that are missing only.
    this.#resident = loadResident(count * this.#rowBytes, (target) => this.read(target, 0, count));
  }
}

/** Copies rows one after another. A loop over words is faster than a call a row where rows are small. */
function gatherRows(target: Uint8Array, rows: Uint8Array, records: ArrayLike<number>, rowBytes: number): void {
  if (rowBytes % 4 !== 0 || target.byteOffset % 4 !== 0 || rowBytes > DIRECT_BYTES) {
    gatherBytes(target, rows, records, rowBytes);
    return;
  }
  const from = new Int32Array(rows.buffer, rows.byteOffset, rows.length >>> 2);
  const to = new Int32Array(target.buffer, target.byteOffset, target.length >>> 2);
  const words = rowBytes >>> 2;
  const unrolled = words & ~3;
  touched[0] = touchRows(from, records, words);
  for (let i = 0, at = 0; i < records.length; i++) {
    let source = (records[i] as number) * words;
    for (const end = at + unrolled; at < end; at += 4, source += 4) {
      to[at] = from[source] as number;
      to[at + 1] = from[source + 1] as number;
      to[at + 2] = from[source + 2] as number;
      to[at + 3] = from[source + 3] as number;
    }
    for (const end = at + words - unrolled; at < end; at++, source++) to[at] = from[source] as number;
  }
}

/**
 * Reads a word of each cache line of the rows. Rows in any order are rarely in a cache, and a loop of loads that do not wait for one
 * another has many of them under way: copying is twice as fast behind it.
 */
function touchRows(from: Int32Array, records: ArrayLike<number>, words: number): number {
  let all = 0;
  for (let i = 0; i < records.length; i++) {
    const source = (records[i] as number) * words;
    for (let word = 0; word < words; word += LINE_WORDS) all |= from[source + word] as number;
  }
  return all;
}

function gatherBytes(target: Uint8Array, rows: Uint8Array, records: ArrayLike<number>, rowBytes: number): void {
  for (let i = 0, at = 0; i < records.length; i++) {
    const source = (records[i] as number) * rowBytes;
    if (rowBytes > 64) {
      target.set(rows.subarray(source, source + rowBytes), at);
      at += rowBytes;
    } else {
      for (let byte = 0; byte < rowBytes; byte++) target[at++] = rows[source + byte] as number;
    }
  }
}
