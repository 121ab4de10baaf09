// Delimited text: comma-separated (https://www.rfc-editor.org/rfc/rfc4180) and tab-separated values.

import { KdataError } from "../core/errors.ts";
import { defaultKey } from "../core/sample.ts";
import { asStrings, readCells, TypeGuess, type Column, type TypedColumn } from "./csv-columns.ts";
import { cellsOf, rowFramer, type Dialect, type RowFrame } from "./csv-framer.ts";
import { isDelimited } from "./csv-rows.ts";
import type { Format, Limits } from "./format.ts";
import { openFramed, streamFramed, type FramedFormat } from "./framed.ts";
import type { SeekableSource } from "./source.ts";
import { SourceWindow } from "./window.ts";

/** Comma-separated values, as {@link delimited} reads them. */
export const csv = delimited({ name: "csv", delimiter: "," }, "CSV (comma-separated values)");

/** Tab-separated values, quoted as CSV is. */
export const tsv = delimited({ name: "tsv", delimiter: "\t" }, "TSV (tab-separated values)");

/**
 * Makes a format of delimited text, not compressed. The first row is the header; each other row is a sample, each column a feature.
 *
 * A column whose header ends in a type, `label:int64`, holds what it says. For the others a file is read through once to find the
 * narrowest type that fits every cell: int64, float64 or string; in a stream, which cannot be read twice, they are strings. A column
 * `__key__` holds the keys. Fields may be quoted, with line breaks in them and quotes doubled; lines end in LF or CR LF, the last
 * one too, because without its end a cut file would look whole. The memory of the features is their own.
 */
function delimited(dialect: Dialect, title: string): Format {
  return {
    name: dialect.name,
    title,
    extensions: [dialect.name],
    detect: (head) => isDelimited(head, dialect.delimiter),
    open([source, ...rest], options) {
      if (source === undefined || rest.length > 0) {
        throw new TypeError(`Cannot open ${dialect.name}: a shard is one file`);
      }
      return openFramed(framing(dialect, source), source, options);
    },
    stream: (source, options) => streamFramed(framing(dialect, undefined), source, options),
  };
}

/** `file` is what the types of columns can be guessed from. */
function framing(dialect: Dialect, file: SeekableSource | undefined): FramedFormat<RowFrame> {
  return (source, limits) => {
    let settled: readonly TypedColumn[] | undefined;
    function settle(columns: readonly Column[]): readonly TypedColumn[] {
      settled ??= file ? guessTypes(dialect, file, limits, columns) : asStrings(columns);
      return settled;
    }
    const keyStem = defaultKey({ source, record: 0 }).slice(0, -1);
    return {
      framer: (start) => rowFramer(dialect, source, limits, start, settle),
      ownChecksums: false,
      decode(frame, { bytes }, index) {
        const cells = cellsOf(dialect, source, frame, bytes, index);
        const { record, start } = frame;
        const { key, features } = readCells(settle(frame.columns), cells, (cell, reason) => {
          const byte = start + Buffer.byteLength(cells.slice(0, cell).join(dialect.delimiter));
          const at = { source, record, byte };
          return new KdataError("format", `Cannot read ${dialect.name}: ${reason}`, { at });
        });
        return { key: key ?? `${keyStem}${record}`, origin: { source, record }, features };
      },
    };
  };
}

/** Reads a file through to find the types that its header does not say. */
function guessTypes(
  dialect: Dialect,
  file: SeekableSource,
  limits: Limits,
  columns: readonly Column[],
): readonly TypedColumn[] {
  if (columns.every(({ type }) => type !== undefined)) return asStrings(columns);
  const start = { record: 0, position: 0, end: undefined, header: undefined };
  const framer = rowFramer(dialect, file.name, limits, start, asStrings);
  const window = new SourceWindow(file, "forward");
  const guesses = columns.map(({ type }) => (type === undefined ? new TypeGuess() : undefined));
  for (;;) {
    const frame = framer.next(window);
    if (typeof frame === "string") break;
    const index = window.locate(frame.start, frame.end - frame.start);
    const cells = cellsOf(dialect, file.name, frame, window.bytes, index);
    for (const [column, guess] of guesses.entries()) guess?.see(cells[column] as string);
  }
  return asStrings(columns.map(({ name, type }, column) => ({ name, type: type ?? guesses[column]?.type })));
}
