// Finds the rows of delimited text, and the columns that its header names.

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import { parseColumn, typeText, type Column, type TypedColumn } from "./csv-columns.ts";
import { countQuotes, splitRow, withoutLineEnd } from "./csv-rows.ts";
import type { Limits } from "./format.ts";
import type { Frame, Framer, FramingStart } from "./framed.ts";
import { decodeLine, LineSearch } from "./lines.ts";
import type { Window } from "./window.ts";

const CUT_HINT = "If the file is whole, add a line break at its end.";

/** The text that is read: how messages begin, and what stands between fields. */
export interface Dialect {
  readonly name: string;
  readonly delimiter: string;
}

/** One row, and the columns that hold for all rows. */
export interface RowFrame extends Frame {
  readonly columns: readonly Column[];
}

/** What an index keeps: the cells of a header whose columns all have types. */
type IndexHeader = readonly string[];

/** Makes a framer; `settle` gives columns their types, which an index keeps. */
export function rowFramer(
  dialect: Dialect,
  source: string,
  limits: Limits,
  start: FramingStart,
  settle: (columns: readonly Column[]) => readonly TypedColumn[],
): Framer<RowFrame> & { header(): IndexHeader } {
  return new RowFramer(dialect, source, limits, start, settle);
}

/**
 * Splits a row whose bytes begin at `index` of `bytes` into its cells.
 *
 * @throws {KdataError} `format` when it is not UTF-8, its quotes are wrong, or it has more or fewer fields than the header.
 */
export function cellsOf(
  dialect: Dialect,
  source: string,
  frame: RowFrame,
  bytes: Uint8Array,
  index: number,
): readonly string[] {
  const { record, start, end, columns } = frame;
  const at = { source, record, byte: start };
  const row = withoutLineEnd(bytes.subarray(index, index + end - start));
  const cells = fieldsOf(dialect, row, at);
  if (cells.length !== columns.length) {
    const found = row.length === 0 ? "the line is empty" : `the row has ${count(cells.length)}`;
    throw new KdataError("format", `Cannot read ${dialect.name}: ${found}, the header has ${columns.length}`, { at });
  }
  return cells;
}

class RowFramer implements Framer<RowFrame> {
  readonly #dialect: Dialect;
  readonly #source: string;
  readonly #limits: Limits;
  readonly #settle: (columns: readonly Column[]) => readonly TypedColumn[];
  readonly #search = new LineSearch();
  #columns: readonly Column[] | undefined;
  #record: number;
  #position: number;
  /** Up to here the row was looked through for quotes, of which there were so many. */
  #counted: number;
  #quotes = 0;

  constructor(
    dialect: Dialect,
    source: string,
    limits: Limits,
    start: FramingStart,
    settle: (columns: readonly Column[]) => readonly TypedColumn[],
  ) {
    this.#dialect = dialect;
    this.#source = source;
    this.#limits = limits;
    this.#settle = settle;
    this.#record = start.record;
    this.#position = start.position;
    this.#counted = start.position;
    if (start.end !== undefined) this.#columns = this.#indexedColumns(start.header);
  }

  header(): IndexHeader {
    return this.#settle(this.#columns ?? []).map(({ name, type }) => `${name}:${typeText(type)}`);
  }

  next(window: Window): RowFrame | "more" | "end" {
    if (this.#columns === undefined) {
      const end = this.#rowEnd(window, this.#limits.headerBytes);
      if (end === "more") return "more";
      if (end === "end") throw this.#fail("truncated", "the file ends before its header", this.#position);
      const index = window.locate(this.#position, end - this.#position);
      this.#columns = this.#parseHeader(window.bytes.subarray(index, index + end - this.#position));
      this.#position = end;
    }
    const end = this.#rowEnd(window, this.#limits.recordBytes);
    if (typeof end === "string") return end;
    const frame = { record: this.#record++, start: this.#position, end, columns: this.#columns };
    this.#position = end;
    return frame;
  }

  /** Finds where the row ends that begins at the position. */
  #rowEnd(window: Window, maxBytes: number): number | "more" | "end" {
    const start = this.#position;
    window.release(start);
    for (;;) {
      const found = this.#search.next(window, start, this.#counted, maxBytes + 1);
      if (found === "more") return "more";
      if (found === "long") throw this.#fail("limit", `a row is longer than the limit of ${maxBytes} bytes`, start);
      if (found === "none") {
        if (window.end === start) return "end";
        throw this.#cut(window);
      }
      const index = window.locate(start, found - start);
      this.#quotes += countQuotes(window.bytes.subarray(index + this.#counted - start, index + found - start));
      this.#counted = found;
      if (this.#quotes % 2 === 0) {
        this.#quotes = 0;
        return found;
      }
    }
  }

  /** What is wrong with a last row that does not end: a stray quote makes all that follows look like a field, else it is cut. */
  #cut(window: Window): KdataError {
    const length = window.end - this.#position;
    const index = window.locate(this.#position, length);
    const at = { ...this.#at(this.#position), byte: this.#position };
    try {
      fieldsOf(this.#dialect, window.bytes.subarray(index, index + length), at);
    } catch (error) {
      if (error instanceof KdataError) return error;
      throw error;
    }
    const reason = "the file ends inside a row: there is no line break";
    const details = { at: this.#at(window.end), hint: CUT_HINT };
    return new KdataError("truncated", `Cannot read ${this.#dialect.name}: ${reason}`, details);
  }

  #parseHeader(row: Uint8Array): readonly Column[] {
    const at = { source: this.#source, byte: this.#position };
    const cells = fieldsOf(this.#dialect, withoutLineEnd(row), at, true);
    const columns = cells.map(parseColumn);
    const names = new Set<string>();
    for (const { name } of columns) {
      if (names.has(name)) {
        throw new KdataError("format", `Cannot read ${this.#dialect.name}: two columns are named "${name}"`, { at });
      }
      names.add(name);
    }
    return columns;
  }

  #indexedColumns(header: unknown): readonly Column[] {
    const isCells = Array.isArray(header) && header.every((cell) => typeof cell === "string");
    if (isCells) return header.map(parseColumn);
    const at = { source: this.#source };
    throw new KdataError("state", `Cannot read ${this.#dialect.name}: the index has no valid header`, { at });
  }

  #fail(code: ErrorCode, reason: string, byte: number): KdataError {
    return new KdataError(code, `Cannot read ${this.#dialect.name}: ${reason}`, { at: this.#at(byte) });
  }

  #at(byte: number): Position {
    return this.#columns === undefined
      ? { source: this.#source, byte }
      : { source: this.#source, record: this.#record, byte };
  }
}

/** Decodes and splits a row without its line end. Before a header there may be a byte order mark, as Excel writes it. */
function fieldsOf(
  { name, delimiter }: Dialect,
  row: Uint8Array,
  at: Position & { readonly byte: number },
  isHeader = false,
): string[] {
  const whole = decodeLine(row, `Cannot read ${name}: a row`, at);
  const text = isHeader && at.byte === 0 && whole.startsWith("\ufeff") ? whole.slice(1) : whole;
  return splitRow(text, delimiter, (code, reason, index) => {
    const byte = at.byte + row.length - Buffer.byteLength(text.slice(index));
    return new KdataError(code, `Cannot read ${name}: ${reason}`, { at: { ...at, byte } });
  });
}

function count(fields: number): string {
  return fields === 1 ? "1 field" : `${fields} fields`;
}
