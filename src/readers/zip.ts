// ZIP archives, read through their central directory: stored and deflated members, Zip64, checksums always verified.
// APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (section numbers below are of this).

import { crc32, inflateRawSync } from "node:zlib";
import type { Limits } from "./format.ts";
import type { SeekableSource } from "./source.ts";
import { decodeUtf8 } from "./text.ts";
import { ZipArchive, findZipDirectory, readUint64, severalFiles } from "./zip-archive.ts";

/** Section 4.3: signatures, and the sizes of the fixed parts behind which names, extra fields and comments follow. */
const LOCAL_HEADER = { signature: 0x04034b50, bytes: 30 } as const;
const DIRECTORY_ENTRY = { signature: 0x02014b50, bytes: 46 } as const;
/** Section 4.4.4: encrypted, patched, strongly encrypted, directory encrypted. */
const REFUSED_FLAGS = 0x0001 | 0x0020 | 0x0040 | 0x2000;
/** Section 4.4.4, bit 3: sizes and checksum were not known yet when the local header was written. */
const DESCRIPTOR_FLAG = 0x0008;
const STORED = 0;
const DEFLATED = 8;
/** Section 4.5.3: the extra field with the 64-bit numbers for what is all ones in its 32 bits. */
const ZIP64_EXTRA = 0x0001;
const SATURATED_32 = 0xffffffff;
/** Bytes that are checksummed at a time. */
const BLOCK_BYTES = 1 << 18;

/** One member, as the central directory has it and its local header agrees. */
export interface ZipMember {
  readonly name: string;
  readonly deflated: boolean;
  /** Where its bytes lie in the archive: half-open. */
  readonly start: number;
  readonly end: number;
  /** Bytes when inflated. */
  readonly size: number;
  readonly crc32: number;
}

/** Says whether these bytes begin with a member of a ZIP archive, and what its name is. */
export function firstZipName(head: Uint8Array): string | undefined {
  if (head.length < LOCAL_HEADER.bytes) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0, true) !== LOCAL_HEADER.signature) return undefined;
  return String.fromCharCode(...head.subarray(LOCAL_HEADER.bytes, LOCAL_HEADER.bytes + view.getUint16(26, true)));
}

/**
 * Reads the central directory, holds each entry to its local header, and lists the members in the order of the directory.
 *
 * @throws {KdataError} `truncated` when the archive has no end, `format` when directory and members do not fit together or a
 *   name is there twice, `unsupported` for encrypted members, other compression methods and archives of several files,
 *   `limit` when the directory is larger than `limits.headerBytes`.
 */
export function readZipMembers(source: SeekableSource, limits: Pick<Limits, "headerBytes">): readonly ZipMember[] {
  const archive = new ZipArchive(source);
  const directory = findZipDirectory(archive);
  if (directory.bytes > limits.headerBytes) {
    const reason = `the directory of ${directory.bytes} bytes exceeds the limit of ${limits.headerBytes}`;
    throw archive.fail("limit", reason, directory.start);
  }
  const view = archive.view(directory.start, directory.bytes);
  const members: ZipMember[] = [];
  let offset = 0;
  for (let entry = 0; entry < directory.entries; entry++) {
    const parsed = parseEntry(archive, view, offset, directory.start + offset);
    members.push(placeMember(archive, parsed, directory.start));
    offset += parsed.entryBytes;
  }
  if (offset !== directory.bytes) {
    throw archive.fail("format", "the directory is longer than its entries", directory.start);
  }
  refuseOverlaps(archive, members);
  return members;
}

/**
 * Verifies the checksum of a stored member without keeping its bytes.
 *
 * @throws {KdataError} `checksum` when it does not match.
 */
export function verifyStoredMember(source: SeekableSource, member: ZipMember): void {
  const archive = new ZipArchive(source);
  const block = new Uint8Array(Math.min(BLOCK_BYTES, member.end - member.start));
  let sum = 0;
  for (let position = member.start; position < member.end; position += block.length) {
    const part = block.subarray(0, Math.min(block.length, member.end - position));
    archive.fill(part, position);
    sum = crc32(part, sum);
  }
  checkSum(archive, member, sum);
}

