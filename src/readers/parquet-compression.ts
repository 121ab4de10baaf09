// The compression of pages: https://parquet.apache.org/docs/file-format/data-pages/compression/

import type { CompressionCodec } from "hyparquet";
import * as zlib from "node:zlib";

import type { KdataError } from "../core/errors.ts";
import { inflateLz4Block } from "./lz4-block.ts";
import { inflateSnappy } from "./snappy.ts";

/** Makes the error for a page that cannot be inflated. */
export type InflateFail = (code: "format" | "unsupported", reason: string, details?: PageFaultDetails) => KdataError;

/** What an error about a page says beside the reason. */
export interface PageFaultDetails {
  readonly hint?: string;
  readonly cause?: unknown;
}

/** What Node's zlib has from 22.15 on. */
type ZstdDecompress = (input: Uint8Array, options: { maxOutputLength: number }) => Buffer;

/**
 * Inflates a page to exactly `length` bytes, which the caller has held to a limit.
 *
 * @throws {KdataError} `format` when it does not give that many, `unsupported` for a compression that is not to be had.
 */
export function inflatePage(codec: CompressionCodec, input: Uint8Array, length: number, fail: InflateFail): Uint8Array {
  switch (codec) {
    case "UNCOMPRESSED":
      if (input.length !== length) throw fail("format", `a page of ${input.length} bytes says ${length}`);
      return input;
    case "SNAPPY":
      return inflateBlock(inflateSnappy, input, length, fail);
    case "LZ4_RAW":
      return inflateBlock(inflateLz4Block, input, length, fail);
    case "GZIP":
      return inflateByNode(zlib.gunzipSync, input, length, fail);
    case "BROTLI":
      return inflateByNode(zlib.brotliDecompressSync, input, length, fail);
    case "ZSTD": {
      const { zstdDecompressSync } = zlib as { zstdDecompressSync?: ZstdDecompress };
      if (zstdDecompressSync) return inflateByNode(zstdDecompressSync, input, length, fail);
      throw fail("unsupported", `it is compressed with zstd, which this Node (${process.version}) cannot inflate`, {
        hint: "Use Node 22.15 or later, or write the file with snappy or gzip.",
      });
    }
    case "LZ4":
    case "LZO":
      throw fail("unsupported", `it is compressed with ${codec}, which the specification has given up`, {
        hint: "Write the file with snappy, gzip or lz4_raw.",
      });
  }
}

function inflateBlock(
  inflate: (input: Uint8Array, target: Uint8Array) => string | undefined,
  input: Uint8Array,
  length: number,
  fail: InflateFail,
): Uint8Array {
  const target = new Uint8Array(length);
  const reason = inflate(input, target);
  if (reason !== undefined) throw fail("format", `a page cannot be inflated: ${reason}`);
  return target;
}

function inflateByNode(
  inflate: (input: Uint8Array, options: { maxOutputLength: number }) => Buffer,
  input: Uint8Array,
  length: number,
  fail: InflateFail,
): Uint8Array {
  let inflated: Buffer;
  try {
    inflated = inflate(input, { maxOutputLength: Math.max(1, length) });
  } catch (cause) {
    throw fail("format", `a page cannot be inflated to ${length} bytes`, { cause });
  }
  if (inflated.length !== length) throw fail("format", `a page inflates to ${inflated.length} bytes, not ${length}`);
  return inflated;
}
