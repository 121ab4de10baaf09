// A ZIP archive as bytes: checked reads, errors that name it, and the records at its end that say where its directory is.
// APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (section numbers below are of this).

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import type { SeekableSource } from "./source.ts";

/** Sections 4.3.14 to 4.3.16: signatures, and the sizes of the fixed parts. */
const END = { signature: 0x06054b50, bytes: 22 } as const;
const ZIP64_END = { signature: 0x06064b50, bytes: 56 } as const;
const ZIP64_LOCATOR = { signature: 0x07064b50, bytes: 20 } as const;
/** Section 4.3.12: the fixed part of an entry of the directory. */
const LEAST_ENTRY_BYTES = 46;
/** The comment at the end has a length of 16 bits. */
const MAX_COMMENT_BYTES = 0xffff;
/** Section 4.4.1.4: all ones, where a number is left to the Zip64 record. */
const SATURATED_16 = 0xffff;
const SATURATED_32 = 0xffffffff;

/** Reads of an archive that must succeed, and errors that name it. The source stays the caller's. */
export class ZipArchive {
  readonly size: number;
  readonly #source: SeekableSource;

  constructor(source: SeekableSource) {
    this.#source = source;
    this.size = source.size;
  }

  /**
   * Fills `target` from `position` on.
   *
   * @throws {KdataError} `truncated` when the archive has become shorter.
   */
  fill(target: Uint8Array, position: number): void {
    const read = this.#source.read(target, position);
    if (read < target.length) {
      throw this.fail("truncated", "the archive became shorter while it was read", position + read);
    }
  }

  /**
   * Reads bytes into fresh memory.
   *
   * @throws {KdataError} `truncated` when the archive does not have so many.
   */
  bytes(position: number, length: number): Uint8Array {
    if (position + length > this.size) throw this.fail("truncated", "the archive ends inside a header", this.size);
    const bytes = new Uint8Array(length);
    this.fill(bytes, position);
    return bytes;
  }

  /** Reads bytes as {@link bytes} does, for numbers. */
  view(position: number, length: number): DataView {
    return new DataView(this.bytes(position, length).buffer);
  }

  /** Makes an error at a byte of the archive. */
  fail(code: ErrorCode, reason: string, byte: number, cause?: unknown): KdataError {
    return new KdataError(code, `Cannot read zip: ${reason}`, { at: this.at(byte), cause });
  }

  /** Names a byte of the archive. */
  at(byte: number): Position {
    return { source: this.#source.name, byte };
  }
}

/** Where the central directory lies. */
export interface ZipDirectory {
  readonly entries: number;
  readonly start: number;
  readonly bytes: number;
}

/**
 * Finds the directory through the end record, which is found by its signature and a comment that ends with the file.
 *
 * @throws {KdataError} `truncated` when there is no end record, `format` when the directory does not end where the end records
 *   begin, `unsupported` when the archive is one of several files.
 */
export function findZipDirectory(archive: ZipArchive): ZipDirectory {
  const tailBytes = Math.min(archive.size, END.bytes + MAX_COMMENT_BYTES);
  const tailStart = archive.size - tailBytes;
  const view = archive.view(tailStart, tailBytes);
  for (let offset = tailBytes - END.bytes; offset >= 0; offset--) {
    if (view.getUint32(offset, true) !== END.signature) continue;
    if (offset + END.bytes + view.getUint16(offset + 20, true) !== tailBytes) continue;
    return parseEnd(archive, new DataView(view.buffer, offset, END.bytes), tailStart + offset);
  }
  throw archive.fail("truncated", "the archive does not end with the record that ends one", archive.size);
}

function parseEnd(archive: ZipArchive, view: DataView, endStart: number): ZipDirectory {
  const entries = view.getUint16(10, true);
  const bytes = view.getUint32(12, true);
  const start = view.getUint32(16, true);
  const zip64 = findZip64End(archive, endStart);
  if (zip64) {
    const agrees =
      (entries === SATURATED_16 || entries === zip64.entries) &&
      (bytes === SATURATED_32 || bytes === zip64.bytes) &&
      (start === SATURATED_32 || start === zip64.start);
    if (!agrees) throw archive.fail("format", "the two end records say different things", endStart);
    return zip64;
  }
  if (view.getUint32(4, true) !== 0 || view.getUint16(8, true) !== entries) throw severalFiles(archive, endStart);
  return checkDirectory(archive, { entries, start, bytes }, endStart);
}

/** The Zip64 end record, which a locator right before the end record points to. */
function findZip64End(archive: ZipArchive, end: number): ZipDirectory | undefined {
  const locatorStart = end - ZIP64_LOCATOR.bytes;
  if (locatorStart < 0) return undefined;
  const locator = archive.view(locatorStart, ZIP64_LOCATOR.bytes);
  if (locator.getUint32(0, true) !== ZIP64_LOCATOR.signature) return undefined;
  const start = readUint64(locator, 8);
  if (start + ZIP64_END.bytes !== locatorStart) {
    throw archive.fail("format", "the Zip64 end record does not lie before its locator", locatorStart);
  }
  const view = archive.view(start, ZIP64_END.bytes);
  if (view.getUint32(0, true) !== ZIP64_END.signature) {
    throw archive.fail("format", "there is no Zip64 end record where its locator says", start);
  }
  const entries = readUint64(view, 32);
  if (readUint64(view, 16) !== 0 || readUint64(view, 24) !== entries) throw severalFiles(archive, start);
  return checkDirectory(archive, { entries, bytes: readUint64(view, 40), start: readUint64(view, 48) }, start);
}

/** Makes the error for an archive that is one of several files. */
export function severalFiles(archive: ZipArchive, byte: number): KdataError {
  return archive.fail("unsupported", "the archive is one of several files", byte);
}

/** The directory reaches to the record that points to it, so that nothing hides between them. */
function checkDirectory(archive: ZipArchive, directory: ZipDirectory, end: number): ZipDirectory {
  if (directory.start + directory.bytes !== end) {
    throw archive.fail("format", "the directory does not end where the end record begins", end);
  }
  if (directory.entries * LEAST_ENTRY_BYTES > directory.bytes) {
    throw archive.fail("format", `the directory is too short for ${directory.entries} entries`, directory.start);
  }
  return directory;
}

/** Reads a 64-bit number. Beyond 2^53 it is inexact, and far beyond every size it is compared with. */
export function readUint64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}
