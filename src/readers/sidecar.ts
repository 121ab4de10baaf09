// The index that `kdata index` keeps beside a shard, as `<file>.kidx`: where each record lies and the CRC-32C of its bytes.
// docs/formats.md has the layout. All numbers are little-endian.
//
//   "KDIX", version (uint32), length of the header (uint32), number of records (uint32)
//   header: JSON, filled up with spaces to a multiple of 8 bytes
//   for each record: offset (float64, exact to 2^53) | for each: length (float64) | for each: CRC-32C (uint32)
//   CRC-32C of everything before it (uint32)

import { KdataError, type ErrorCode } from "../core/errors.ts";
import { bytesOf } from "../core/tensor.ts";
import { crc32c } from "./crc32c.ts";
import type { ChecksummedIndex, Tolerated } from "./format.ts";
import { openIfThere, type FileSource } from "./source-file.ts";
import { parseJson } from "./text.ts";
import { toleranceChoices } from "./tolerance.ts";

/** What follows the name of a shard's file. */
const SUFFIX = ".kidx";
const MAGIC = "KDIX";
const VERSION = 1;
const PREAMBLE_BYTES = 16;
const CHECKSUM_BYTES = 4;
/** An offset, a length and a checksum. */
const BYTES_PER_RECORD = 20;
/** Arrays begin at multiples of this, as a view of float64 demands. */
const ALIGNMENT = 8;
const PADDING = 0x20; // a space: JSON may end with it

/** What an index is of: it is believed only as long as all of it holds. */
export interface IndexedFile {
  /** The name of the format. */
  readonly format: string;
  /** Of the file, as it lies on disk. */
  readonly size: number;
  /** When it was last modified, in nanoseconds since 1970. */
  readonly modifiedNs: bigint;
}

/** What lies beside a shard: an index of it as it is, or none that can be used, with the reason if there is one. */
export type FoundSidecar =
  { readonly index: ChecksummedIndex } | { readonly index: undefined; readonly reason?: string };

/** Names the index beside a file. */
export function sidecarPath(path: string): string {
  return path + SUFFIX;
}

/** Says whether a path is that of an index beside a file. */
export function isSidecarPath(path: string): boolean {
  return path.endsWith(SUFFIX);
}

/**
 * Reads the index beside an open file.
 *
 * @throws {KdataError} `truncated`, `checksum` or `format` when the index is damaged: the hint says how to make it anew.
 */
export function findSidecar(format: string, file: FileSource): FoundSidecar {
  const sidecar = openIfThere(sidecarPath(file.name));
  if (sidecar === undefined) return { index: undefined };
  try {
    const bytes = new Uint8Array(sidecar.size);
    const length = sidecar.read(bytes, 0);
    return decodeSidecar(bytes.subarray(0, length), sidecar.name, {
      format,
      size: file.size,
      modifiedNs: file.modifiedNs,
    });
  } finally {
    sidecar.close();
  }
}

