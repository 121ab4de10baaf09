// Tar headers, read and written: POSIX ustar and pax (IEEE Std 1003.1, "pax", ustar Interchange Format and pax Extended
// Header), https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html, and the GNU extensions for long names and
// large sizes, https://www.gnu.org/software/tar/manual/html_node/Standard.html.

import { KdataError, type Position } from "../core/errors.ts";
import { decodeUtf8 } from "./text.ts";

/** Headers and contents fill whole blocks of this size. */
export const TAR_BLOCK_BYTES = 512;
/** An archive ends with two blocks of zeros and is filled up to a multiple of this size (blocking factor 20), as tar itself does. */
const TAR_RECORD_BYTES = 20 * TAR_BLOCK_BYTES;

/** The fields of a header: offset and length. */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const OWNER = [108, 8] as const;
const GROUP = [116, 8] as const;
const SIZE = [124, 12] as const;
const TIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const TYPE_AT = 156;
const MAGIC_AT = 257;
const PREFIX = [345, 155] as const;

/** Twelve characters hold eleven octal digits; a larger size needs a pax record. */
const MAX_OCTAL_SIZE = 8 ** 11 - 1;
/** Any fixed name: readers show it when they know no pax headers. */
const PAX_HEADER_NAME = "PaxHeader";
const READ_WRITE = 0o644;
/** Digits of the largest whole number that JavaScript holds. */
const MAX_SIZE_DIGITS = 16;
/** For keywords, which are ASCII. */
const latin1 = new TextDecoder("latin1");

/** One header block, as stored: pax headers and GNU long names are not applied yet. */
export interface TarHeader {
  /** The type flag, one character: `0` file, `5` directory, `x` and `g` pax headers, `L` a GNU long name. NUL is read as `0`. */
  readonly type: string;
  readonly path: string;
  /** Bytes of the content that follows. */
  readonly size: number;
}

/** Says how many bytes a content of `size` bytes takes: whole blocks. */
export function tarPaddedSize(size: number): number {
  return Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}