/**
 * Inflates a deflated member into fresh memory and verifies its checksum. The caller has held `member.size` to a limit.
 *
 * @throws {KdataError} `checksum` when it does not match, `format` when the bytes do not inflate to the size that is declared.
 */
export function inflateMember(source: SeekableSource, member: ZipMember): Uint8Array {
  const archive = new ZipArchive(source);
  const bytes = inflate(archive, member);
  if (bytes.length !== member.size) {
    const reason = `member ${member.name} inflates to ${bytes.length} bytes instead of ${member.size}`;
    throw archive.fail("format", reason, member.start);
  }
  checkSum(archive, member, crc32(bytes));
  return bytes;
}

interface Sizes {
  readonly size: number;
  readonly compressed: number;
}

interface Entry extends Sizes {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly localStart: number;
  readonly entryBytes: number;
}

function parseEntry(archive: ZipArchive, view: DataView, offset: number, byte: number): Entry {
  const left = view.byteLength - offset;
  if (left < DIRECTORY_ENTRY.bytes || view.getUint32(offset, true) !== DIRECTORY_ENTRY.signature) {
    throw archive.fail("format", "the directory has no entry where one must be", byte);
  }
  const nameBytes = view.getUint16(offset + 28, true);
  const extraBytes = view.getUint16(offset + 30, true);
  const entryBytes = DIRECTORY_ENTRY.bytes + nameBytes + extraBytes + view.getUint16(offset + 32, true);
  if (entryBytes > left) throw archive.fail("format", "an entry is longer than the directory", byte);
  const nameStart = offset + DIRECTORY_ENTRY.bytes;
  const name = decodeUtf8(
    new Uint8Array(view.buffer, nameStart, nameBytes),
    "Cannot read zip: the name of a member",
    archive.at(byte),
  );
  const extra = new DataView(view.buffer, nameStart + nameBytes, extraBytes);
  const [size, compressed, localStart] = withZip64(archive, extra, byte, [
    view.getUint32(offset + 24, true),
    view.getUint32(offset + 20, true),
    view.getUint32(offset + 42, true),
  ]);
  if (view.getUint16(offset + 34, true) !== 0) throw severalFiles(archive, byte);
  const flags = view.getUint16(offset + 8, true);
  const method = view.getUint16(offset + 10, true);
  const entry = { name, flags, method, crc32: view.getUint32(offset + 16, true), size, compressed, localStart };
  refuseEntry(archive, entry, byte);
  return { ...entry, entryBytes };
}

/** Replaces what is all ones by the 64-bit numbers of the extra field, which come in this order. */
function withZip64<T extends readonly number[]>(archive: ZipArchive, extra: DataView, byte: number, values: T): T {
  if (!values.includes(SATURATED_32)) return values;
  const field = findZip64(archive, extra, byte);
  let offset = 0;
  const resolved = values.map((value) => {
    if (value !== SATURATED_32 || field === undefined) return value;
    if (offset + 8 > field.byteLength) throw archive.fail("format", "a Zip64 field is too short", byte);
    offset += 8;
    return readUint64(field, offset - 8);
  });
  return resolved as unknown as T;
}

function findZip64(archive: ZipArchive, extra: DataView, byte: number): DataView | undefined {
  for (let offset = 0; offset + 4 <= extra.byteLength;) {
    const bytes = extra.getUint16(offset + 2, true);
    if (offset + 4 + bytes > extra.byteLength) throw archive.fail("format", "an extra field is too long", byte);
    if (extra.getUint16(offset, true) === ZIP64_EXTRA) {
      return new DataView(extra.buffer, extra.byteOffset + offset + 4, bytes);
    }
    offset += 4 + bytes;
  }
  return undefined;
}

