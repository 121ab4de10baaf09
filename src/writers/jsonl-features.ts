// The features of a sample as JSON text. What JSON text alone would not give back with kind, dtype and shape is written as an object
// whose first name says what it is; src/readers/jsonl-features.ts reads it.

import { isBytesList, type Feature, type JsonValue } from "../core/sample.ts";
import { bytesOf, elementCount, type Tensor } from "../core/tensor.ts";
import { JsonScanner } from "../readers/json-scanner.ts";
import { isMarker, MARKERS } from "../readers/jsonl-features.ts";
import { encodeBase64, jsonText } from "../readers/text.ts";
import { numberText } from "./number-text.ts";

/** Elements up to which a tensor that needs a marker is written as numbers, to be read by people; larger ones are base64. */
const MAX_SHOWN_ELEMENTS = 16;

const scanner = new JsonScanner((_code, reason) => {
  throw new TypeError(`Cannot write jsonl: kdata wrote invalid JSON: ${reason}`);
});

/**
 * Writes a feature as JSON text without line breaks.
 *
 * `what` begins the messages.
 *
 * @throws {KdataError} `shape` when JSON holds a number that JSON text cannot hold.
 */
export function featureJson(feature: Feature, what: string): string {
  if (typeof feature === "string") return JSON.stringify(feature);
  if (feature instanceof Uint8Array) return `{"${MARKERS.bytes}":"${encodeBase64(feature)}"}`;
  if (isBytesList(feature))
    return `{"${MARKERS.list}":[${feature.map((item) => `"${encodeBase64(item)}"`).join(",")}]}`;
  if (!("json" in feature)) return tensorJson(feature);
  const text = jsonText(feature.json, what);
  return isNatural(feature.json, text) ? text : `{"${MARKERS.json}":${text}}`;
}

/** Says whether JSON reads back as JSON, not as a string, a tensor or what a marker says. */
function isNatural(value: JsonValue, text: string): boolean {
  if (value === null) return true;
  if (typeof value !== "object") return false;
  if (!Array.isArray(value)) return !isMarker(Object.keys(value)[0]);
  scanner.begin(text);
  return scanner.numbers() === undefined;
}

function tensorJson(tensor: Tensor): string {
  const { dtype, shape, data } = tensor;
  const isNumbers = isFinite(tensor) && !shape.includes(0);
  if (isNumbers && (dtype === "int64" || dtype === "float64" || dtype === "bool")) return nested(tensor, 0, 0);
  const isShown = isNumbers && elementCount(shape) <= MAX_SHOWN_ELEMENTS && dtype !== "float16" && dtype !== "bfloat16";
  if (isShown) return `{"${MARKERS.tensor}":"${dtype}","data":${nested(tensor, 0, 0)}}`;
  return `{"${MARKERS.tensor}":"${dtype}","shape":[${shape.join(",")}],"base64":"${encodeBase64(bytesOf(data))}"}`;
}

/** The elements under one index of the axes before `axis`. */
function nested(tensor: Tensor, axis: number, start: number): string {
  const size = tensor.shape[axis];
  if (size === undefined) return numberText(tensor.data[start] as number | bigint, tensor.dtype);
  const stride = elementCount(tensor.shape.slice(axis + 1));
  const parts: string[] = [];
  for (let index = 0; index < size; index++) parts.push(nested(tensor, axis + 1, start + index * stride));
  return `[${parts.join(",")}]`;
}

function isFinite({ dtype, data }: Tensor): boolean {
  if (dtype !== "float32" && dtype !== "float64") return true;
  return (data as Float32Array | Float64Array).every(Number.isFinite);
}
