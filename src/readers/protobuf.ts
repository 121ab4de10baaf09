// Protobuf's wire format, read strictly and without trust: https://protobuf.dev/programming-guides/encoding/. A cursor moves
// over bytes; every length is held to the end of what contains it.

import { KdataError } from "../core/errors.ts";

/** The lower three bits of a tag. */
export const wireTypes = { varint: 0, fixed64: 1, length: 2, groupStart: 3, groupEnd: 4, fixed32: 5 } as const;

/** Groups in groups: what protobuf's own parsers allow. */
const MAX_GROUP_DEPTH = 100;

/** A place in a message, and the end of the (sub)message that it is in. Moved by the functions of this file. */
export interface Cursor {
  readonly bytes: Uint8Array;
  /** The same bytes. */
  readonly view: DataView;
  position: number;
  end: number;
  /** For messages: where the bytes come from, which record they are, and where in the source `bytes[0]` lies. */
  readonly source: string;
  readonly record: number;
  readonly origin: number;
}

/**
 * Reads a tag: the field number times 8 plus the wire type.
 *
 * @throws {KdataError} `format` when it is cut off, too long, or of field 0.
 */
export function readTag(cursor: Cursor): number {
  const start = cursor.position;
  const tag = readUint32(cursor, "tag");
  if (tag < 8) throw wireError(cursor, start, "a field has the number 0");
  return tag;
}

/**
 * Reads a length, and holds it to the bytes that are left.
 *
 * @throws {KdataError} `format` when it is cut off, too long, or over the end.
 */
export function readLength(cursor: Cursor): number {
  const start = cursor.position;
  const length = readUint32(cursor, "length");
  if (length > cursor.end - cursor.position) {
    throw wireError(
      cursor,
      start,
      `a length of ${length} bytes exceeds the ${cursor.end - cursor.position} that are left`,
    );
  }
  return length;
}

/**
 * Moves over a varint of up to 64 bits.
 *
 * @throws {KdataError} `format` when it is cut off or longer than ten bytes.
 */
export function skipVarint(cursor: Cursor): void {
  const start = cursor.position;
  const limit = Math.min(cursor.end, start + 10);
  while (cursor.position < limit) if ((cursor.bytes[cursor.position++] as number) < 0x80) return;
  throw wireError(cursor, start, limit === cursor.end ? "a varint is cut off" : "a varint is longer than 64 bits");
}

/**
 * Moves over the value of a field that is not known.
 *
 * @throws {KdataError} `format` when it is cut off or its wire type does not exist.
 */
export function skipField(cursor: Cursor, tag: number, depth = 0): void {
  const start = cursor.position;
  switch (tag & 7) {
    case wireTypes.varint:
      skipVarint(cursor);
      return;
    case wireTypes.fixed64:
      skipBytes(cursor, 8);
      return;
    case wireTypes.length: {
      const length = readLength(cursor);
      cursor.position += length;
      return;
    }
    case wireTypes.fixed32:
      skipBytes(cursor, 4);
      return;
    case wireTypes.groupStart:
      if (depth === MAX_GROUP_DEPTH) throw wireError(cursor, start, "groups are nested too deep");
      skipGroup(cursor, tag, depth + 1);
      return;
    default:
      throw wireError(cursor, start, `wire type ${tag & 7} has no place here`);
  }
}

/**
 * Moves over a fixed number of bytes.
 *
 * @throws {KdataError} `format` when fewer are left.
 */
export function skipBytes(cursor: Cursor, length: number): void {
  if (length > cursor.end - cursor.position) throw wireError(cursor, cursor.position, "a field is cut off");
  cursor.position += length;
}

/** Makes the error for malformed bytes at an index of the cursor's bytes. */
export function wireError(cursor: Cursor, index: number, reason: string): KdataError {
  const at = { source: cursor.source, record: cursor.record, byte: cursor.origin + index };
  return new KdataError("format", `Cannot read tf.Example: ${reason}`, { at });
}

/** A varint of at most 32 bits in at most five bytes. */
function readUint32(cursor: Cursor, what: string): number {
  const { bytes, end } = cursor;
  const start = cursor.position;
  let value = 0;
  let scale = 1;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > 0xffffffff) break;
      cursor.position = i + 1;
      return value;
    }
    if (i === start + 4) break;
    scale *= 0x80;
  }
  throw wireError(cursor, start, end - start < 5 ? `a ${what} is cut off` : `a ${what} is longer than 32 bits`);
}

function skipGroup(cursor: Cursor, startTag: number, depth: number): void {
  for (;;) {
    const start = cursor.position;
    if (start === cursor.end) throw wireError(cursor, start, "a group is cut off");
    const tag = readTag(cursor);
    if ((tag & 7) !== wireTypes.groupEnd) {
      skipField(cursor, tag, depth);
    } else if (tag >>> 3 === startTag >>> 3) {
      return;
    } else {
      throw wireError(cursor, start, "a group ends with another field's number");
    }
  }
}
