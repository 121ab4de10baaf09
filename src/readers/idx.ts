// MNIST's idx files: two zeros, the type, the rank, the sizes as big-endian 32-bit numbers, and the elements, big-endian too.
// http://yann.lecun.com/exdb/mnist/

import { KdataError, type ErrorCode } from "../core/errors.ts";
import { elementCount, type DType } from "../core/tensor.ts";
import { tensorElement } from "./element.ts";
import type { Format, ReadOptions, ShardFiles } from "./format.ts";
import { resolveLimits } from "./limits.ts";
import type { RowColumn } from "./row-layout.ts";
import { openRows } from "./rows.ts";
import { splitPath } from "./shard-names.ts";
import type { SeekableSource } from "./source.ts";
import { isTolerated } from "./tolerance.ts";

/** Two zeros, the type, the rank. */
const MAGIC_BYTES = 4;
const SIZE_BYTES = 4;

const dtypesByCode: ReadonlyMap<number, DType> = new Map([
  [0x08, "uint8"],
  [0x09, "int8"],
  [0x0b, "int16"],
  [0x0c, "int32"],
  [0x0d, "float32"],
  [0x0e, "float64"],
]);

/** `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`: the prefix and what is in the file. */
const MNIST_NAME = /^(?:(.+)[-_.])?(images|labels)[-.]idx[13][-.]ubyte(?:\.gz)?$/;

/**
 * The idx format of MNIST and its relatives.
 *
 * `<prefix>-images-idx3-ubyte` and `<prefix>-labels-idx1-ubyte` are one shard with the features `image` and `label`; any other
 * file is a shard with the feature `data`. The first axis counts the samples.
 */
export const idx: Format = {
  name: "idx",
  title: "MNIST idx",
  extensions: ["idx", "idx1-ubyte", "idx3-ubyte"],
  detect(head) {
    const [zero, zero2, type = 0, rank = 0] = head;
    return zero === 0 && zero2 === 0 && dtypesByCode.has(type) && rank > 0 && head.length >= headerSize(rank);
  },
  group: groupFiles,
  decoding: ["trailingBytes"],
  sealed: true,
  open(files, options) {
    const columns = files.map((source) => idxColumn(featureName(source.name), source, options));
    const name = groupFiles(files.map((source) => source.name))[0]?.name ?? "";
    return openRows({ format: "idx", name, columns, sources: files }, resolveLimits(options?.limits));
  },
};

function headerSize(rank: number): number {
  return MAGIC_BYTES + SIZE_BYTES * rank;
}

function groupFiles(paths: readonly string[]): ShardFiles[] {
  const shards = new Map<string, string[]>();
  for (const path of paths) {
    const name = shardName(path);
    const files = shards.get(name);
    if (files) files.push(path);
    else shards.set(name, [path]);
  }
  return [...shards].map(([name, files]) => ({ name, paths: files }));
}

function shardName(path: string): string {
  const { prefix, directory, file } = splitPath(path);
  const match = MNIST_NAME.exec(file);
  if (!match) return path;
  return match[1] === undefined ? directory : prefix + match[1];
}

function featureName(path: string): string {
  const what = MNIST_NAME.exec(splitPath(path).file)?.[2];
  if (what === undefined) return "data";
  return what === "images" ? "image" : "label";
}

/** Reads the header and holds the sizes to the bytes that follow. */
function idxColumn(name: string, source: SeekableSource, options: ReadOptions = {}): RowColumn {
  const header = new Uint8Array(Math.min(headerSize(0xff), source.size));
  const length = source.read(header, 0);
  function fail(code: ErrorCode, reason: string, byte: number): KdataError {
    return new KdataError(code, `Cannot read idx: ${reason}`, { at: { source: source.name, byte } });
  }
  const [zero, zero2, type = 0, rank = 0] = header;
  if (length < MAGIC_BYTES) throw fail("truncated", "the file ends inside the header", length);
  if (zero !== 0 || zero2 !== 0) throw fail("format", "the file does not begin with two zeros", 0);
  const dtype = dtypesByCode.get(type);
  if (dtype === undefined) throw fail("format", `the type ${type} is not known`, 2);
  if (rank === 0) throw fail("unsupported", "an array without axes has no rows", 3);
  const start = headerSize(rank);
  if (length < start) throw fail("truncated", "the file ends inside the header", length);
  const view = new DataView(header.buffer, MAGIC_BYTES);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(axis * SIZE_BYTES));
  const element = tensorElement(dtype, true);
  const end = start + elementCount(shape) * element.byteLength;
  const [count = 0, ...rowShape] = shape;
  if (end < source.size && isTolerated("trailingBytes", options)) {
    const place = { source: source.name, record: count, byte: end };
    const reason = "there are bytes behind the end of the array";
    options.onTolerated?.({ policy: "trailingBytes", ...place, bytes: source.size - end, reason });
  } else if (end !== source.size) {
    const reason = `the shape (${shape.join(", ")}) says that the file has ${end} bytes, it has ${source.size}`;
    throw fail(end > source.size ? "truncated" : "format", reason, Math.min(end, source.size));
  }
  return { name, element, shape: rowShape, count, source, start, stored: true };
}
