// Lines of text in a window of bytes: their ends, and their characters.

import { isAscii, isUtf8 } from "node:buffer";
import { KdataError, type Position } from "../core/errors.ts";
import type { Window } from "./window.ts";

/** Bytes that are looked through at first. Twice as many each time that a line turns out to be longer. */
const FIRST_STEP_BYTES = 1 << 12;
const LINE_FEED = 0x0a;

/** Finds line feeds. It keeps its place, and continues there when more bytes have arrived. */
export class LineSearch {
  /** From `from` up to here there is no line feed. */
  #searched = 0;

  /**
   * Finds the first line feed at `from` or later and says which position follows it, at most `start + maxBytes`. What is between
   * `start` and there is in the window then. `more`: it has yet to arrive. `none`: there is none before the source ends.
   * `long`: there is none within the limit.
   */
  next(window: Window, start: number, from: number, maxBytes: number): number | "more" | "none" | "long" {
    this.#searched = Math.max(this.#searched, from);
    for (;;) {
      if (this.#searched >= window.end) return "none";
      if (this.#searched - start >= maxBytes) return "long";
      const step = Math.max(FIRST_STEP_BYTES, this.#searched - start);
      const end = Math.min(this.#searched + step, window.end, start + maxBytes);
      const index = window.locate(start, end - start);
      if (index < 0) return "more";
      const first = index + this.#searched - start;
      const found = window.bytes.subarray(first, index + end - start).indexOf(LINE_FEED);
      if (found >= 0) return (this.#searched += found + 1);
      this.#searched = end;
    }
  }
}

/**
 * Decodes UTF-8. `what` begins the message: `Cannot read jsonl: the line`.
 *
 * @throws {KdataError} `format` when the bytes are not UTF-8, at the first byte that is not; `at.byte` is where they begin.
 */
export function decodeLine(bytes: Uint8Array, what: string, at: Position): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isAscii(buffer)) return buffer.toString("latin1");
  if (isUtf8(buffer)) return buffer.toString("utf8");
  const byte = (at.byte ?? 0) + validBytes(buffer);
  throw new KdataError("format", `${what} is not UTF-8`, { at: { ...at, byte } });
}

/** Counts the bytes before the first character that is none. */
function validBytes(bytes: Uint8Array): number {
  let valid = 0;
  // A character takes four bytes at most.
  for (let end = 1; end <= bytes.length && end - valid <= 4; end++) {
    if (isUtf8(bytes.subarray(valid, end))) valid = end;
  }
  return valid;
}
