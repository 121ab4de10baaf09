// The members of one WebDataset sample as features.

import { KdataError, type Position } from "../core/errors.ts";
import { emptyFeatures, type Feature, type Sample } from "../core/sample.ts";
import { tensor, zeros, type Tensor } from "../core/tensor.ts";
import { inflateSource, overLimit } from "./compression.ts";
import type { Limits } from "./format.ts";
import { mostInflated } from "./limits.ts";
import { parseNpy } from "./npy.ts";
import { MemorySource } from "./source-memory.ts";
import { decodeUtf8, parseJson } from "./text.ts";
import type { SampleFrame } from "./webdataset-framer.ts";
import { memberKindOf, type IntegerDType, type MemberKind } from "./webdataset-members.ts";
import { inflateMember, readZipMembers, verifyStoredMember } from "./zip.ts";

/** Longer than any 64-bit number in decimal; spaces around it are allowed. */
const MAX_INTEGER_BYTES = 64;

/**
 * Decodes a sample whose frame begins at `index` of `bytes`. Bytes and tensors may be views.
 *
 * @throws {KdataError} `format` when a member does not hold what its extension says or two members are one feature;
 *   `unsupported` when an array or a number is of a kind that kdata refuses.
 */
export function decodeSample(
  frame: SampleFrame,
  bytes: Uint8Array,
  index: number,
  source: string,
  limits: Limits,
): Sample {
  const { key, record, notes } = frame;
  const features = emptyFeatures();
  const budget = { left: mostInflated(frame.end - frame.start, limits) };
  function add(name: string, feature: Feature, at: Position): void {
    if (name in features) {
      throw new KdataError("format", `Cannot read webdataset: two members are the feature "${name}"`, { at });
    }
    features[name] = feature;
  }
  for (const { ext, start, end } of frame.members) {
    const at = { source, record, byte: start };
    const note = notes.get(ext);
    const name = note?.name ?? ext;
    const stored = bytes.subarray(index + start - frame.start, index + end - frame.start);
    const { kind, content } = unwrapped(ext, stored, budget, limits, at);
    if (kind !== "npz") add(name, decodeMember(kind, ext, content, note?.dtype ?? "int64", at), at);
    else for (const [array, value] of arraysOf(content, budget, limits, at)) add(`${name}.${array}`, value, at);
  }
  return { key, origin: { source, record }, features };
}

/** Bytes that the members of one sample may still inflate to. */
interface InflateBudget {
  left: number;
}

/** Inflates a member `x.json.gz`, which decodes as `x.json` does: webdataset's `gzfilter`, once as there. */
function unwrapped(
  ext: string,
  stored: Uint8Array,
  budget: InflateBudget,
  limits: Limits,
  at: Position,
): { readonly kind: Exclude<MemberKind, "gzip">; readonly content: Uint8Array } {
  const kind = memberKindOf(ext);
  if (kind !== "gzip") return { kind, content: stored };
  const source = new MemorySource(at.source, stored);
  const { bytes } = placed(at, () => inflateSource(source, "gzip", { ...limits, inflatedBytes: budget.left }));
  budget.left -= bytes.length;
  // `gz` alone names nothing that is in it, and of `gz.gz` the inner one stays.
  const inner = ext === "gz" ? "bytes" : memberKindOf(ext.slice(0, -".gz".length));
  return { kind: inner === "gzip" ? "bytes" : inner, content: bytes };
}

/** Reads the arrays of an NPZ archive, each as a whole, by their names in it. */
function arraysOf(content: Uint8Array, budget: InflateBudget, limits: Limits, at: Position): [string, Feature][] {
  const source = new MemorySource(at.source, content);
  return placed(at, () =>
    readZipMembers(source, limits).map((member): [string, Feature] => {
      if (!member.name.endsWith(".npy")) {
        throw new KdataError("unsupported", `Cannot read npz: member ${member.name} is no NPY file`, { at });
      }
      if (member.deflated) {
        if (member.size > budget.left) throw overLimit("npz", at.source, budget.left);
        budget.left -= member.size;
      } else {
        verifyStoredMember(source, member);
      }
      const bytes = member.deflated ? inflateMember(source, member) : content.subarray(member.start, member.end);
      return [member.name.slice(0, -".npy".length), parseNpy(bytes, at)];
    }),
  );
}

/** Gives errors of what is in a member the place of the member. */
function placed<T>(at: Position, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof KdataError)) throw cause;
    throw new KdataError(cause.code, cause.reason, {
      at,
      cause,
      ...(cause.hint !== undefined && { hint: cause.hint }),
    });
  }
}

function decodeMember(
  kind: Exclude<MemberKind, "gzip" | "npz">,
  ext: string,
  content: Uint8Array,
  integer: IntegerDType,
  at: Position,
): Feature {
  switch (kind) {
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
