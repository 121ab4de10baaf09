// Tensors by name in one file: safetensors, https://huggingface.co/docs/safetensors/index#format.
// Eight bytes of header length (little-endian), a JSON header, then the data; offsets count from the end of the header.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { KdataError } from "../core/errors.ts";
import { bytesOf, elementCount, tensor } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";

const MAX_HEADER_BYTES = 100_000_000; // the specification's own bound
const ALIGNMENT = 8; // the header is padded with spaces so that the data starts aligned
const HEADER_START = 8; // behind the header's length
const BYTES_PER_ELEMENT = 4; // of float32 and int32

/** What a safetensors file of kdata holds. */
export interface SafetensorsFile {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Writes float32 and int32 tensors as one safetensors file, in the order of the map: under a partial name first, synced, then renamed.
 *
 * @throws {KdataError} `output` when the disk refuses; nothing is left behind.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  writeWhole(path, safetensorsParts(tensors, metadata));
}

/** Makes the parts of a safetensors file: its head, then the memory of each tensor, which is viewed. */
export function safetensorsParts(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
): readonly Uint8Array[] {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    header[name] = { dtype: dtype === "int32" ? "I32" : "F32", shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(HEADER_START + Math.ceil(json.length / ALIGNMENT) * ALIGNMENT).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - HEADER_START), true);
  head.set(json, HEADER_START);
  return [head, ...[...tensors.values()].map(({ data }) => bytesOf(data))];
}

/**
 * Writes a file from its parts: under a partial name first, synced, then renamed.
 *
 * @throws {KdataError} `output` when the disk refuses; nothing is left behind.
 */
export function writeWhole(path: string, parts: readonly Uint8Array[]): void {
  const partial = join(dirname(path), `.${basename(path)}.partial`);
  try {
    const file = openSync(partial, "w");
    try {
      for (const part of parts) writeAll(file, part);
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
 * Reads the float32 and int32 tensors of a safetensors file; the memory is fresh.
 *
 * @throws {KdataError} `input` when the file cannot be read, `format` or `truncated` with the byte when it is not what the
 *   specification asks for: a JSON object of tensors whose data fill the rest of the file without a gap or an overlap.
 */
export function readSafetensors(path: string): SafetensorsFile {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new KdataError("input", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  const { header, dataStart } = parseHeader(bytes, path);
  const { __metadata__: metadata = {}, ...rest } = header;
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw damaged("format", "__metadata__ is not an object of strings", path, HEADER_START);
  }
  const entries = Object.entries(rest).map(([name, entry]) => parseEntry(name, entry, path));
  entries.sort((a, b) => a.from - b.from || a.to - b.to);
  const tensors = new Map<string, HostTensor>();
  let position = 0;
  for (const { name, dtype, shape, from, to } of entries) {
    if (from !== position) throw damaged("format", `'${name}' leaves a gap or an overlap`, path, dataStart + from);
    if (dataStart + to > bytes.length) throw damaged("truncated", `'${name}' is not whole`, path, bytes.length);
    const data = dtype === "F32" ? new Float32Array(elementCount(shape)) : new Int32Array(elementCount(shape));
    bytesOf(data).set(bytes.subarray(dataStart + from, dataStart + to));
    tensors.set(name, data instanceof Int32Array ? tensor("int32", shape, data) : tensor("float32", shape, data));
    position = to;
  }
  if (dataStart + position !== bytes.length) {
    throw damaged("format", "bytes follow after the last tensor", path, dataStart + position);
  }
  return { tensors, metadata: metadata as Record<string, string> };
}

function parseHeader(bytes: Buffer, path: string): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < HEADER_START) throw damaged("truncated", "the header's length is cut off", path, bytes.length);
  const length = bytes.readBigUInt64LE(0);
  if (length > MAX_HEADER_BYTES || Number(length) > bytes.length - HEADER_START) {
    throw damaged("format", `a header of ${length} bytes does not fit the file`, path, 0);
  }
  const dataStart = HEADER_START + Number(length);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(HEADER_START, dataStart)));
  } catch (error) {
    throw damaged("format", "the header is not JSON", path, HEADER_START, error);
  }
  if (!isObject(header)) throw damaged("format", "the header is not a JSON object", path, HEADER_START);
  return { header, dataStart };
}

function parseEntry(
  name: string,
  entry: unknown,
  path: string,
): { name: string; dtype: "F32" | "I32"; shape: readonly number[]; from: number; to: number } {
  const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
  if ((dtype !== "F32" && dtype !== "I32") || !isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw damaged("format", `'${name}' is not a float32 or int32 tensor with offsets`, path, HEADER_START);
  }
  const [from = 0, to = 0] = offsets;
  if (to - from !== elementCount(shape) * BYTES_PER_ELEMENT) {
    throw damaged("format", `'${name}' has offsets that do not fit its shape`, path, HEADER_START);
  }
  return { name, dtype, shape, from, to };
}

function damaged(
  code: "format" | "truncated",
  reason: string,
  source: string,
  byte: number,
  cause?: unknown,
): KdataError {
  return new KdataError(code, `Cannot read safetensors: ${reason}`, { at: { source, byte }, cause });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at);
}
