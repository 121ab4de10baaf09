// Raw bytes as a tensor, as tf.io.decode_raw reads them: https://www.tensorflow.org/api_docs/python/tf/io/decode_raw.

import { KdataError } from "../core/errors.ts";
import { featureKind, type Sample } from "../core/sample.ts";
import { bytesOf, bytesPerElement, elementCount, isDType, viewElements, type DType } from "../core/tensor.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** How raw bytes are to be read. */
export interface RawLayout {
  readonly dtype: DType;
  /** Of one sample, without the batch axis. */
  readonly shape: readonly number[];
  /** The order of the bytes of one element. Default `little`. */
  readonly byteOrder?: "little" | "big";
}

/** The description that {@link decodeRaw} returns. */
export interface DecodeRawDescription extends RawLayout {
  readonly transform: "decodeRaw";
  readonly feature: string;
}

const machineOrder = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? "little" : "big";

/**
 * Reads a feature of raw bytes as the elements of a tensor, in row-major order.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is not bytes, or not as many as the shape takes; `format` when a
 *   byte of a `bool` is neither 0 nor 1.
 */
export function decodeRaw(feature: string, layout: RawLayout): DecodeRawDescription {
  const { dtype, shape, byteOrder = "little" } = layout;
  if (!isDType(dtype)) throw new RangeError(`Cannot decode '${feature}': ${String(dtype)} is not a dtype`);
  if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) {
    throw new RangeError(`Cannot decode '${feature}': [${shape.join(", ")}] is not a shape`);
  }
  return { transform: "decodeRaw", feature, dtype, shape: [...shape], byteOrder };
}

/** Builds the transform that {@link decodeRaw} describes. */
export function buildDecodeRaw(description: DecodeRawDescription): Transform {
  const { feature, dtype, shape, byteOrder } = description;
  const elementBytes = bytesPerElement(dtype);
  const length = elementCount(shape);
  const elements = reusedElements(dtype);
  const mustSwap = elementBytes > 1 && byteOrder !== machineOrder;
  return (sample) => {
    const bytes = requireBytes(sample, feature);
    if (bytes.length !== length * elementBytes) {
      throw new KdataError(
        "shape",
        `Cannot decode '${feature}': ${bytes.length} bytes are not ${dtype} [${shape.join(", ")}] of ${length * elementBytes}`,
        { at: sample.origin },
      );
    }
    if (dtype === "bool") checkBooleans(bytes, sample, feature);
    if (!mustSwap && bytes.byteOffset % elementBytes === 0) {
      const data = viewElements(dtype, bytes.buffer, bytes.byteOffset, length);
      return replaceFeature(sample, feature, { dtype, shape, data });
    }
    const data = elements(length);
    const target = bytesOf(data);
    target.set(bytes);
    if (mustSwap) swapElements(target, elementBytes);
    return replaceFeature(sample, feature, { dtype, shape, data });
  };
}

function requireBytes(sample: Sample, name: string): Uint8Array {
  const feature = requireFeature(sample, name, "decode");
  if (feature instanceof Uint8Array) return feature;
  throw new KdataError("shape", `Cannot decode '${name}': it is ${featureKind(feature)}, not bytes`, {
    at: sample.origin,
  });
}

function checkBooleans(bytes: Uint8Array, sample: Sample, feature: string): void {
  const wrong = bytes.find((byte) => byte > 1);
  if (wrong === undefined) return;
  throw new KdataError("format", `Cannot decode '${feature}': a bool of ${wrong} is neither 0 nor 1`, {
    at: sample.origin,
  });
}

function swapElements(bytes: Uint8Array, elementBytes: number): void {
  for (let start = 0; start < bytes.length; start += elementBytes) {
    bytes.subarray(start, start + elementBytes).reverse();
  }
}
