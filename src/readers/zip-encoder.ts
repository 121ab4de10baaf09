// The parts of a ZIP archive of stored members, with Zip64 where the old fields are too small.
// APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (section numbers below are of this).

/** Section 4.3: signatures. */
const LOCAL_HEADER = 0x04034b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
const LOCAL_HEADER_BYTES = 30;
const DIRECTORY_ENTRY_BYTES = 46;
const END_BYTES = 22;
const ZIP64_END_BYTES = 56;
const ZIP64_LOCATOR_BYTES = 20;
/** Section 4.4.3: version 2.0, or 4.5 with Zip64. */
const VERSION = 20;
const VERSION_ZIP64 = 45;
/** Section 4.4.2: attributes are those of Unix. */
const MADE_ON_UNIX = 3 << 8;
/** A regular file that its owner may write and all may read. */
const ATTRIBUTES = 0o100644 * 2 ** 16;
/** Section 4.4.4, bit 11: names are UTF-8. */
const UTF8_FLAG = 0x0800;
/** The first date there is, 1 January 1980: equal members give equal bytes. */
const DATE = (1 << 5) | 1;
/** Section 4.5.3. */
const ZIP64_EXTRA = 0x0001;
/** An extra field of zeros that moves a member's bytes, as Android's zipalign writes it: (alignment, padding). */
const ALIGNMENT_EXTRA = 0xd935;
/** What NPY aligns its rows to: aligned members can be mapped into memory. */
const ALIGNMENT = 64;
const EXTRA_HEAD_BYTES = 4;
const SATURATED_16 = 0xffff;
const SATURATED_32 = 0xffffffff;

/** A member that is stored as it is. */
export interface StoredMember {
  readonly name: string;
  /** Where its header begins in the archive. */
  readonly start: number;
  readonly size: number;
  readonly crc32: number;
}

/** Encodes what comes before the bytes of a member, which then begin at a multiple of 64. Its length does not depend on the checksum. */
export function encodeZipHeader({ name, start, size, crc32 }: StoredMember): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  // Both sizes, if one of them.
  const zip64 = size >= SATURATED_32 ? encodeZip64([size, size]) : new Uint8Array(0);
  const unaligned = start + LOCAL_HEADER_BYTES + nameBytes.length + zip64.length + EXTRA_HEAD_BYTES + 2;
  const padding = (ALIGNMENT - (unaligned % ALIGNMENT)) % ALIGNMENT;
  const extraBytes = zip64.length + EXTRA_HEAD_BYTES + 2 + padding;
  const header = new Uint8Array(LOCAL_HEADER_BYTES + nameBytes.length + extraBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, LOCAL_HEADER, true);
  encodeMember(view, 4, { name, size, crc32, version: zip64.length > 0 ? VERSION_ZIP64 : VERSION });
  view.setUint16(26, nameBytes.length, true);
  view.setUint16(28, extraBytes, true);
  header.set(nameBytes, LOCAL_HEADER_BYTES);
  const extraStart = LOCAL_HEADER_BYTES + nameBytes.length;
  header.set(zip64, extraStart);
  view.setUint16(extraStart + zip64.length, ALIGNMENT_EXTRA, true);
  view.setUint16(extraStart + zip64.length + 2, 2 + padding, true);
  view.setUint16(extraStart + zip64.length + EXTRA_HEAD_BYTES, ALIGNMENT, true);
  return header;
}

/** Encodes a member's entry in the directory. */
export function encodeZipEntry({ name, start, size, crc32 }: StoredMember): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  const large = [...(size >= SATURATED_32 ? [size, size] : []), ...(start >= SATURATED_32 ? [start] : [])];
  const zip64 = large.length > 0 ? encodeZip64(large) : new Uint8Array(0);
  const entry = new Uint8Array(DIRECTORY_ENTRY_BYTES + nameBytes.length + zip64.length);
  const view = new DataView(entry.buffer);
  const version = zip64.length > 0 ? VERSION_ZIP64 : VERSION;
  view.setUint32(0, DIRECTORY_ENTRY, true);
  view.setUint16(4, MADE_ON_UNIX | version, true);
  encodeMember(view, 6, { name, size, crc32, version });
  view.setUint16(28, nameBytes.length, true);
  view.setUint16(30, zip64.length, true);
  view.setUint32(38, ATTRIBUTES, true);
  view.setUint32(42, Math.min(start, SATURATED_32), true);
  entry.set(nameBytes, DIRECTORY_ENTRY_BYTES);
  entry.set(zip64, DIRECTORY_ENTRY_BYTES + nameBytes.length);
  return entry;
}

/** Encodes what comes after the directory, which lies from `start` to `end`. */
export function encodeZipEnd(entries: number, start: number, end: number): Uint8Array {
  const isLarge = entries >= SATURATED_16 || end - start >= SATURATED_32 || start >= SATURATED_32;
  const zip64Bytes = isLarge ? ZIP64_END_BYTES + ZIP64_LOCATOR_BYTES : 0;
  const bytes = new Uint8Array(zip64Bytes + END_BYTES);
  const view = new DataView(bytes.buffer);
  if (isLarge) {
    view.setUint32(0, ZIP64_END, true);
    setUint64(view, 4, ZIP64_END_BYTES - 12); // section 4.3.14.1: without the first 12 bytes
    view.setUint16(12, MADE_ON_UNIX | VERSION_ZIP64, true);
    view.setUint16(14, VERSION_ZIP64, true);
    setUint64(view, 24, entries);
    setUint64(view, 32, entries);
    setUint64(view, 40, end - start);
    setUint64(view, 48, start);
    view.setUint32(ZIP64_END_BYTES, ZIP64_LOCATOR, true);
    setUint64(view, ZIP64_END_BYTES + 8, end);
    view.setUint32(ZIP64_END_BYTES + 16, 1, true); // one file in all
  }
  view.setUint32(zip64Bytes, END, true);
  view.setUint16(zip64Bytes + 8, Math.min(entries, SATURATED_16), true);
  view.setUint16(zip64Bytes + 10, Math.min(entries, SATURATED_16), true);
  view.setUint32(zip64Bytes + 12, Math.min(end - start, SATURATED_32), true);
  view.setUint32(zip64Bytes + 16, Math.min(start, SATURATED_32), true);
  return bytes;
}

/** The part that local header and directory entry have in common: from the version needed on to the sizes. */
function encodeMember(
  view: DataView,
  offset: number,
  { name, size, crc32, version }: Omit<StoredMember, "start"> & { readonly version: number },
): void {
  view.setUint16(offset, version, true);
  view.setUint16(offset + 2, isAscii(name) ? 0 : UTF8_FLAG, true);
  view.setUint16(offset + 8, DATE, true);
  view.setUint32(offset + 10, crc32, true);
  view.setUint32(offset + 14, Math.min(size, SATURATED_32), true);
  view.setUint32(offset + 18, Math.min(size, SATURATED_32), true);
}

function encodeZip64(numbers: readonly number[]): Uint8Array {
  const extra = new Uint8Array(EXTRA_HEAD_BYTES + 8 * numbers.length);
  const view = new DataView(extra.buffer);
  view.setUint16(0, ZIP64_EXTRA, true);
  view.setUint16(2, 8 * numbers.length, true);
  for (const [index, number] of numbers.entries()) setUint64(view, EXTRA_HEAD_BYTES + 8 * index, number);
  return extra;
}

function setUint64(view: DataView, offset: number, value: number): void {
  view.setBigUint64(offset, BigInt(value), true);
}

function isAscii(name: string): boolean {
  return /^[\x20-\x7e]*$/.test(name);
}
