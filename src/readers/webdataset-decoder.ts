// The members of one WebDataset sample as features.

import { KdataError, type Position } from "../core/errors.ts";
import { emptyFeatures, type Feature, type Sample } from "../core/sample.ts";
import { tensor, zeros, type Tensor } from "../core/tensor.ts";
import { parseNpy } from "./npy.ts";
import { decodeUtf8, parseJson } from "./text.ts";
import type { SampleFrame } from "./webdataset-framer.ts";
import { memberKindOf, type IntegerDType } from "./webdataset-members.ts";

/** Longer than any 64-bit number in decimal; spaces around it are allowed. */
const MAX_INTEGER_BYTES = 64;

/**
 * Decodes a sample whose frame begins at `index` of `bytes`. Bytes and tensors may be views.
 *
 * @throws {KdataError} `format` when a member does not hold what its extension says or two members are one feature;
 *   `unsupported` when an array or a number is of a kind that kdata refuses.
 */
export function decodeSample(frame: SampleFrame, bytes: Uint8Array, index: number, source: string): Sample {
  const { key, record, notes } = frame;
  const features = emptyFeatures();
  for (const { ext, start, end } of frame.members) {
    const at = { source, record, byte: start };
    const note = notes.get(ext);
    const name = note?.name ?? ext;
    if (name in features) {
      throw new KdataError("format", `Cannot read webdataset: two members are the feature "${name}"`, { at });
    }
    const content = bytes.subarray(index + start - frame.start, index + end - frame.start);
    features[name] = decodeMember(ext, content, note?.dtype ?? "int64", at);
  }
  return { key, origin: { source, record }, features };
}

function decodeMember(ext: string, content: Uint8Array, integer: IntegerDType, at: Position): Feature {
  switch (memberKindOf(ext)) {
    case "bytes":
      return content;
    case "string":
      return decodeUtf8(content, `Cannot read webdataset: the member ".${ext}"`, at);
    case "json":
      return { json: parseJson(content, `Cannot read webdataset: the member ".${ext}"`, at) };
    case "npy":
      return parseNpy(content, at);
    case "int64":
      return parseInteger(ext, content, integer, at);
  }
}

/** A decimal number as Python's `int` reads it, but without underscores. */
function parseInteger(ext: string, content: Uint8Array, dtype: IntegerDType, at: Position): Tensor {
  const text = content.length > MAX_INTEGER_BYTES ? "" : String.fromCharCode(...content);
  const digits = /^[ \t-\r]*([+-]?[0-9]+)[ \t-\r]*$/.exec(text)?.[1];
  if (digits === undefined) {
    throw new KdataError("format", `Cannot read webdataset: the member ".${ext}" is no whole number`, { at });
  }
  const value = BigInt(digits.startsWith("+") ? digits.slice(1) : digits);
  const result = integerTensor(dtype, value);
  if (BigInt(result.data[0] as bigint | number) !== value) {
    throw new KdataError("format", `Cannot read webdataset: ${digits} in the member ".${ext}" is no ${dtype}`, { at });
  }
  return result;
}

/** A scalar of the lower bits of a value. */
function integerTensor(dtype: IntegerDType, value: bigint): Tensor {
  if (dtype === "int64") return tensor(dtype, [], BigInt64Array.of(value));
  if (dtype === "uint64") return tensor(dtype, [], BigUint64Array.of(value));
  const low = Number(BigInt.asIntN(32, value));
  const result = zeros(dtype, []);
  result.data[0] = low;
  return result;
}