/** Says whether the block at `start` holds nothing but zeros, as the two at the end of an archive do. */
export function isZeroBlock(bytes: Uint8Array, start: number, length = TAR_BLOCK_BYTES): boolean {
  for (let i = start; i < start + length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Says whether the header sum of the block at `start` is right: what tells a header from other bytes. */
export function hasTarHeaderSum(bytes: Uint8Array, start: number): boolean {
  const stored = parseOctal(bytes, start + CHECKSUM[0], CHECKSUM[1]);
  if (stored === undefined) return false;
  const sum = headerSum(bytes, start);
  // Some old writers summed the bytes as signed ones.
  return stored === sum || stored === sum - 256 * countHighBytes(bytes, start);
}

/**
 * Reads the header block at `start`, which must be whole.
 *
 * @throws {KdataError} `checksum` when the header sum does not match, `format` when a field is not what it should be.
 */
export function parseTarHeader(bytes: Uint8Array, start: number, at: Position): TarHeader {
  if (!hasTarHeaderSum(bytes, start)) {
    throw new KdataError("checksum", "Cannot read tar: the header checksum does not match", { at });
  }
  const size = parseSize(bytes, start + SIZE[0], SIZE[1]);
  if (size === undefined) throw new KdataError("format", "Cannot read tar: the size of a member is no number", { at });
  const typeByte = bytes[start + TYPE_AT] as number;
  const name = parseText(bytes, start + NAME[0], NAME[1], at);
  // Before ustar a directory was a file whose name ends in a slash.
  if (typeByte === 0) return { type: name.endsWith("/") ? "5" : "0", path: name, size };
  const prefix = isUstar(bytes, start) ? parseText(bytes, start + PREFIX[0], PREFIX[1], at) : "";
  return { type: String.fromCharCode(typeByte), path: prefix === "" ? name : `${prefix}/${name}`, size };
}

/**
 * Reads the records of a pax header: `<length> <keyword>=<value>\n`, the length counting the whole record. The values are
 * views: those of some keywords are not text.
 *
 * @throws {KdataError} `format` when a record is malformed.
 */
export function parsePaxRecords(content: Uint8Array, at: Position): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  for (let start = 0; start < content.length;) {
    const space = content.indexOf(0x20, start);
    const digits = space < 0 ? "" : latin1.decode(content.subarray(start, Math.min(space, start + MAX_SIZE_DIGITS)));
    const length = /^[0-9]+$/.test(digits) ? Number(digits) : 0;
    const end = start + length;
    const equals = content.indexOf(0x3d, space + 1);
    if (length === 0 || end > content.length || content[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new KdataError("format", "Cannot read tar: a pax header has a malformed record", { at });
    }
    records.set(latin1.decode(content.subarray(space + 1, equals)), content.subarray(equals + 1, end - 1));
    start = end;
  }
  return records;
}

/** Says how many bytes {@link writeTarMemberHeader} takes for this member: one block, or three and more with a pax header. */
export function tarMemberHeaderSize(path: string, size: number): number {
  const pax = paxRecordsFor(path, size);
  return pax === undefined ? TAR_BLOCK_BYTES : 2 * TAR_BLOCK_BYTES + tarPaddedSize(pax.length);
}

/**
 * Writes the header of a regular file into `target` at `start` and returns where it ends; the content goes there.
 *
 * ustar where path and size fit, otherwise with a pax header before it. Owner, group and time are zero, so that equal
 * members give equal bytes.
 *
 * @throws {RangeError} when `target` is too short: {@link tarMemberHeaderSize} says how much is needed.
 */
export function writeTarMemberHeader(target: Uint8Array, start: number, path: string, size: number): number {
  const pax = paxRecordsFor(path, size);
  if (pax === undefined) return writeBlock(target, start, path, size, "0");
  const memberAt = writePaxHeader(target, start, pax, "x");
  return writeBlock(target, memberAt, path, Math.min(size, MAX_OCTAL_SIZE), "0");
}

/** Makes a pax global header with the given records: it holds for all members that follow, until another one. */
export function encodeTarGlobalHeader(records: Readonly<Record<string, string>>): Uint8Array {
  const content = encodePaxRecords(Object.entries(records));
  const header = new Uint8Array(TAR_BLOCK_BYTES + tarPaddedSize(content.length));
  writePaxHeader(header, 0, content, "g");
  return header;
}

/** Says how many zeros end an archive whose members end at `size`. */
export function tarEndSize(size: number): number {
  const least = size + 2 * TAR_BLOCK_BYTES;
  return Math.ceil(least / TAR_RECORD_BYTES) * TAR_RECORD_BYTES - size;
}

/** The sum of all bytes of the block, as if the field of the sum itself were spaces. */
function headerSum(bytes: Uint8Array, start: number): number {
  const fieldStart = start + CHECKSUM[0];
  const fieldEnd = fieldStart + CHECKSUM[1];
  return 0x20 * CHECKSUM[1] + sumOf(bytes, start, fieldStart) + sumOf(bytes, fieldEnd, start + TAR_BLOCK_BYTES);
}

/** Adds up bytes, a multiple of four. */
function sumOf(bytes: Uint8Array, start: number, end: number): number {
  let [a, b, c, d] = [0, 0, 0, 0]; // side by side: one addition need not wait for another
  for (let i = start; i < end; i += 4) {
    a += bytes[i] as number;
    b += bytes[i + 1] as number;
    c += bytes[i + 2] as number;
    d += bytes[i + 3] as number;
  }
  return a + b + c + d;
}

function countHighBytes(bytes: Uint8Array, start: number): number {
  let count = 0;
  for (let i = 0; i < TAR_BLOCK_BYTES; i++) {
    const isInField = i >= CHECKSUM[0] && i < CHECKSUM[0] + CHECKSUM[1];
    if (!isInField && (bytes[start + i] as number) >= 0x80) count++;
  }
  return count;
}

/** Octal digits, with spaces before and spaces or NULs after. An empty field is 0. */
function parseOctal(bytes: Uint8Array, start: number, length: number): number | undefined {
  let i = start;
  const end = start + length;
  while (i < end && bytes[i] === 0x20) i++;
  let value = 0;
  for (; i < end; i++) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; i < end; i++) if (bytes[i] !== 0x20 && bytes[i] !== 0) return undefined;
  return value;
}

/** A size: octal, or base 256 with the top bit set (GNU). */
function parseSize(bytes: Uint8Array, start: number, length: number): number | undefined {
  if (bytes[start] !== 0x80) return parseOctal(bytes, start, length);
  let value = 0;
  for (let i = start + 1; i < start + length; i++) value = value * 256 + (bytes[i] as number);
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseText(bytes: Uint8Array, start: number, length: number, at: Position): string {
  let end = start;
  let bits = 0;
  let text = "";
  for (; end < start + length && bytes[end] !== 0; end++) {
    bits |= bytes[end] as number;
    text += String.fromCharCode(bytes[end] as number);
  }
  if (bits < 0x80) return text; // ASCII, as nearly all names are: a decoder costs more than the rest of the header
  return decodeUtf8(bytes.subarray(start, end), "Cannot read tar: the name of a member", at);
}

/** `ustar` and a NUL. GNU writes `ustar` and a space, and keeps other things where the prefix is. */
function isUstar(bytes: Uint8Array, start: number): boolean {
  const magic = start + MAGIC_AT;
  return (
    bytes[magic] === 0x75 &&
    bytes[magic + 1] === 0x73 &&
    bytes[magic + 2] === 0x74 &&
    bytes[magic + 3] === 0x61 &&
    bytes[magic + 4] === 0x72 &&
    bytes[magic + 5] === 0
  );
}

/** The pax records that a member needs, encoded; `undefined` where ustar alone holds path and size. */
function paxRecordsFor(path: string, size: number): Uint8Array | undefined {
  const records: [string, string][] = [];
  if (!isPlainName(path)) records.push(["path", path]);
  if (size > MAX_OCTAL_SIZE) records.push(["size", String(size)]);
  return records.length === 0 ? undefined : encodePaxRecords(records);
}

/** ASCII that fills the name field at most. Longer names go to pax whole: every reader of prefixes reads pax too. */
function isPlainName(path: string): boolean {
  return path.length <= NAME[1] && /^[\x20-\x7e]*$/.test(path);
}

function encodePaxRecords(records: readonly (readonly [string, string])[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts = records.map(([keyword, value]) => {
    const tail = encoder.encode(` ${keyword}=${value}\n`);
    let length = tail.length + 1;
    while (String(length).length + tail.length !== length) length = String(length).length + tail.length;
    return [encoder.encode(String(length)), tail];
  });
  return new Uint8Array(Buffer.concat(parts.flat()));
}

function writePaxHeader(target: Uint8Array, start: number, content: Uint8Array, type: "x" | "g"): number {
  const contentAt = writeBlock(target, start, PAX_HEADER_NAME, content.length, type);
  const end = contentAt + tarPaddedSize(content.length);
  target.set(content, contentAt);
  target.fill(0, contentAt + content.length, end);
  return end;
}

/** Writes one header block. A path that does not fit is cut: a pax header carries the whole one. */
function writeBlock(target: Uint8Array, start: number, path: string, size: number, type: string): number {
  const end = start + TAR_BLOCK_BYTES;
  if (end > target.length) throw new RangeError("Cannot write tar header: the target is too short");
  target.fill(0, start, end);
  new TextEncoder().encodeInto(path, target.subarray(start, start + NAME[1]));
  writeOctal(target, start, MODE, READ_WRITE);
  writeOctal(target, start, OWNER, 0);
  writeOctal(target, start, GROUP, 0);
  writeOctal(target, start, SIZE, size);
  writeOctal(target, start, TIME, 0);
  target[start + TYPE_AT] = type.charCodeAt(0);
  // "ustar", a NUL, and the version "00".
  target.set([0x75, 0x73, 0x74, 0x61, 0x72, 0, 0x30, 0x30], start + MAGIC_AT);
  writeOctal(target, start, [CHECKSUM[0], CHECKSUM[1] - 1], headerSum(target, start));
  target[start + CHECKSUM[0] + CHECKSUM[1] - 1] = 0x20;
  return end;
}

/** Octal digits with leading zeros and a NUL after them. */
function writeOctal(
  target: Uint8Array,
  start: number,
  [offset, length]: readonly [number, number],
  value: number,
): void {
  let rest = value;
  for (let i = start + offset + length - 2; i >= start + offset; i--) {
    target[i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}
