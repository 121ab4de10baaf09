// NPY files: one array behind a header; the first axis counts the samples.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { KdataError, type Position } from "../core/errors.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { toNativeOrder, viewTensor, type ArrayElement } from "./element.ts";
import { toRowMajor } from "./fortran-order.ts";
import type { Format, Limits, ReadOptions } from "./format.ts";
import { resolveLimits } from "./limits.ts";
import { groupArrays, placeArray } from "./npy-names.ts";
import { isNpy, itemBytes, npyHeaderSize, parseNpyHeader, type NpyHeader } from "./npy-header.ts";
import { RecordBlock, axesOf, type RowColumn } from "./row-layout.ts";
import { openRows } from "./rows.ts";
import { MemorySource } from "./source-memory.ts";
import type { SeekableSource } from "./source.ts";
import { isTolerated } from "./tolerance.ts";

/** Enough for the magic, the version and the length of the header. */
const PREAMBLE_BYTES = 12;

/**
 * Sets of NPY arrays with equal first axes, one file a feature; the rows are the samples.
 *
 * Numbers of both byte orders become tensors, complex ones with a last axis (real, imaginary), `|V<n>` and `|S<n>` bytes, `<U<n>`
 * strings; an array `__key__` of strings holds the keys. Each field of a structured array is a feature `<array>.<field>`.
 * Which files are one shard and what feature each holds is read from the names: `train.x.npy` and `train.y.npy`, or
 * `x-00000.npy` and `y-00000.npy`, or `x.npy` and `y.npy`. Column-major arrays are brought into row-major order in memory.
 * Pickled objects, dates and long doubles are refused.
 */
export const npy: Format = {
  name: "npy",
  title: "NPY arrays",
  extensions: ["npy"],
  detect: isNpy,
  group: groupArrays,
  decoding: ["trailingBytes"],
  sealed: true,
  open(files, options) {
    const limits = resolveLimits(options?.limits);
    const columns = files.flatMap((source) => {
      return npyColumns(placeArray(source.name).feature, arrayFile(source, limits, options), limits);
    });
    const name = groupArrays(files.map((source) => source.name))[0]?.name ?? "";
    const lengthHint = "Name the arrays that belong together with commas: x.npy,y.npy";
    return openRows({ format: "npy", name, columns, lengthHint, sources: files }, limits);
  },
};

/** The bytes of one NPY file: a file itself, or a part of an archive. */
export interface NpyBytes {
  readonly source: SeekableSource;
  /** Half-open. */
  readonly start: number;
  readonly end: number;
}

/**
 * Parses a whole NPY file in memory as one tensor of any rank.
 *
 * The tensor views `bytes` where they are row-major, in native byte order and aligned, otherwise it is a copy. `at.byte` is
 * where the file begins.
 *
 * @throws {KdataError} as {@link npyColumns} does; also `unsupported` for arrays of strings or opaque bytes.
 */
export function parseNpy(bytes: Uint8Array, at: Position): Tensor {
  const header = readHeader(
    new MemorySource(at.source, bytes),
    { start: 0, end: bytes.length },
    { headerBytes: bytes.length },
    at,
  );
  const { element, shape } = header;
  if (element.kind !== "tensor") {
    const what = header.fields ? "structures" : element.kind === "string" ? "strings" : "opaque bytes";
    throw new KdataError("unsupported", `Cannot read npy: an array of ${what} is no tensor`, { at });
  }
  const data = nativeRowMajor(bytes.subarray(header.byteLength), header);
  return viewTensor(element.dtype, [...shape, ...header.innerShape], data, (reason, byte) => {
    const position = { ...at, byte: (at.byte ?? 0) + header.byteLength + byte };
    return new KdataError("format", `Cannot read npy: ${reason}`, { at: position });
  });
}

/**
 * Reads the header of an array whose rows are samples: one column, or of a structured array one for each field.
 *
 * @throws {KdataError} what the header's parser throws; `truncated` when there are fewer bytes than the shape says, `format`
 *   when there are more, `unsupported` for an array without axes, `limit` when a column-major array is larger than
 *   `limits.inflatedBytes`, as it is brought into row-major order in memory, or a structure than `limits.recordBytes`.
 */
export function npyColumns(name: string, file: NpyBytes, limits: Limits): RowColumn[] {
  const { source, start } = file;
  const at = { source: source.name, byte: start };
  const header = readHeader(source, file, limits, at);
  const { element, innerShape, fields } = header;
  const [count, ...rowShape] = header.shape;
  if (count === undefined) {
    const reason = `Cannot read npy: the array of feature "${name}" has no axes, so it has no rows`;
    throw new KdataError("unsupported", reason, { at, hint: "Save it with one axis: numpy.atleast_1d(array)." });
  }
  const rows = { ...rowMajorBytes(file, header, limits), count };
  if (!fields) return [{ ...rows, name, element, shape: [...rowShape, ...innerShape] }];
  const recordBytes = elementCount(rowShape) * element.byteLength;
  if (recordBytes > limits.recordBytes) {
    const reason = `a row of ${recordBytes} bytes exceeds the limit of ${limits.recordBytes}`;
    throw new KdataError("limit", `Cannot read npy: ${reason}`, { at });
  }
  const records = new RecordBlock(rows.source, rows.start, recordBytes);
  const rowAxes = axesOf(rowShape, element.byteLength);
  return fields.map(({ name: field, element: type, innerShape: inner, offset, outerAxes, shape }) => {
    const axes = [...rowAxes, ...outerAxes];
    const fieldShape = [...axes.map((axis) => axis.count), ...shape, ...inner];
    return {
      ...rows,
      name: `${name}.${field}`,
      element: type,
      shape: fieldShape,
      layout: { recordBytes, records, offset, axes },
    };
  });
}

