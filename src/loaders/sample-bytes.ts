// A sample as bytes, for a cache. All numbers are little-endian.
//
//   length of the header (uint32), header: JSON { key, origin, features }, payloads
//
// A feature of the header is [name, kind, ...]: a tensor has dtype, shape and byte length, bytes have their length, a list has lengths; their
// payloads come in this order, each at a multiple of 8 from the start. A string and JSON are in the header itself.

import { emptyFeatures, isBytesList, type Feature, type JsonValue, type Sample } from "../core/sample.ts";
import { bytesOf, bytesPerElement, elementCount, viewElements, type DType } from "../core/tensor.ts";

/** A feature in the header. */
type Entry =
  | readonly [name: string, kind: "tensor", dtype: DType, shape: readonly number[]]
  | readonly [name: string, kind: "bytes", length: number]
  | readonly [name: string, kind: "list", lengths: readonly number[]]
  | readonly [name: string, kind: "string", value: string]
  | readonly [name: string, kind: "json", value: JsonValue];

interface Header {
  readonly key: string;
  readonly origin: { readonly source: string; readonly record: number };
  readonly features: readonly Entry[];
}

const LENGTH_BYTES = 4;
// Every dtype is aligned to its size where the whole is aligned to this.
const ALIGNMENT = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Encodes a sample: a multiple of 8 bytes. `undefined` where it has a value that would not come back bit for bit: in JSON a number that
 * it cannot write, which are negative zero, infinity and NaN.
 */
export function encodeSample({ key, origin, features }: Sample): Uint8Array | undefined {
  const payloads: Uint8Array[] = [];
  const entries: Entry[] = [];
  for (const [name, feature] of Object.entries(features)) {
    const entry = entryOf(name, feature, payloads);
    if (!entry) return undefined;
    entries.push(entry);
  }
  const header: Header = { key, origin: { source: origin.source, record: origin.record }, features: entries };
  const text = encoder.encode(JSON.stringify(header));
  let byteLength = align(LENGTH_BYTES + text.length);
  for (const payload of payloads) byteLength += align(payload.byteLength);
  const bytes = new Uint8Array(byteLength);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(text, LENGTH_BYTES);
  let at = align(LENGTH_BYTES + text.length);
  for (const payload of payloads) {
    bytes.set(payload, at);
    at += align(payload.byteLength);
  }
  return bytes;
}

/**
 * Decodes a sample. Its tensors and bytes view the memory given, from a multiple of 8 on.
 *
 * @throws {RangeError | SyntaxError | TypeError} when the bytes are no such sample; a checksum should have said so before.
 */
export function decodeSample(memory: ArrayBufferLike, start: number, byteLength: number): Sample {
  const bytes = new Uint8Array(memory, start, byteLength);
  const textLength = new DataView(memory, start, byteLength).getUint32(0, true);
  if (textLength > byteLength - LENGTH_BYTES) throw new RangeError("Cannot decode sample: its header is cut short");
  const text = decoder.decode(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + textLength));
  const header = JSON.parse(text) as Header;
  const features = emptyFeatures();
  let at = align(LENGTH_BYTES + textLength);
  function take(length: number): Uint8Array {
    if (!(length >= 0 && length <= byteLength - at)) throw new RangeError("Cannot decode sample: it is cut short");
    const payload = bytes.subarray(at, at + length);
    at += align(length);
    return payload;
  }
  for (const entry of header.features) features[entry[0]] = featureOf(entry, take);
  return { key: header.key, origin: header.origin, features };
}

function entryOf(name: string, feature: Feature, payloads: Uint8Array[]): Entry | undefined {
  if (typeof feature === "string") return [name, "string", feature];
  if (feature instanceof Uint8Array) {
    payloads.push(feature);
    return [name, "bytes", feature.byteLength];
  }
  if (isBytesList(feature)) {
    payloads.push(...feature);
    return [name, "list", feature.map(({ byteLength }) => byteLength)];
  }
  if ("json" in feature) return hasUnwritable(feature.json) ? undefined : [name, "json", feature.json];
  const { dtype, shape, data } = feature;
  payloads.push(bytesOf(data));
  return [name, "tensor", dtype, shape];
}

function featureOf(entry: Entry, take: (length: number) => Uint8Array): Feature {
  switch (entry[1]) {
    case "tensor": {
      const [, , dtype, shape] = entry;
      const count = elementCount(shape);
      const { buffer, byteOffset } = take(count * bytesPerElement(dtype));
      return { dtype, shape, data: viewElements(dtype, buffer, byteOffset, count) };
    }
    case "bytes":
      return take(entry[2]);
    case "list":
      return entry[2].map(take);
    case "string":
      return entry[2];
    case "json":
      return { json: entry[2] };
  }
}

function hasUnwritable(value: JsonValue): boolean {
  if (typeof value === "number") return !Number.isFinite(value) || Object.is(value, -0);
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasUnwritable);
}

function align(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}
