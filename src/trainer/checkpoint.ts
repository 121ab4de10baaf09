// Tensors by name in one file: safetensors, https://huggingface.co/docs/safetensors/index#format.
// Eight bytes of header length (little-endian), a JSON header, then the data; offsets count from the end of the header.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { KdataError } from "../core/errors.ts";
import { bytesOf, elementCount, tensor } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";

const MAX_HEADER_BYTES = 100_000_000; // the specification's own bound
const ALIGNMENT = 8; // the header is padded with spaces so that the data starts aligned

/** What a safetensors file of kdata holds. */
export interface SafetensorsFile {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes float32 tensors as one safetensors file, in the order of the map: under a partial name first, synced, then renamed.
 *
 * @throws {KdataError} `output` when the disk refuses; nothing is left behind.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(json.length / ALIGNMENT) * ALIGNMENT).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);

  const partial = `${path}.partial`;
  try {
    const file = openSync(partial, "w");
    try {
      writeAll(file, head);
      for (const { data } of tensors.values()) writeAll(file, bytesOf(data));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (error) {
    rmSync(partial, { force: true });
    throw new KdataError("output", `Cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Reads the float32 tensors of a safetensors file; the memory is fresh.
 *
 * @throws {KdataError} `input` when the file cannot be read, `format` or `truncated` with the byte when it is damaged.
 */
export function readSafetensors(path: string): SafetensorsFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new KdataError("input", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const header = parseHeader(bytes, path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const tensors = new Map<string, HostTensor>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") metadata = entry as Record<string, string>;
    else tensors.set(name, readTensor(bytes, start, { path, name, entry }));
  }
  return { tensors, metadata };
}

function parseHeader(bytes: Buffer, path: string): Record<string, unknown> {
  if (bytes.length < 8) {
    throw new KdataError("truncated", "Cannot read safetensors: the header's length is cut off", {
      at: { source: path, byte: bytes.length },
    });
  }
  const length = bytes.readBigUInt64LE(0);
  if (length > MAX_HEADER_BYTES || Number(length) > bytes.length - 8) {
    throw new KdataError("format", `Cannot read safetensors: a header of ${length} bytes does not fit the file`, {
      at: { source: path, byte: 0 },
    });
  }
  try {
    return JSON.parse(bytes.toString("utf8", 8, 8 + Number(length))) as Record<string, unknown>;
  } catch (error) {
    throw new KdataError("format", "Cannot read safetensors: the header is not JSON", {
      at: { source: path, byte: 8 },
      cause: error,
    });
  }
}

function readTensor(
  bytes: Buffer,
  start: number,
  { path, name, entry }: { path: string; name: string; entry: unknown },
): HostTensor {
  const { dtype, shape, data_offsets } = entry as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (dtype !== "F32" || !isSizes(shape) || !isSizes(data_offsets) || data_offsets.length !== 2) {
    throw new KdataError("format", `Cannot read safetensors: '${name}' is not a float32 tensor with offsets`, {
      at: { source: path, byte: 8 },
    });
  }
  const [from = 0, to = 0] = data_offsets;
  const length = elementCount(shape);
  if (to - from !== length * 4 || start + to > bytes.length) {
    throw new KdataError("truncated", `Cannot read safetensors: '${name}' is not whole`, {
      at: { source: path, byte: Math.min(start + to, bytes.length) },
    });
  }
  const data = new Float32Array(length);
  bytesOf(data).set(bytes.subarray(start + from, start + to));
  return tensor("float32", shape, data);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at);
}
