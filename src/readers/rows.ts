// Shards whose samples are the rows of arrays: one column for each feature, records found by arithmetic, no index needed.
// Rows are read by positional reads into one reused block a column.

import { KdataError, type Position } from "../core/errors.ts";
import { defaultKey, emptyFeatures, type Feature, type Sample } from "../core/sample.ts";
import { elementCount } from "../core/tensor.ts";
import { featureOf, toNativeOrder, type ElementFail } from "./element.ts";
import { faultOr } from "./fault.ts";
import type { ColumnReader, ColumnSpec, Fault, Limits, ShardReader } from "./format.ts";
import { openRowColumns, type RowColumns } from "./row-columns.ts";
import { gatherRow, type RowColumn, type RowLayout } from "./row-layout.ts";
import type { SeekableSource } from "./source.ts";

/** The column that holds keys instead of a feature. */
const KEY_COLUMN = "__key__";
/** What a column keeps in memory: 256 KB reads of a warm file are near the fastest, and labels often fit whole. */
const BLOCK_BYTES = 1 << 18;
/** Rows without bytes cannot be held to the size of a file; alone in a shard, no more than this many are believed. */
const MAX_EMPTY_ROWS = 1 << 20;

/** Columns that are one shard. */
export interface RowShard {
  /** The format, for messages. */
  readonly format: string;
  /** The name of the shard. */
  readonly name: string;
  readonly columns: readonly RowColumn[];
  /** What to do when the columns differ in length. */
  readonly lengthHint?: string;
  /** Closed with the reader. */
  readonly sources: readonly SeekableSource[];
}

/**
 * Opens columns as a shard whose samples are their rows. Tensors and bytes are views, valid until the next call.
 *
 * A column of strings named `__key__` holds the keys.
 *
 * @throws {KdataError} `shape` when columns differ in length or share a name, `format` when keys are not strings, `limit`
 *   when one row of all columns takes more than `limits.recordBytes`.
 */
export function openRows(shard: RowShard, limits: Limits): ShardReader {
  const keys = shard.columns.find(({ name }) => name === KEY_COLUMN);
  const at = { source: shard.name };
  if (keys && (keys.element.kind !== "string" || keys.shape.length > 0)) {
    throw new KdataError("format", `Cannot read ${shard.format}: the rows of ${KEY_COLUMN} are not strings`, { at });
  }
  const count = commonCount(shard);
  const rowBytes = shard.columns.reduce((sum, column) => sum + bytesOfRow(column), 0);
  if (rowBytes > limits.recordBytes) {
    const reason = `a row of ${rowBytes} bytes exceeds the limit of ${limits.recordBytes}`;
    throw new KdataError("limit", `Cannot read ${shard.format}: ${reason}`, { at });
  }
  if (rowBytes === 0 && count > MAX_EMPTY_ROWS) {
    const reason = `${count} rows without bytes exceed the limit of ${MAX_EMPTY_ROWS}`;
    throw new KdataError("limit", `Cannot read ${shard.format}: ${reason}`, { at });
  }
  return new RowReader(shard, count);
}

class RowReader implements ShardReader {
  readonly source: string;
  readonly #count: number;
  readonly #columns: readonly RowColumn[];
  readonly #opened: RowColumns[] = [];
  readonly #features: readonly ColumnRowReader[];
  readonly #keys: ColumnRowReader | undefined;
  readonly #keyStem: string;
  readonly #sources: readonly SeekableSource[];

  constructor({ format, name, columns, sources }: RowShard, count: number) {
    this.source = name;
    this.#count = count;
    this.#columns = columns.filter((column) => column.name !== KEY_COLUMN);
    const readers = columns.map((column) => new ColumnRowReader(column, `Cannot read ${format}`));
    this.#features = readers.filter((reader) => reader.name !== KEY_COLUMN);
    this.#keys = readers.find((reader) => reader.name === KEY_COLUMN);
    this.#keyStem = defaultKey({ source: name, record: 0 }).slice(0, -1);
    this.#sources = sources;
  }

  count(): number {
    return this.#count;
  }

  read(record: number): Sample {
    if (!Number.isInteger(record) || record < 0 || record >= this.#count) {
      throw new RangeError(`Cannot read record ${record} of ${this.source}: it has ${this.#count}`);
    }
    return this.#sample(record, 1);
  }

