// Text as bytes: strict UTF-8, and JSON that survives the way through a JavaScript number.

import { KdataError, messageOf, type Position } from "../core/errors.ts";
import type { JsonValue } from "../core/sample.ts";

/** Strict, and without the habit of dropping a byte order mark: what was stored is what is read. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Decodes UTF-8.
 *
 * `what` begins the message: `Cannot read tar: the name of a member`.
 *
 * @throws {KdataError} `format` when the bytes are not UTF-8.
 */
export function decodeUtf8(bytes: Uint8Array, what: string, at: Position): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new KdataError("format", `${what} is not UTF-8`, { at, cause });
  }
}

/**
 * Parses UTF-8 JSON, with or without a byte order mark.
 *
 * @throws {KdataError} `format` when the bytes are not UTF-8 or not JSON; `unsupported` when a whole number in it is too
 *   large for a JavaScript number to hold exactly.
 */
export function parseJson(bytes: Uint8Array, what: string, at: Position): JsonValue {
  const text = decodeUtf8(bytes, what, at);
  let value: JsonValue;
  try {
    value = JSON.parse(text.startsWith("\ufeff") ? text.slice(1) : text) as JsonValue;
  } catch (cause) {
    const reason = messageOf(cause);
    throw new KdataError("format", `${what} is not JSON: ${reason}`, { at, cause });
  }
  const inexact = findInexactInteger(text);
  if (inexact !== undefined) {
    const reason = `${what} holds the whole number ${inexact}, which JSON numbers of 64-bit floats cannot hold exactly`;
    throw new KdataError("unsupported", reason, { at, hint: "Store it as text or in a tensor of dtype int64." });
  }
  return value;
}

/**
 * Encodes a string as UTF-8.
 *
 * @throws {KdataError} `shape` when it has half a surrogate pair, which UTF-8 cannot hold. `what` begins the message.
 */
export function encodeUtf8(text: string, what: string): Uint8Array {
  checkUnicode(text, what);
  return encoder.encode(text);
}

/**
 * Holds a string to what UTF-8 can hold.
 *
 * @throws {KdataError} `shape` when it has half a surrogate pair. `what` begins the message.
 */
export function checkUnicode(text: string, what: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new KdataError("shape", `${what} has half a surrogate pair, which UTF-8 cannot hold`);
  }
}

/** Decodes base64 with its padding into fresh memory; `undefined` when the text is anything else. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const decoded = Buffer.from(text, "base64");
  // Buffer passes over what is no base64.
  return decoded.toString("base64") === text ? new Uint8Array(decoded) : undefined;
}

/** Encodes bytes as base64 with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/**
 * Writes a JSON value as text without spaces.
 *
 * @throws {KdataError} `shape` when it holds a number that JSON text would not give back: NaN, an infinity, minus zero.
 */
export function jsonText(value: JsonValue, what: string): string {
  return JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === "number" && (!Number.isFinite(part) || Object.is(part, -0))) {
      const shown = Object.is(part, -0) ? "-0" : String(part);
      throw new KdataError("shape", `${what} holds ${shown}, which JSON text cannot hold`);
    }
    return part;
  });
}

/**
 * Encodes a JSON value as UTF-8 text without spaces.
 *
 * @throws {KdataError} `shape` as {@link jsonText}.
 */
export function encodeJson(value: JsonValue, what: string): Uint8Array {
  return encoder.encode(jsonText(value, what));
}

/**
 * Looks for a whole number that changed when it became a float: neither is the float the same number, nor is it written with
 * the same digits. Only numbers of 16 digits and more can.
 */
function findInexactInteger(text: string): string | undefined {
  if (!/[0-9]{16}/.test(text)) return undefined;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g)) {
    if (!/^-?[0-9]{16,}$/.test(token)) continue;
    const value = Number(token);
    if (String(value) !== token && (!Number.isFinite(value) || BigInt(value) !== BigInt(token))) return token;
  }
  return undefined;
}
