// The features of a sample as cells of delimited text, which src/readers/csv-columns.ts reads by the type in the header.

import { isBytesList, type Feature } from "../core/sample.ts";
import { bytesOf, type Tensor } from "../core/tensor.ts";
import { ELEMENT_SEPARATOR, type ColumnType } from "../readers/csv-columns.ts";
import { checkUnicode, encodeBase64, jsonText } from "../readers/text.ts";
import { numberText } from "./number-text.ts";

/** The bits of the NaN that JavaScript and numpy make. */
const USUAL_NAN = { float32: "7fc00000", float64: "7ff8000000000000" } as const;

/** Says which type of column holds a feature; `undefined` where there is none: a list. */
export function columnTypeOf(feature: Feature): ColumnType | undefined {
  if (typeof feature === "string") return { kind: "string" };
  if (feature instanceof Uint8Array) return { kind: "bytes" };
  if (isBytesList(feature)) return undefined;
  if ("json" in feature) return { kind: "json" };
  return { kind: "tensor", dtype: feature.dtype, shape: feature.shape };
}

/**
 * Writes a feature as the text of a cell, not quoted yet. `what` begins the messages.
 *
 * @throws {KdataError} `shape` for text that is not valid Unicode, and JSON numbers that JSON text cannot hold.
 */
export function cellText(feature: Exclude<Feature, readonly Uint8Array[]>, what: string): string {
  if (typeof feature === "string") {
    checkUnicode(feature, what);
    return feature;
  }
  if (feature instanceof Uint8Array) return encodeBase64(feature);
  if ("json" in feature) return jsonText(feature.json, what);
  return tensorText(feature);
}

/** 16-bit floats have no decimal text that is exact and common: their bytes are base64. */
function tensorText(tensor: Tensor): string {
  const { dtype, data } = tensor;
  if (dtype === "float16" || dtype === "bfloat16") return encodeBase64(bytesOf(data));
  const elements: string[] = [];
  for (let index = 0; index < data.length; index++) elements.push(elementText(tensor, index));
  return elements.join(ELEMENT_SEPARATOR);
}

function elementText({ dtype, data }: Tensor, index: number): string {
  const element = data[index] as number | bigint;
  if ((dtype === "float32" || dtype === "float64") && !Number.isFinite(element)) {
    if (Number.isNaN(element)) return nanText(dtype, data, index);
    return element > 0 ? "inf" : "-inf";
  }
  return numberText(element, dtype);
}

function nanText(dtype: "float32" | "float64", data: Tensor["data"], index: number): string {
  const size = data.BYTES_PER_ELEMENT;
  const view = new DataView(data.buffer, data.byteOffset + index * size, size);
  const bits = dtype === "float32" ? view.getUint32(0, true) : view.getBigUint64(0, true);
  const hex = bits.toString(16).padStart(2 * size, "0");
  return hex === USUAL_NAN[dtype] ? "nan" : `nan(0x${hex})`;
}