function refuseEntry(archive: ZipArchive, entry: Omit<Entry, "entryBytes">, byte: number): void {
  const { name, flags, method, size, compressed } = entry;
  if (flags & REFUSED_FLAGS) throw archive.fail("unsupported", `member ${name} is encrypted or a patch`, byte);
  if (method !== STORED && method !== DEFLATED) {
    throw archive.fail("unsupported", `member ${name} is compressed by method ${method}, not stored or deflated`, byte);
  }
  if (method === STORED && size !== compressed) {
    throw archive.fail("format", `member ${name} is stored with two different sizes`, byte);
  }
}

/** Holds an entry to the local header, and the member to the bytes before the directory. */
function placeMember(archive: ZipArchive, entry: Entry, directoryStart: number): ZipMember {
  const { name, localStart, compressed, method, size } = entry;
  if (localStart + LOCAL_HEADER.bytes > directoryStart) {
    throw archive.fail("format", `member ${name} does not lie before the directory`, directoryStart);
  }
  const fixed = archive.view(localStart, LOCAL_HEADER.bytes);
  if (fixed.getUint32(0, true) !== LOCAL_HEADER.signature) {
    throw archive.fail("format", `there is no member ${name} where the directory says`, localStart);
  }
  const nameBytes = fixed.getUint16(26, true);
  const extraBytes = fixed.getUint16(28, true);
  const start = localStart + LOCAL_HEADER.bytes + nameBytes + extraBytes;
  if (start + compressed > directoryStart) {
    throw archive.fail("format", `member ${name} of ${compressed} bytes reaches into the directory`, localStart);
  }
  const variable = archive.bytes(localStart + LOCAL_HEADER.bytes, nameBytes + extraBytes);
  const localName = decodeUtf8(
    variable.subarray(0, nameBytes),
    "Cannot read zip: the name of a member",
    archive.at(localStart),
  );
  const extra = new DataView(variable.buffer, nameBytes, extraBytes);
  if (localName !== name || !agreesWithLocal(archive, entry, fixed, extra)) {
    throw archive.fail("format", `member ${name} is described in two different ways`, localStart);
  }
  return { name, deflated: method === DEFLATED, start, end: start + compressed, size, crc32: entry.crc32 };
}

function agreesWithLocal(archive: ZipArchive, entry: Entry, fixed: DataView, extra: DataView): boolean {
  const flags = fixed.getUint16(6, true);
  if ((flags & REFUSED_FLAGS) !== 0 || fixed.getUint16(8, true) !== entry.method) return false;
  if ((flags & DESCRIPTOR_FLAG) !== (entry.flags & DESCRIPTOR_FLAG)) return false;
  if (flags & DESCRIPTOR_FLAG) return true;
  const [size, compressed] = withZip64(archive, extra, entry.localStart, [
    fixed.getUint32(22, true),
    fixed.getUint32(18, true),
  ]);
  return size === entry.size && compressed === entry.compressed && fixed.getUint32(14, true) === entry.crc32;
}

function refuseOverlaps(archive: ZipArchive, members: readonly ZipMember[]): void {
  const names = new Set<string>();
  let end = 0;
  for (const member of [...members].sort((a, b) => a.start - b.start)) {
    if (names.has(member.name)) throw archive.fail("format", `member ${member.name} is there twice`, member.start);
    if (member.start < end) throw archive.fail("format", `member ${member.name} overlaps another one`, member.start);
    names.add(member.name);
    end = member.end;
  }
}

function inflate(archive: ZipArchive, member: ZipMember): Uint8Array {
  const compressed = archive.bytes(member.start, member.end - member.start);
  try {
    // One byte more than declared, so that a member that is too long is seen; zlib takes no limit of 0.
    return inflateRawSync(compressed, { maxOutputLength: member.size + 1 });
  } catch (cause) {
    if (!(cause instanceof Error) || !("code" in cause)) throw cause;
    throw archive.fail("format", `member ${member.name} does not inflate: ${cause.message}`, member.start, cause);
  }
}

function checkSum(archive: ZipArchive, member: ZipMember, sum: number): void {
  if (sum === member.crc32) return;
  throw archive.fail("checksum", `the checksum of member ${member.name} does not match`, member.start);
}
