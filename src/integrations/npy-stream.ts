// Batches as one stream of bytes that numpy can read: docs/integrations.md#npy-stream says how it looks.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { isTensorColumn, type Batch, type Column } from "../core/batch.ts";
import { KdataError, messageOf } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { featureKind, type Feature } from "../core/sample.ts";
import { bytesOf, tensor, type Tensor } from "../core/tensor.ts";
import { formatNpyHeader } from "../readers/npy-header.ts";
import type { BatchSource } from "./batch-source.ts";

const ACTION = "Cannot write npy stream";
const VERSION = "kdata.npy-stream/1";
const LENGTH_BYTES = 4;
// Pieces up to this size are joined: a write of its own costs more than the copy.
const JOINED_BYTES = 1 << 14;

/** How a stream is made. */
export interface NpyStreamOptions {
  /** Iterations over the source. Default 1. */
  readonly epochs?: number;
}

/** A column as the header of its frame describes it: of what kind it is, and the bytes of each of its arrays. */
interface ColumnHeader {
  readonly name: string;
  readonly kind: "tensor" | "bytes" | "list" | "string" | "json";
  /** Where numpy has no such type: the array is of the same bits as uint16. */
  readonly dtype?: "bfloat16";
  readonly arrays: readonly number[];
}

const optionNames: Readonly<Record<keyof NpyStreamOptions, true>> = { epochs: true };

/**
 * Writes batches as frames of JSON headers and NPY arrays, for `examples/python/kdata_reader.py` or any other reader with a parser of NPY.
 *
 * Bytes are views, valid until the next ones are asked for. What the source throws is written as an error frame, so that the reader can say
 * what it was, and then thrown. Leaving the iteration early leaves the source.
 *
 * @throws {KdataError} `usage` for an option that is not known, and what the source throws.
 * @throws {RangeError} when `epochs` is not a whole number from 1 on.
 */
export async function* npyStream(
  source: BatchSource,
  options: NpyStreamOptions = {},
): AsyncGenerator<Uint8Array, void> {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const { epochs = 1 } = options;
  checkWhole(ACTION, "epochs", epochs, 1);
  const { stepsPerEpoch: steps = null, sampleCount: samples = null } = source;
  const counts = { batches: 0, samples: 0, padded: 0, skipped: 0 };
  yield frame({ frame: "begin", stream: VERSION, epochs, steps, samples });
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      for await (const batch of source) {
        yield* joined(batchFrame(batch));
        counts.batches++;
        counts.samples += batch.size - batch.padded;
        counts.padded += batch.padded;
        counts.skipped += batch.skipped ?? 0;
      }
    }
  } catch (error) {
    yield errorFrame(error);
    throw error;
  }
  yield frame({ frame: "end", ...counts });
}

/** Makes the frame that ends a stream with an error. */
export function errorFrame(error: unknown): Uint8Array {
  const { code, hint } = error instanceof KdataError ? error : {};
  const message = messageOf(error);
  return frame({ frame: "error", code, message, hint });
}

/** A frame without arrays, or the head of one: the length of the header, and the header as a line of JSON. */
function frame(header: object): Uint8Array {
  const line = Buffer.from(`${JSON.stringify(header)}\n`);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + line.length);
  bytes.writeUInt32LE(line.length);
  bytes.set(line, LENGTH_BYTES);
  return bytes;
}

function batchFrame({ epoch, step, size, padded, skipped = 0, keys, features }: Batch): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const columns = Object.entries(features).map(([name, column]): ColumnHeader => {
    const kind = kindOf(column);
    const arrays = arraysOf(column).map((array) => npyPieces(array));
    pieces.push(...arrays.flat());
    return {
      name,
      kind,
      ...(isTensorColumn(column) && column.dtype === "bfloat16" && { dtype: column.dtype }),
      arrays: arrays.map(([head, data]) => head.length + data.length),
    };
  });
  return [frame({ frame: "batch", epoch, step, size, padded, skipped, keys, columns }), ...pieces];
}

function kindOf(column: Column): ColumnHeader["kind"] {
  return isTensorColumn(column) ? "tensor" : featureKind(column[0] ?? "");
}

/** A tensor is one array; values are their bytes one after another behind the offsets of each, lists behind the offsets of their items. */
function arraysOf(column: Column): readonly Tensor[] {
  if (isTensorColumn(column)) return [column];
  const items: Uint8Array[] = [];
  const starts: number[] = [0];
  let isList = false;
  for (const value of column as readonly Exclude<Feature, Tensor>[]) {
    if (Array.isArray(value)) {
      isList = true;
      items.push(...(value as readonly Uint8Array[]));
    } else {
      items.push(bytesOfValue(value as Exclude<typeof value, readonly Uint8Array[]>));
    }
    starts.push(items.length);
  }
  const offsets: number[] = [0];
  for (const item of items) offsets.push((offsets.at(-1) ?? 0) + item.length);
  const bytes = Buffer.concat(items);
  const values = [int64(offsets), tensor("uint8", [bytes.length], bytes)];
  return isList ? [int64(starts), ...values] : values;
}

function bytesOfValue(value: Uint8Array | string | { readonly json: unknown }): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value.json));
}

function int64(numbers: readonly number[]): Tensor {
  return tensor("int64", [numbers.length], BigInt64Array.from(numbers, BigInt));
}

function npyPieces({ dtype, shape, data }: Tensor): [header: Uint8Array, data: Uint8Array] {
  return [formatNpyHeader(dtype === "bfloat16" ? "uint16" : dtype, shape), bytesOf(data)];
}

function* joined(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.length <= JOINED_BYTES) {
      small.push(piece);
      continue;
    }
    yield Buffer.concat(small);
    small = [];
    yield piece;
  }
  if (small.length > 0) yield Buffer.concat(small);
}
