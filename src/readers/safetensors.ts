// safetensors files: tensors by name, whose rows are the samples. https://huggingface.co/docs/safetensors/index#format

import { KdataError } from "../core/errors.ts";
import type { DType } from "../core/tensor.ts";
import { tensorElement } from "./element.ts";
import type { Format, Limits } from "./format.ts";
import { resolveLimits } from "./limits.ts";
import type { RowColumn } from "./row-layout.ts";
import { openRows } from "./rows.ts";
import {
  SAFETENSORS_LENGTH_BYTES,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type StoredTensor,
} from "./safetensors-header.ts";
import { rowNotesOf, type RowNote } from "./safetensors-notes.ts";
import type { SeekableSource } from "./source.ts";

/** The specification's own bound, which `limits.headerBytes` can only lower. */
const MAX_HEADER_BYTES = 100_000_000;

/** What elements of the specification's dtypes are; a complex number is a pair of floats. */
const elements: ReadonlyMap<string, readonly [dtype: DType, innerShape: readonly number[]]> = new Map([
  ["BOOL", ["bool", []]],
  ["U8", ["uint8", []]],
  ["I8", ["int8", []]],
  ["I16", ["int16", []]],
  ["U16", ["uint16", []]],
  ["F16", ["float16", []]],
  ["BF16", ["bfloat16", []]],
  ["I32", ["int32", []]],
  ["U32", ["uint32", []]],
  ["F32", ["float32", []]],
  ["C64", ["float32", [2]]],
  ["F64", ["float64", []]],
  ["I64", ["int64", []]],
  ["U64", ["uint64", []]],
]);

/**
 * safetensors files whose tensors have equal first axes: each is a feature, whose rows are the samples.
 *
 * Bytes of equal length and strings are noted in the metadata (see safetensors-notes.ts); other metadata is passed over. Tensors
 * without axes and floats of fewer than 16 bits are refused.
 */
export const safetensors: Format = {
  name: "safetensors",
  title: "safetensors",
  extensions: ["safetensors"],
  sealed: true,
  detect,
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open safetensors: a shard is one file");
    const limits = resolveLimits(options?.limits);
    const { header, dataStart } = readHeader(source, limits);
    const notes = rowNotesOf(header, { source: source.name, byte: SAFETENSORS_LENGTH_BYTES });
    const columns = header.tensors.map((tensor) => columnOf(source, tensor, notes.get(tensor.name), dataStart));
    const lengthHint = "Only tensors that have a row for each sample are a data set; model weights are none.";
    return openRows({ format: "safetensors", name: source.name, columns, lengthHint, sources: [source] }, limits);
  },
};

/** A length that a header can have, then JSON of an object with names or without. */
function detect(head: Uint8Array): boolean {
  if (head.length < SAFETENSORS_LENGTH_BYTES + 2) return false;
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return (
    length <= MAX_HEADER_BYTES &&
    /^\{ *["}]/.test(Buffer.from(head.subarray(SAFETENSORS_LENGTH_BYTES)).toString("latin1"))
  );
}

function readHeader(source: SeekableSource, limits: Limits): { header: SafetensorsHeader; dataStart: number } {
  const prefix = new Uint8Array(SAFETENSORS_LENGTH_BYTES);
  readExactly(source, prefix, 0);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  const limit = Math.min(limits.headerBytes, MAX_HEADER_BYTES);
  const at = { source: source.name, byte: SAFETENSORS_LENGTH_BYTES };
  if (length > limit) {
    const reason = `the header of ${length} bytes exceeds the limit of ${limit}`;
    throw new KdataError("limit", `Cannot read safetensors: ${reason}`, { at: { ...at, byte: 0 } });
  }
  const dataStart = SAFETENSORS_LENGTH_BYTES + length;
  if (dataStart > source.size) throw truncated(source, source.size);
  const bytes = new Uint8Array(length);
  readExactly(source, bytes, SAFETENSORS_LENGTH_BYTES);
  const header = parseSafetensorsHeader(bytes, at);
  const end = dataStart + (header.tensors.at(-1)?.end ?? 0);
  if (end > source.size) throw truncated(source, source.size);
  if (end < source.size) {
    const reason = "Cannot read safetensors: bytes follow after the last tensor";
    throw new KdataError("format", reason, { at: { ...at, byte: end } });
  }
  return { header, dataStart };
}

function columnOf(
  source: SeekableSource,
  { name, dtype, shape, start }: StoredTensor,
  note: RowNote | undefined,
  dataStart: number,
): RowColumn {
  const at = { source: source.name, byte: dataStart + start };
  const [count, ...rowShape] = shape;
  function refuse(reason: string): KdataError {
    return new KdataError("unsupported", `Cannot read safetensors: tensor "${name}" ${reason}`, { at });
  }
  if (count === undefined) throw refuse("has no axes, so it has no rows");
  const rows = { name, count, source, start: dataStart + start, stored: true };
  if (note !== undefined) {
    const byteLength = rowShape[0] ?? 0;
    if (note === "bytes") return { ...rows, element: { kind: "bytes", byteLength }, shape: [] };
    return { ...rows, element: { kind: "string", encoding: "utf-8", byteLength, bigEndian: false }, shape: [] };
  }
  const element = elements.get(dtype);
  if (!element) throw refuse(`has the dtype ${dtype}, which no dtype of kdata can hold`);
  const [type, innerShape] = element;
  return { ...rows, element: tensorElement(type, false), shape: [...rowShape, ...innerShape] };
}

function readExactly(source: SeekableSource, target: Uint8Array, position: number): void {
  const read = source.read(target, position);
  if (read < target.length) throw truncated(source, position + read);
}

function truncated(source: SeekableSource, byte: number): KdataError {
  const reason = "Cannot read safetensors: the file ends before its last tensor does";
  return new KdataError("truncated", reason, { at: { source: source.name, byte } });
}
