// Which bytes of a file nothing in the file can vouch for. The conformance suite holds all others to "the same or an error".

import { parquetHeader } from "hyparquet/src/column.js";
import { parquetMetadata } from "hyparquet/src/metadata.js";
import type { Format } from "../../src/readers/format.ts";

/** `protected`: by a checksum or by what must be consistent; `unprotected`: another value is another valid file. */
export type ByteRole = "protected" | "unprotected" | "padding";

const BLOCK_BYTES = 512; // of tar

/** Finds the roles of the bytes of an intact file. */
export function byteRole(format: Format, bytes: Uint8Array): (byte: number) => ByteRole {
  return roles[format.name]?.(bytes) ?? (() => "protected");
}

/** TFRecord and NPZ are not here: both have checksums over all that matters. So has gzip. */
const roles: Record<string, (bytes: Uint8Array) => (byte: number) => ByteRole> = {
  npy: npyRole,
  idx: idxRole,
  safetensors: safetensorsRole,
  folder: () => () => "unprotected",
  webdataset: tarRole,
  jsonl: jsonlRole,
  csv: (bytes) => delimitedRole(bytes, ","),
  tsv: (bytes) => delimitedRole(bytes, "\t"),
  parquet: parquetRole,
};

/** The elements, whether they are little-endian (<) or big-endian (>), which differ in one bit, and the names of fields. */
function npyRole(bytes: Uint8Array): (byte: number) => ByteRole {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dataStart = bytes[6] === 1 ? 10 + view.getUint16(8, true) : 12 + view.getUint32(8, true);
  const header = Buffer.from(bytes.subarray(0, dataStart)).toString("latin1");
  const free = new Set(Array.from(header.matchAll(/(?<=['"])[<>](?=[a-zA-Z][0-9])/g), ({ index }) => index));
  for (const { index, 0: name } of header.matchAll(/(?<=\(|\(\('[^']*', )(?:'[^']*'|"[^"]*")(?=\)?, )/g)) {
    for (let i = 1; i < name.length - 1; i++) free.add(index + i);
  }
  return (byte) => (byte >= dataStart || free.has(byte) ? "unprotected" : "protected");
}

/** The elements, and the type where another one has elements of the same size. */
function idxRole(bytes: Uint8Array): (byte: number) => ByteRole {
  if (bytes[0] !== 0) return () => "protected"; // gzip
  const dataStart = 4 + 4 * bytes[3]!;
  return (byte) => (byte >= dataStart || byte === 2 ? "unprotected" : "protected");
}

/** The elements, the names of tensors, and the metadata. */
function safetensorsRole(bytes: Uint8Array): (byte: number) => ByteRole {
  const dataStart = 8 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = Buffer.from(bytes.subarray(0, dataStart)).toString("latin1");
  const free = new Set<number>();
  for (const { index, 0: part } of header.matchAll(/"(?:[^"\\]|\\.)*"(?=:\{)|(?<="__metadata__":)\{[^}]*\}/g)) {
    if (part === '"__metadata__"') continue;
    for (let i = 1; i < part.length - 1; i++) free.add(index + i);
  }
  return (byte) => (byte >= dataStart || free.has(byte) ? "unprotected" : "protected");
}

/** The contents of members, those of pax headers and long names included: only headers have a sum. */
function tarRole(bytes: Uint8Array): (byte: number) => ByteRole {
  const contents = new Set<number>();
  let position = 0;
  while (bytes[position] !== 0) {
    const size = parseInt(Buffer.from(bytes.subarray(position + 124, position + 136)).toString("latin1"), 8);
    for (let i = 0; i < size; i++) contents.add(position + BLOCK_BYTES + i);
    position += BLOCK_BYTES + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }
  // Two blocks of zeros end an archive; what fills it up to 10 KB may be missing.
  const end = position + 2 * BLOCK_BYTES;
  return (byte) => (contents.has(byte) ? "unprotected" : byte >= end ? "padding" : "protected");
}

/**
 * What stands in quotes, and all that numbers, words and arrays are made of: another character is another value. The quotes, colons,
 * braces and line ends must be what they are. The line end of the last line may be missing.
 */
function jsonlRole(bytes: Uint8Array): (byte: number) => ByteRole {
  const text = Buffer.from(bytes).toString("latin1");
  const free = new Set<number>();
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[-+.0-9A-Za-z,[\]]/g)) {
    const [start, end] = token.length > 1 ? [index + 1, index + token.length - 1] : [index, index + 1];
    for (let byte = start; byte < end; byte++) free.add(byte);
  }
  const end = text.trimEnd().length;
  return (byte) => (free.has(byte) ? "unprotected" : byte >= end ? "padding" : "protected");
}

/** What stands in fields. Quotes, delimiters and line feeds must be what they are, because all rows have as many fields. */
function delimitedRole(bytes: Uint8Array, delimiter: string): (byte: number) => ByteRole {
  const isProtected = new Set<number>();
  let isQuoted = false;
  for (const [byte, code] of bytes.entries()) {
    const character = String.fromCharCode(code);
    if (character === '"') isQuoted = !isQuoted;
    if (character === '"' || (!isQuoted && (character === "\n" || character === delimiter))) isProtected.add(byte);
  }
  return (byte) => (isProtected.has(byte) ? "protected" : "unprotected");
}

/** The pages that have a checksum, and the magic. Footer, page headers and other pages have none. */
function parquetRole(bytes: Uint8Array): (byte: number) => ByteRole {
  const isProtected = new Uint8Array(bytes.length);
  isProtected.fill(1, 0, 4);
  isProtected.fill(1, bytes.length - 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const { columns } of parquetMetadata(bytes, { geoparquet: false }).row_groups) {
    for (const { meta_data: column } of columns) {
      const start = column!.dictionary_page_offset ?? column!.data_page_offset;
      const end = Number(start + column!.total_compressed_size);
      for (const reader = { view, offset: Number(start) }; reader.offset < end;) {
        const { crc, compressed_page_size } = parquetHeader(reader);
        if (crc !== undefined) isProtected.fill(1, reader.offset, reader.offset + compressed_page_size);
        reader.offset += compressed_page_size;
      }
    }
  }
  return (byte) => (isProtected[byte] === 1 ? "protected" : "unprotected");
}