/** Where the rows lie, or a copy of them in row-major order. */
function rowMajorBytes(
  { source, start, end }: NpyBytes,
  header: NpyHeader,
  limits: Limits,
): Pick<RowColumn, "source" | "start" | "stored"> {
  const dataStart = start + header.byteLength;
  if (isRowMajor(header)) return { source, start: dataStart, stored: true };
  if (end - dataStart > limits.inflatedBytes) {
    const reason = `the column-major array of ${end - dataStart} bytes exceeds the limit of ${limits.inflatedBytes}`;
    throw new KdataError("limit", `Cannot read npy: ${reason}`, { at: { source: source.name, byte: start } });
  }
  const data = new Uint8Array(end - dataStart);
  readExactly(source, data, dataStart);
  const rows = new MemorySource(source.name, toRowMajor(data, header.shape, itemBytes(header)));
  return { source: rows, start: 0, stored: false };
}

/** The whole file, or without what is behind the array if that is tolerated. */
function arrayFile(source: SeekableSource, limits: Limits, options: ReadOptions = {}): NpyBytes {
  const file = { source, start: 0, end: source.size };
  if (!isTolerated("trailingBytes", options)) return file;
  const header = parseHeader(source, file, limits, { source: source.name, byte: 0 });
  const end = header.byteLength + elementCount(header.shape) * itemBytes(header);
  if (end >= source.size) return file;
  const place = { source: source.name, record: header.shape[0] ?? 0, byte: end };
  const reason = "there are bytes behind the end of the array";
  options.onTolerated?.({ policy: "trailingBytes", ...place, bytes: source.size - end, reason });
  return { ...file, end };
}

/** Reads the header and holds the shape to the bytes that follow. `at.byte` is where the file begins in what messages name. */
function readHeader(
  source: SeekableSource,
  file: Omit<NpyBytes, "source">,
  limits: Pick<Limits, "headerBytes">,
  at: Position,
): NpyHeader {
  const header = parseHeader(source, file, limits, at);
  checkSize(header, file.end - file.start, at);
  return header;
}

function parseHeader(
  source: SeekableSource,
  { start, end }: Omit<NpyBytes, "source">,
  limits: Pick<Limits, "headerBytes">,
  at: Position,
): NpyHeader {
  const preamble = new Uint8Array(Math.min(PREAMBLE_BYTES, end - start));
  readExactly(source, preamble, start);
  const size = npyHeaderSize(preamble, limits, at);
  const fileByte = at.byte ?? 0;
  if (size > end - start) {
    const position = { ...at, byte: fileByte + end - start };
    throw new KdataError("truncated", `Cannot read npy: the file ends inside the header of ${size} bytes`, {
      at: position,
    });
  }
  const bytes = new Uint8Array(size);
  readExactly(source, bytes, start);
  return parseNpyHeader(bytes, at);
}

function checkSize(header: NpyHeader, size: number, at: Position): void {
  const { byteLength, shape } = header;
  const expected = byteLength + elementCount(shape) * itemBytes(header);
  if (expected === size) return;
  const declared = `the shape (${shape.join(", ")}) says that the file has ${expected} bytes, it has ${size}`;
  const position = { ...at, byte: (at.byte ?? 0) + Math.min(expected, size) };
  throw new KdataError(expected > size ? "truncated" : "format", `Cannot read npy: ${declared}`, { at: position });
}

function readExactly(source: SeekableSource, target: Uint8Array, position: number): void {
  const read = source.read(target, position);
  if (read < target.length) {
    const at = { source: source.name, byte: position + read };
    throw new KdataError("truncated", "Cannot read npy: the file became shorter while it was read", { at });
  }
}

/** With at most one axis longer than one, both orders are the same. */
function isRowMajor({ fortranOrder, shape }: NpyHeader): boolean {
  return !fortranOrder || shape.filter((size) => size !== 1).length <= 1;
}

function nativeRowMajor(data: Uint8Array, header: NpyHeader): Uint8Array {
  const element: ArrayElement = header.element;
  const isView = isRowMajor(header) && data.byteOffset % element.byteLength === 0;
  const isSwapped = element.kind !== "bytes" && element.bigEndian;
  if (isView && !isSwapped) return data;
  const copy = isRowMajor(header) ? new Uint8Array(data) : toRowMajor(data, header.shape, itemBytes(header));
  toNativeOrder(element, copy);
  return copy;
}
