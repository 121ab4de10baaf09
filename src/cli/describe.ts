// Samples for people and for jq: what is small is shown, what is large is described. Not made to be read back as data.

import { shortestDecimal } from "../core/decimal.ts";
import { decodeHalf, isHalfDType } from "../core/half-float.ts";
import { bytesOf, elementCount, type Tensor } from "../core/tensor.ts";
import { featureKind, isBytesList, type Feature, type JsonValue, type Sample } from "../core/sample.ts";
import { crc32c } from "../readers/crc32c.ts";
import { sniffMedia } from "./media.ts";
import { formatBytes, formatBytesRange, formatQuantity } from "./numbers.ts";

const MAX_SHOWN_ELEMENTS = 16; // of a tensor, in JSON; a larger one is described by shape and checksum
const MAX_PREVIEW_ELEMENTS = 4; // of a tensor, for people
const MAX_PREVIEW_CHARACTERS = 40; // of a text, for people

/** A sample as `kdata head` prints it: the key as `__key__`, then the features in their order. */
export type SampleJson = Readonly<Record<string, JsonValue>>;

/**
 * Describes a sample as JSON: `{"__key__":"train-000/0","image/encoded":{"$bytes":3172,"media":"image/jpeg","crc32c":"9f1c2a77"},"image/class":[7]}`.
 *
 * Strings and JSON are themselves. Bytes are their length, media type and CRC-32C, a list is an array of such. A tensor of up to 16
 * elements is a number or (nested) arrays, a larger one `{"$tensor":"uint8","shape":[28,28],"crc32c":"..."}` with the CRC-32C of its
 * little-endian bytes. Integers beyond 2^53, NaN and the infinities, which JSON has no numbers for, are strings.
 */
export function sampleJson(sample: Sample): SampleJson {
  const json = Object.create(null) as Record<string, JsonValue>;
  json["__key__"] = sample.key;
  for (const [name, feature] of Object.entries(sample.features)) json[name] = featureJson(feature);
  return json;
}

/** Describes one feature as JSON, as {@link sampleJson} does. */
function featureJson(feature: Feature): JsonValue {
  if (typeof feature === "string") return feature;
  if (feature instanceof Uint8Array) return bytesJson(feature);
  if (isBytesList(feature)) return feature.map(bytesJson);
  return "json" in feature ? feature.json : tensorJson(feature);
}

/** Describes one feature in a few words: `jpeg 32×32 rgb, 3.1 KiB`, `7`, `uint8 28×28 [0, 0, 0, 0, …]`. */
export function featureText(feature: Feature): string {
  if (featureKind(feature) !== "bytes" && featureKind(feature) !== "tensor") return featureExample(feature);
  if (feature instanceof Uint8Array) {
    const media = sniffMedia(feature);
    const what = media ? `${mediaName(media.type)} ${media.detail ?? ""}`.trim() : featureExample(feature);
    return `${what}, ${formatBytes(feature.length)}`;
  }
  const tensor = feature as Tensor;
  const example = featureExample(tensor);
  return elementCount(tensor.shape) <= MAX_PREVIEW_ELEMENTS && tensor.shape.length < 2
    ? example
    : `${tensor.dtype} ${formatShape(tensor.shape)} ${example}`;
}

/** Shows what a feature holds, in a few words, to somebody who knows its kind and size: `32×32 rgb`, `7`, `"a dog"`. */
export function featureExample(feature: Feature): string {
  if (typeof feature === "string") return quoted(feature);
  if (feature instanceof Uint8Array) return bytesExample(feature);
  if (isBytesList(feature)) return listExample(feature);
  return "json" in feature ? shortened(JSON.stringify(feature.json)) : tensorExample(feature);
}

/** Formats a shape: `28×28`, `10`, and `scalar` for the shape without axes. */
export function formatShape(shape: readonly (number | string)[]): string {
  return shape.length === 0 ? "scalar" : shape.join("×");
}

/** Names a media type as people do: `image/jpeg` is `jpeg`. */
export function mediaName(type: string): string {
  return type.slice(type.indexOf("/") + 1);
}

/**
 * Reads an element as a number that JSON can hold, else as a string: an integer beyond 2^53, NaN, an infinity. Floats come as the
 * shortest decimal that rounds to the same element: 0.1, not 0.10000000149011612.
 */
export function elementJson({ dtype, data }: Tensor, index: number): number | string | boolean {
  const element = data[index] ?? NaN;
  if (typeof element === "bigint") {
    const number = Number(element);
    return Number.isSafeInteger(number) ? number : String(element);
  }
  if (dtype === "bool") return element !== 0;
  const value = isHalfDType(dtype) ? decodeHalf(dtype, element) : element;
  return Number.isFinite(value) ? shortestDecimal(value, dtype) : String(value);
}

function bytesJson(bytes: Uint8Array): JsonValue {
  const media = sniffMedia(bytes);
  return { $bytes: bytes.length, ...(media && { media: media.type }), crc32c: checksumText(bytes) };
}

function tensorJson(tensor: Tensor): JsonValue {
  const { dtype, shape, data } = tensor;
  if (elementCount(shape) > MAX_SHOWN_ELEMENTS) {
    return { $tensor: dtype, shape: [...shape], crc32c: checksumText(bytesOf(data)) };
  }
  return nestedJson(tensor, 0, 0);
}

/** The elements under one index of the axes before `axis`. */
function nestedJson(tensor: Tensor, axis: number, start: number): JsonValue {
  const size = tensor.shape[axis];
  if (size === undefined) return elementJson(tensor, start);
  const stride = elementCount(tensor.shape.slice(axis + 1));
  return Array.from({ length: size }, (_, index) => nestedJson(tensor, axis + 1, start + index * stride));
}

function checksumText(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return crc32c(view).toString(16).padStart(8, "0");
}

function bytesExample(bytes: Uint8Array): string {
  const media = sniffMedia(bytes);
  if (media) return media.detail ?? mediaName(media.type);
  return textOf(bytes) ?? "binary";
}

/** Bytes that are text are shown as text: many files keep their words as bytes. */
function textOf(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, 4 * MAX_PREVIEW_CHARACTERS));
  return /[\p{Cc}\ufffd]/u.test(text.slice(0, MAX_PREVIEW_CHARACTERS)) ? undefined : quoted(text);
}

function listExample(list: readonly Uint8Array[]): string {
  if (list.length === 0) return "empty";
  const sizes = list.map((item) => item.length);
  return `${formatQuantity(list.length, "item")} of ${formatBytesRange(Math.min(...sizes), Math.max(...sizes))}`;
}

function tensorExample(tensor: Tensor): string {
  const count = elementCount(tensor.shape);
  if (tensor.shape.length === 0) return String(elementJson(tensor, 0));
  const shown = Array.from({ length: Math.min(count, MAX_PREVIEW_ELEMENTS) }, (_, i) => String(elementJson(tensor, i)));
  if (count === 1) return shown.join("");
  return `[${shown.join(", ")}${count > shown.length ? ", …" : ""}]`;
}

function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

function shortened(text: string): string {
  const characters = Array.from(text.slice(0, 2 * MAX_PREVIEW_CHARACTERS));
  return characters.length > MAX_PREVIEW_CHARACTERS
    ? `${characters.slice(0, MAX_PREVIEW_CHARACTERS - 1).join("")}…`
    : text;
}
