// Compressed inputs: gzip (RFC 1952) and zlib (RFC 1950), which TensorFlow's TFRecordOptions call GZIP and ZLIB.

import { constants, gunzipSync, inflateSync } from "node:zlib";
import { KdataError, type Position } from "../core/errors.ts";
import type { Limits } from "./format.ts";
import { mostInflated } from "./limits.ts";
import { MemorySource } from "./source-memory.ts";
import type { SeekableSource } from "./source.ts";

/** How an input is compressed. */
export type Compression = "gzip" | "zlib";

/** Bytes that zlib hands over at a time: many, so that few pieces are joined at the end, but in proportion to a small file. */
const MAX_CHUNK_BYTES = 1 << 18;
const MIN_CHUNK_BYTES = 1 << 12;

const inflaters = { gzip: gunzipSync, zlib: inflateSync };

/**
 * Says how an input is compressed by its first bytes: gzip by its magic number; zlib, which has none, by a header of deflate
 * with the usual window of 32 KiB and without a dictionary, after which bytes follow that can be inflated.
 */
export function compressionOf(head: Uint8Array): Compression | undefined {
  const [first, second, third] = head;
  if (first === undefined || second === undefined || third === undefined) return undefined;
  if (first === 0x1f && second === 0x8b && third === 8) return "gzip";
  const isZlib = first === 0x78 && (first * 256 + second) % 31 === 0 && (second & 0x20) === 0;
  return isZlib && canInflate(head) ? "zlib" : undefined;
}

/**
 * Inflates the first bytes of an input, as far as they go.
 *
 * @throws {KdataError} `format` when they are damaged.
 */
export function inflateHead(head: Uint8Array, compression: Compression, source: string): Uint8Array {
  try {
    return inflaters[compression](head, { finishFlush: constants.Z_SYNC_FLUSH });
  } catch (cause) {
    const reason = `Cannot inflate ${compression}: its first bytes are damaged`;
    throw new KdataError("format", reason, { at: { source }, cause });
  }
}

/**
 * Inflates a whole source, of one or more members where it is gzip, into memory under the same name, and closes it.
 *
 * Positions in later errors count inflated bytes.
 *
 * @throws {KdataError} `truncated` when the compressed bytes end early, `checksum` when the inflated bytes do not match the
 *   stored sum or length, `format` when they are not of this compression or something follows after the end, `limit` when they
 *   are or would become more than `limits.inflatedBytes`.
 */
export function inflateSource(source: SeekableSource, compression: Compression, limits: Limits): MemorySource {
  try {
    if (source.size > limits.inflatedBytes) throw overLimit(compression, source.name, limits.inflatedBytes);
    const compressed = new Uint8Array(source.size);
    const length = source.read(compressed, 0);
    const inflated = inflate(compressed.subarray(0, length), compression, source.name, limits);
    return new MemorySource(source.name, inflated);
  } finally {
    source.close();
  }
}

/** Turns an error of zlib into one with a code; `at` says how many compressed bytes there were. Any other error stays. */
export function inflateError(cause: unknown, compression: Compression, at: Position): unknown {
  if (!(cause instanceof Error) || !("code" in cause) || cause instanceof KdataError) return cause;
  if (cause.code === "Z_BUF_ERROR") {
    const reason = `Cannot inflate ${compression}: the compressed bytes end early`;
    return new KdataError("truncated", reason, { at, cause });
  }
  const mismatch = cause.message === "incorrect data check" || cause.message === "incorrect length check";
  const details = { at: { source: at.source }, cause };
  return new KdataError(mismatch ? "checksum" : "format", `Cannot inflate ${compression}: ${cause.message}`, details);
}

function canInflate(head: Uint8Array): boolean {
  try {
    return inflateHead(head, "zlib", "").length > 0;
  } catch (error) {
    if (error instanceof KdataError) return false;
    throw error;
  }
}

function inflate(compressed: Uint8Array, compression: Compression, name: string, limits: Limits): Uint8Array {
  try {
    // With `info` zlib also says how many compressed bytes it took; the type declarations do not know the option.
    const chunkSize = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, 4 * compressed.length));
    const options = { maxOutputLength: mostInflated(compressed.length, limits), chunkSize, info: true };
    const result = inflaters[compression](compressed, options) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    refuseTrailingBytes(compressed, result.engine.bytesWritten, compression, name);
    return result.buffer;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") {
      throw overLimit(compression, name, mostInflated(compressed.length, limits), cause);
    }
    throw inflateError(cause, compression, { source: name, byte: compressed.length });
  }
}

/** zlib stops at a zero byte after a member, as padding to whole blocks has them, and looks no further. */
function refuseTrailingBytes(compressed: Uint8Array, start: number, compression: Compression, name: string): void {
  for (let byte = start; byte < compressed.length; byte++) {
    if (compressed[byte] !== 0) {
      const at = { source: name, byte };
      throw new KdataError("format", `Cannot inflate ${compression}: bytes follow after the end`, { at });
    }
  }
}

/** Makes the error for what inflates to more than it may. */
export function overLimit(compression: string, source: string, limit: number, cause?: unknown): KdataError {
  const reason = `Cannot inflate ${compression}: it holds more than the limit of ${limit} bytes`;
  const hint = "Raise limits.inflatedBytes and limits.inflateRatio, or decompress the file first.";
  return new KdataError("limit", reason, { at: { source }, hint, cause });
}
