// Rows of delimited text: where they end, and their fields. https://www.rfc-editor.org/rfc/rfc4180

import { KdataError } from "../core/errors.ts";
import { parseColumn } from "./csv-columns.ts";

const QUOTE = 0x22;
/** What no text holds, but binary data does. */
const BINARY = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/; // eslint-disable-line no-control-regex -- that is what it looks for
/** How a cell of a header does not begin or end: prose has spaces around its commas; JSON and XML are formats of their own. */
const NO_HEADER_CELL = /^[\s{[<]|\s$/;

/** Makes the error for what is wrong at an index of a row's text; the length of the text where it ends too early. */
export type RowFail = (code: "format" | "truncated", reason: string, index: number) => KdataError;

/** Counts the quotes among bytes. A line feed belongs to a quoted field exactly where the quotes before it are odd in number. */
export function countQuotes(bytes: Uint8Array): number {
  let count = 0;
  for (let index = bytes.indexOf(QUOTE); index >= 0; index = bytes.indexOf(QUOTE, index + 1)) count++;
  return count;
}

/** Takes the line end off a row: LF or CR LF. */
export function withoutLineEnd(row: Uint8Array): Uint8Array {
  return row.subarray(0, row.length - (row[row.length - 2] === 0x0d ? 2 : 1));
}

/**
 * Splits the text of a row, without its line end, into the content of its fields.
 *
 * @throws {KdataError} `format` when a quote or a line break stands inside a field without quotes, or text behind the quote that
 *   closes a field; `truncated` when a field is not closed.
 */
export function splitRow(text: string, delimiter: string, fail: RowFail): string[] {
  if (!text.includes('"')) {
    checkPlain(text, 0, fail);
    return text.split(delimiter);
  }
  const fields: string[] = [];
  let position = 0;
  for (;;) {
    let end: number;
    if (text.charCodeAt(position) === QUOTE) {
      end = quotedEnd(text, position, fail);
      fields.push(text.slice(position + 1, end - 1).replaceAll('""', '"'));
      if (end < text.length && text[end] !== delimiter) {
        throw fail("format", "text follows the quote that closes a field", end);
      }
    } else {
      const next = text.indexOf(delimiter, position);
      end = next < 0 ? text.length : next;
      const field = text.slice(position, end);
      checkPlain(field, position, fail);
      fields.push(field);
    }
    if (end === text.length) return fields;
    position = end + 1;
  }
}

/**
 * Says whether first bytes of a file are delimited text: valid UTF-8, a header, and rows that have as many fields as it. A single
 * column is only believed when its header says the type, as kdata writes it, and so is a header without rows.
 */
export function isDelimited(head: Uint8Array, delimiter: string): boolean {
  const text = decodeHead(head);
  if (text === undefined) return false;
  try {
    const rows = wholeRows(text).map((row) => splitRow(row, delimiter, refusal));
    const [header, ...others] = rows;
    if (header === undefined) return isCutHeader(text, delimiter);
    // A delimiter outside quotes would make it a header of the other kind.
    if (header.length === 1 && /^[^"]*[,\t]/.test(text.slice(0, text.indexOf("\n")))) return false;
    if (header.every((cell) => parseColumn(cell).type !== undefined)) return true;
    return (
      header.length > 1 &&
      isHeader(header, text) &&
      others.length > 0 &&
      others.every((row) => row.length === header.length)
    );
  } catch (error) {
    if (!(error instanceof KdataError)) throw error;
    return false;
  }
}

/** Says whether a text without a whole row begins like a header that is longer than the head. */
function isCutHeader(text: string, delimiter: string): boolean {
  const cells = splitRow(text.slice(0, Math.max(0, text.lastIndexOf(delimiter))), delimiter, refusal);
  return cells.length > 1 && isHeader(cells, text) && cells.every((cell) => cell.length <= MAX_CUT_CELL);
}

function isHeader(cells: readonly string[], text: string): boolean {
  return !BINARY.test(text) && new Set(cells).size === cells.length && !cells.some((cell) => NO_HEADER_CELL.test(cell));
}

function refusal(code: "format" | "truncated", reason: string): KdataError {
  return new KdataError(code, reason);
}

/** A longer cell of a header that is longer than the head looks like prose. */
const MAX_CUT_CELL = 64;

/** The index behind the quote that closes a field. */
function quotedEnd(text: string, start: number, fail: RowFail): number {
  let position = start + 1;
  for (;;) {
    const quote = text.indexOf('"', position);
    if (quote < 0) throw fail("truncated", "the file ends inside a quoted field", text.length);
    if (text.charCodeAt(quote + 1) !== QUOTE) return quote + 1;
    position = quote + 2;
  }
}

function checkPlain(field: string, start: number, fail: RowFail): void {
  const wrong = /["\r\n]/.exec(field);
  if (wrong === null) return;
  const what = wrong[0] === '"' ? "a quote" : "a line break";
  throw fail("format", `${what} stands inside a field that does not begin with a quote`, start + wrong.index);
}

/** Decodes a head that may end inside a character. */
function decodeHead(head: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

/** The rows of a text that end in it, without their line ends. */
function wholeRows(text: string): string[] {
  const rows: string[] = [];
  let start = 0;
  let quotes = 0;
  for (const { 0: found, index } of text.matchAll(/"|\n/g)) {
    if (found === '"') {
      quotes++;
    } else if (quotes % 2 === 0) {
      rows.push(text.slice(start, text[index - 1] === "\r" ? index - 1 : index));
      start = index + 1;
    }
  }
  return rows;
}