/** Encodes an index as the bytes of a sidecar. */
export function encodeSidecar(index: ChecksummedIndex, of: IndexedFile): Uint8Array {
  const { offsets, lengths, checksums, header, tolerated = [] } = index;
  const fields = {
    ...of,
    modifiedNs: String(of.modifiedNs),
    ...(header !== undefined && { header }),
    ...(tolerated.length > 0 && { tolerated }),
  };
  const text = new TextEncoder().encode(JSON.stringify(fields));
  const headerBytes = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const arraysAt = PREAMBLE_BYTES + headerBytes;
  const bytes = new Uint8Array(arraysAt + BYTES_PER_RECORD * offsets.length + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(4, VERSION, true);
  view.setUint32(8, headerBytes, true);
  view.setUint32(12, offsets.length, true);
  bytes.fill(PADDING, PREAMBLE_BYTES, arraysAt);
  bytes.set(text, PREAMBLE_BYTES);
  let position = arraysAt;
  for (const array of [offsets, lengths, checksums]) {
    bytes.set(bytesOf(array), position);
    position += array.byteLength;
  }
  view.setUint32(position, crc32c(view, 0, position), true);
  return bytes;
}

/**
 * Decodes the bytes of a sidecar. They are held to their checksum first, then to themselves, then to the file.
 *
 * @throws {KdataError} `truncated`, `checksum` or `format` when they are damaged.
 */
export function decodeSidecar(bytes: Uint8Array, source: string, of: IndexedFile): FoundSidecar {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < PREAMBLE_BYTES) throw damaged("truncated", "it ends early", source, bytes.length);
  if (view.getUint32(end, true) !== crc32c(view, 0, end)) {
    throw damaged("checksum", "its checksum does not match", source, end);
  }
  if (new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw damaged("format", "it is no index of kdata", source, 0);
  }
  const version = view.getUint32(4, true);
  if (version !== VERSION) return unusable(`its version is ${version}, only ${VERSION} is known`);
  const headerBytes = view.getUint32(8, true);
  const records = view.getUint32(12, true);
  const arraysAt = PREAMBLE_BYTES + headerBytes;
  if (headerBytes % ALIGNMENT !== 0 || arraysAt + records * BYTES_PER_RECORD !== end) {
    throw damaged("format", `${records} records and a header of ${headerBytes} bytes do not make its size`, source, 8);
  }
  const at = { source, byte: PREAMBLE_BYTES };
  const header = parseHeader(parseJson(bytes.subarray(PREAMBLE_BYTES, arraysAt), "Cannot read index: its header", at));
  if (header === undefined) throw damaged("format", "its header lacks a field", source, PREAMBLE_BYTES);
  const reason = differenceOf(header, of);
  if (reason !== undefined) return unusable(reason);
  const offsets = new Float64Array(sharedCopy(bytes, arraysAt, 8 * records));
  const lengths = new Float64Array(sharedCopy(bytes, arraysAt + 8 * records, 8 * records));
  const checksums = new Uint32Array(sharedCopy(bytes, arraysAt + 16 * records, 4 * records));
  checkExtents(offsets, lengths, source, arraysAt);
  const { header: ofFormat, tolerated } = header;
  return {
    index: {
      offsets,
      lengths,
      checksums,
      ...(ofFormat !== undefined && { header: ofFormat }),
      ...(tolerated !== undefined && { tolerated }),
    },
  };
}

interface SidecarHeader extends IndexedFile {
  readonly header: unknown;
  readonly tolerated: readonly Tolerated[] | undefined;
}

function parseHeader(value: unknown): SidecarHeader | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { format, size, modifiedNs, header, tolerated } = value as Partial<Record<string, unknown>>;
  if (typeof format !== "string" || typeof size !== "number") return undefined;
  if (typeof modifiedNs !== "string" || !/^-?\d{1,20}$/.test(modifiedNs)) return undefined;
  if (tolerated !== undefined && !(Array.isArray(tolerated) && tolerated.every(isToleratedEntry))) return undefined;
  return { format, size, modifiedNs: BigInt(modifiedNs), header, tolerated };
}

function isToleratedEntry(value: unknown): value is Tolerated {
  if (typeof value !== "object" || value === null) return false;
  const { policy, record, byte, bytes, reason } = value as Partial<Record<string, unknown>>;
  const isKnown = typeof policy === "string" && Object.hasOwn(toleranceChoices, policy);
  const isPlaced = typeof record === "number" && typeof byte === "number";
  return isKnown && isPlaced && (bytes === undefined || typeof bytes === "number") && typeof reason === "string";
}

function differenceOf(header: SidecarHeader, of: IndexedFile): string | undefined {
  if (header.format !== of.format) return `it was made of the file as ${header.format}, not ${of.format}`;
  if (header.size !== of.size) return `the file had ${header.size} bytes when it was made, now it has ${of.size}`;
  return header.modifiedNs === of.modifiedNs ? undefined : "the file was modified after it was made";
}

/** Holds records to follow each other without overlapping. Whether they are in the file is checked when they are read. */
function checkExtents(offsets: Float64Array, lengths: Float64Array, source: string, arraysAt: number): void {
  let previousEnd = 0;
  for (let record = 0; record < offsets.length; record++) {
    const [start = NaN, length = NaN] = [offsets[record], lengths[record]];
    if (!Number.isSafeInteger(start) || start < previousEnd || !Number.isSafeInteger(length) || length <= 0) {
      throw damaged("format", `the extent of record ${record} is impossible`, source, arraysAt + 8 * record);
    }
    previousEnd = start + length;
  }
}

function sharedCopy(bytes: Uint8Array, start: number, length: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(length);
  new Uint8Array(buffer).set(bytes.subarray(start, start + length));
  return buffer;
}

function unusable(reason: string): FoundSidecar {
  return { index: undefined, reason };
}

function damaged(code: ErrorCode, reason: string, source: string, byte: number): KdataError {
  return new KdataError(code, `Cannot read index: ${reason}`, {
    at: { source, byte },
    hint: "Make it anew with `kdata index`, or remove it.",
  });
}
