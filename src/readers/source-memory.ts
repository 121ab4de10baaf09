// Bytes in memory as a seekable source, and a gzip file inflated into one.

import { gunzipSync } from "node:zlib";
import { KdataError, type Position } from "../core/errors.ts";
import type { Limits } from "./format.ts";
import type { SeekableSource } from "./source.ts";

/** Bytes that zlib hands over at a time: many, so that few pieces are joined at the end, but in proportion to a small file. */
const MAX_CHUNK_BYTES = 1 << 18;
const MIN_CHUNK_BYTES = 1 << 12;

/** Bytes that are in memory already. They are viewed, not copied. */
export class MemorySource implements SeekableSource {
  readonly kind = "seekable";
  readonly name: string;
  readonly size: number;
  readonly bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.size = bytes.length;
    this.bytes = bytes;
  }

  /** Copies bytes from `position` on into `target` and returns how many: fewer than `target.length` only at the end. */
  read(target: Uint8Array, position: number): number {
    const part = this.bytes.subarray(position, position + target.length);
    target.set(part);
    return part.length;
  }

  /** Does nothing: memory needs no closing. */
  close(): void {
    return;
  }
}

/** Says whether these first bytes of a file are of gzip with the deflate method, the only one there is (RFC 1952). */
export function isGzip(head: Uint8Array): boolean {
  return head.length >= 3 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8;
}

/**
 * Inflates a whole gzip source, of one or more members, into memory under the same name, and closes it.
 *
 * Positions in later errors count inflated bytes.
 *
 * @throws {KdataError} `truncated` when the compressed bytes end early, `checksum` when the inflated bytes do not match the
 *   stored sum or length, `format` when they are not gzip or something follows the last member, `limit` when they are or
 *   would become more than `limits.inflatedBytes`.
 */
export function gunzipSource(source: SeekableSource, limits: Limits): MemorySource {
  try {
    if (source.size > limits.inflatedBytes) throw overLimit(source.name, limits);
    const compressed = new Uint8Array(source.size);
    const length = source.read(compressed, 0);
    return new MemorySource(source.name, inflate(compressed.subarray(0, length), source.name, limits));
  } finally {
    source.close();
  }
}

function inflate(compressed: Uint8Array, name: string, limits: Limits): Uint8Array {
  try {
    // With `info` zlib also says how many compressed bytes it took; the type declarations do not know the option.
    const chunkSize = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, 4 * compressed.length));
    const options = { maxOutputLength: limits.inflatedBytes, chunkSize, info: true };
    const result = gunzipSync(compressed, options) as unknown as {
      buffer: Uint8Array;
      engine: { bytesWritten: number };
    };
    refuseTrailingBytes(compressed, result.engine.bytesWritten, name);
    return result.buffer;
  } catch (cause) {
    if (cause instanceof KdataError) throw cause;
    throw inflateError(cause, { source: name }, compressed.length, limits);
  }
}

/** zlib stops at a zero byte after a member, as padding to whole blocks has them, and looks no further. */
function refuseTrailingBytes(compressed: Uint8Array, start: number, name: string): void {
  for (let byte = start; byte < compressed.length; byte++) {
    if (compressed[byte] !== 0) {
      const at = { source: name, byte };
      throw new KdataError("format", "Cannot inflate gzip: bytes follow after the padding", { at });
    }
  }
}

function inflateError(cause: unknown, at: Position, size: number, limits: Limits): unknown {
  if (!(cause instanceof Error) || !("code" in cause)) return cause;
  if (cause.code === "ERR_BUFFER_TOO_LARGE") return overLimit(at.source, limits, cause);
  if (cause.code === "Z_BUF_ERROR") {
    const details = { at: { ...at, byte: size }, cause };
    return new KdataError("truncated", "Cannot inflate gzip: the compressed bytes end early", details);
  }
  const mismatch = cause.message === "incorrect data check" || cause.message === "incorrect length check";
  return new KdataError(mismatch ? "checksum" : "format", `Cannot inflate gzip: ${cause.message}`, { at, cause });
}

function overLimit(source: string, limits: Limits, cause?: unknown): KdataError {
  const reason = `Cannot inflate gzip: it holds more than the limit of ${limits.inflatedBytes} bytes`;
  const hint = "Raise limits.inflatedBytes, or decompress the file first.";
  return new KdataError("limit", reason, { at: { source }, hint, cause });
}
