// What an array's elements are and how they lie in its bytes, shared by the array formats: numbers, opaque bytes, and text
// in fixed fields of UTF-32 or UTF-8.

import { isUtf8 } from "node:buffer";
import type { KdataError } from "../core/errors.ts";
import type { Feature } from "../core/sample.ts";
import { bytesPerElement, elementCount, viewElements, type DType, type Tensor } from "../core/tensor.ts";

/** Bytes of one code point in UTF-32. */
const CODE_POINT_BYTES = 4;
const MAX_CODE_POINT = 0x10ffff;

/** One element of an array. `byteLength` counts the bytes of one: of the whole text for strings. */
export type ArrayElement =
  | { readonly kind: "tensor"; readonly dtype: DType; readonly byteLength: number; readonly bigEndian: boolean }
  | {
      readonly kind: "string";
      readonly encoding: "utf-8" | "utf-32";
      readonly byteLength: number;
      readonly bigEndian: boolean;
    }
  | { readonly kind: "bytes"; readonly byteLength: number };

/** Makes the element of a tensor. */
export function tensorElement(dtype: DType, bigEndian: boolean): ArrayElement {
  return { kind: "tensor", dtype, byteLength: bytesPerElement(dtype), bigEndian };
}

/** Brings whole elements into the byte order of the machine, in place. */
export function toNativeOrder(element: ArrayElement, bytes: Uint8Array): void {
  if (element.kind === "bytes" || !element.bigEndian || element.byteLength === 1) return;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wordBytes = element.kind === "tensor" ? element.byteLength : CODE_POINT_BYTES;
  if (wordBytes === 2) buffer.swap16();
  else if (wordBytes === 4) buffer.swap32();
  else if (wordBytes === 8) buffer.swap64();
}

/** Makes the error for an element that is not what it must be; `byte` counts from the first one. */
export type ElementFail = (reason: string, byte: number) => KdataError;

/**
 * Views elements of a tensor in native byte order. `bytes` must begin at a multiple of the element's size and hold the whole
 * shape.
 *
 * @throws {KdataError} what `fail` makes, when a bool is neither 0 nor 1.
 */
export function viewTensor(dtype: DType, shape: readonly number[], bytes: Uint8Array, fail: ElementFail): Tensor {
  if (dtype === "bool") checkBools(bytes, fail);
  return { dtype, shape, data: viewElements(dtype, bytes.buffer, bytes.byteOffset, elementCount(shape)) };
}

/**
 * Turns the elements of one row, in native byte order, into a feature: numbers into a tensor of `shape`, which like bytes
 * views the memory; one text into a string, without the NULs at its end, as numpy reads it.
 *
 * @throws {KdataError} what `fail` makes, when a bool is neither 0 nor 1 or text is not of Unicode characters.
 */
export function featureOf(
  element: ArrayElement,
  shape: readonly number[],
  bytes: Uint8Array,
  fail: ElementFail,
): Feature {
  if (element.kind === "bytes") return bytes;
  if (element.kind === "string")
    return element.encoding === "utf-8" ? decodeText(bytes, fail) : decodeUtf32(bytes, fail);
  return viewTensor(element.dtype, shape, bytes, fail);
}

function checkBools(bytes: Uint8Array, fail: ElementFail): void {
  for (let i = 0; i < bytes.length; i++) {
    const value = bytes[i] as number;
    if (value > 1) throw fail(`a bool is ${value}, not 0 or 1`, i);
  }
}

function decodeUtf32(bytes: Uint8Array, fail: ElementFail): string {
  const points = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / CODE_POINT_BYTES);
  let end = points.length;
  while (end > 0 && points[end - 1] === 0) end--;
  let text = "";
  for (let i = 0; i < end; i++) {
    const point = points[i] as number;
    if (point > MAX_CODE_POINT || (point >= 0xd800 && point <= 0xdfff)) {
      throw fail(`a string holds the number ${point}, which is no Unicode character`, i * CODE_POINT_BYTES);
    }
    text += String.fromCodePoint(point);
  }
  return text;
}

function decodeText(bytes: Uint8Array, fail: ElementFail): string {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end);
  if (!isUtf8(text)) throw fail("a string is not UTF-8", 0);
  return text.toString("utf8");
}