  *samples(): Generator<Sample> {
    for (let record = 0; record < this.#count; record++) yield this.#sample(record, BLOCK_BYTES);
  }

  *check(): Generator<Sample | Fault> {
    for (let record = 0; record < this.#count; record++) {
      const sample = faultOr(() => this.#sample(record, BLOCK_BYTES));
      yield sample instanceof KdataError ? { error: sample, uncheckedBytes: 0 } : sample;
    }
  }

  index(): undefined {
    return undefined;
  }

  scan(): undefined {
    return undefined;
  }

  columns(columns: readonly ColumnSpec[]): ColumnReader | undefined {
    const opened = openRowColumns(this.#columns, columns, {
      source: this.source,
      count: this.#count,
      hasKeys: this.#keys !== undefined,
      keyStem: this.#keyStem,
      key: (record, isInOrder) => this.#key(record, isInOrder ? BLOCK_BYTES : 1),
      read: (record) => this.read(record),
    });
    if (opened) this.#opened.push(opened);
    return opened;
  }

  close(): void {
    for (const columns of this.#opened) columns.close();
    for (const source of this.#sources) source.close();
  }

  #sample(record: number, aheadBytes: number): Sample {
    const features = emptyFeatures();
    for (const column of this.#features) features[column.name] = column.read(record, aheadBytes);
    return { key: this.#key(record, aheadBytes), origin: { source: this.source, record }, features };
  }

  #key(record: number, aheadBytes: number): string {
    return this.#keys ? (this.#keys.read(record, aheadBytes) as string) : `${this.#keyStem}${record}`;
  }
}

/** Reads the rows of one column through a block of rows in native byte order. */
class ColumnRowReader {
  readonly name: string;
  readonly #column: RowColumn;
  readonly #what: string;
  readonly #rowBytes: number;
  /** Made once: a row is read in less time than objects for an error that does not happen. */
  readonly #fail: ElementFail;
  #block = new Uint8Array(0);
  /** The row that was asked for last. */
  #row = 0;
  /** The rows in the block: half-open. */
  #first = 0;
  #end = 0;

  constructor(column: RowColumn, what: string) {
    this.name = column.name;
    this.#column = column;
    this.#what = what;
    this.#rowBytes = bytesOfRow(column);
    this.#fail = (reason, byte) => {
      return new KdataError("format", `${what}: ${reason}`, { at: this.#at(this.#row, byte) });
    };
  }

  /** Reads one row, and from the next ones what fits into `aheadBytes`. */
  read(row: number, aheadBytes: number): Feature {
    const { element, shape } = this.#column;
    if (row < this.#first || row >= this.#end) this.#fill(row, aheadBytes);
    const offset = (row - this.#first) * this.#rowBytes;
    this.#row = row;
    return featureOf(element, shape, this.#block.subarray(offset, offset + this.#rowBytes), this.#fail);
  }

  /** Reads rows from `row` on; the whole column where it fits into a block. */
  #fill(row: number, aheadBytes: number): void {
    const { count, element, source, start, layout } = this.#column;
    const storedBytes = layout?.recordBytes ?? this.#rowBytes;
    const whole = count * storedBytes <= BLOCK_BYTES;
    const first = whole ? 0 : row;
    const end = whole ? count : Math.min(count, row + Math.max(1, Math.floor(aheadBytes / storedBytes)));
    const length = (end - first) * this.#rowBytes;
    if (length > this.#block.length) this.#block = new Uint8Array(length);
    const rows = this.#block.subarray(0, length);
    // Until the read has gone well, there are no rows.
    this.#end = this.#first;
    if (layout) this.#gather(rows, first, end, layout);
    else if (source.read(rows, start + first * this.#rowBytes) < length) throw this.#shorter(row);
    toNativeOrder(element, rows);
    this.#first = first;
    this.#end = end;
  }

  /** Takes this column's part of each record. */
  #gather(rows: Uint8Array, first: number, end: number, layout: RowLayout): void {
    const records = layout.records.read(first, end);
    if (!records) throw this.#shorter(first);
    const { recordBytes } = layout;
    for (let i = 0; i < end - first; i++) {
      const record = records.subarray(i * recordBytes, (i + 1) * recordBytes);
      gatherRow(rows.subarray(i * this.#rowBytes, (i + 1) * this.#rowBytes), record, layout);
    }
  }

  #shorter(row: number): KdataError {
    const reason = `${this.#what}: the file became shorter while it was read`;
    return new KdataError("truncated", reason, { at: this.#at(row) });
  }

  #at(row: number, byte = 0): Position {
    const { source, start, stored, layout } = this.#column;
    const at = { source: source.name, record: row };
    if (!stored) return at;
    if (!layout) return { ...at, byte: start + row * this.#rowBytes + byte };
    // Of a row in several parts, where the first one begins.
    const inside = layout.offset + (layout.axes.length === 0 ? byte : 0);
    return { ...at, byte: start + row * layout.recordBytes + inside };
  }
}

function bytesOfRow({ element, shape }: RowColumn): number {
  return element.byteLength * elementCount(shape);
}

function commonCount({ format, name, columns, lengthHint }: RowShard): number {
  const [first] = columns;
  const names = new Set<string>();
  for (const column of columns) {
    if (names.has(column.name)) {
      const reason = `Cannot read ${format}: two arrays hold the feature "${column.name}"`;
      throw new KdataError("shape", reason, { at: { source: name } });
    }
    names.add(column.name);
    if (first && column.count !== first.count) {
      const lengths = `"${first.name}" has ${first.count} rows, "${column.name}" has ${column.count}`;
      throw new KdataError("shape", `Cannot read ${format}: arrays of one shard differ in length: ${lengths}`, {
        at: { source: name },
        ...(lengthHint === undefined ? {} : { hint: lengthHint }),
      });
    }
  }
  return first?.count ?? 0;
}
