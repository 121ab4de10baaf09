// The lists of a tf.train.Example as what a feature spec says they must be.

import { KdataError, type Position } from "../core/errors.ts";
import { emptyFeatures, isBytesList, isTensor, type Feature, type Features } from "../core/sample.ts";
import { bytesPerElement, elementCount, zeros, type DType, type Tensor } from "../core/tensor.ts";
import { viewTensor } from "./element.ts";
import { describeSpec, type DefaultElement, type FeatureSpec, type WantedFeatures } from "./feature-spec.ts";
import { decodeUtf8, encodeUtf8 } from "./text.ts";

/**
 * Takes the wanted features, in their order, as their specs say. A feature without a spec stays as it is.
 *
 * int64_list gives every integer dtype and bool, where each number fits; float_list gives float32; one value of bytes_list
 * gives any dtype by its little-endian bytes, as `tf.io.decode_raw` reads it, and an open shape what fills it.
 *
 * @throws {KdataError} `shape` when one is missing and has no default, or is not what its spec says; the message names it.
 */
export function applySpecs(stored: Features, wanted: WantedFeatures, at: Position): Features {
  const features = emptyFeatures();
  for (const [name, spec] of wanted) {
    const feature = stored[name];
    if (!spec) {
      if (feature === undefined) throw missing(name, at);
      features[name] = feature;
    } else {
      features[name] = isMissing(feature) ? defaultOf(name, spec, at) : applySpec(name, feature, spec, at);
    }
  }
  return features;
}

/** Says whether a record lacks a feature. An empty list of bytes is what one without any list reads as: TensorFlow fills it in. */
function isMissing(feature: Feature | undefined): feature is undefined {
  return feature === undefined || (typeof feature === "object" && isBytesList(feature) && feature.length === 0);
}

function applySpec(name: string, stored: Feature, spec: FeatureSpec, at: Position): Feature {
  const { dtype, shape } = spec;
  if (dtype === "bytes" || dtype === "string") return textOrBytes(name, stored, spec, at);
  if (stored instanceof Uint8Array) return rawTensor(name, stored, dtype, spec, at);
  if (typeof stored !== "object" || !isTensor(stored)) throw misfit(name, spec, describe(stored), at);
  const filled = fillShape(shape, stored.data.length);
  if (!filled) throw misfit(name, spec, `${stored.data.length} elements`, at);
  if (stored.dtype === dtype) return { dtype, shape: filled, data: stored.data };
  if (stored.dtype === "float32" || dtype.includes("float")) throw misfit(name, spec, describe(stored), at);
  return narrow(name, stored, dtype, filled, spec, at);
}

function textOrBytes(name: string, stored: Feature, spec: FeatureSpec, at: Position): Feature {
  const { dtype, shape } = spec;
  const values = stored instanceof Uint8Array ? [stored] : typeof stored === "object" && isBytesList(stored) && stored;
  if (!values) throw misfit(name, spec, describe(stored), at);
  if (!fillShape(shape, values.length)) throw misfit(name, spec, `${values.length} values`, at);
  const [value] = values;
  if (shape.length > 0 || !value) return values;
  return dtype === "bytes" ? value : decodeUtf8(value, `Cannot read tfrecord: feature "${name}"`, at);
}

function rawTensor(name: string, bytes: Uint8Array, dtype: DType, spec: FeatureSpec, at: Position): Tensor {
  const filled = fillShape(spec.shape, bytes.length / bytesPerElement(dtype));
  if (!filled) throw misfit(name, spec, `${bytes.length} bytes`, at);
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes);
  return viewTensor(dtype, filled, aligned, (reason) => misfit(name, spec, reason, at));
}

/** Completes an open shape by the number of elements; `undefined` where they do not fill it. */
function fillShape(shape: readonly (number | null)[], elements: number): readonly number[] | undefined {
  const known = elementCount(shape.map((size) => size ?? 1));
  if (shape[0] !== null) return known === elements ? shape.map((size) => size ?? 0) : undefined;
  const rows = known === 0 ? 0 : elements / known;
  return Number.isInteger(rows) && rows * known === elements ? shape.map((size) => size ?? rows) : undefined;
}

function narrow(
  name: string,
  stored: Tensor,
  dtype: DType,
  shape: readonly number[],
  spec: FeatureSpec,
  at: Position,
): Tensor {
  const result = zeros(dtype, shape);
  const { data } = result;
  for (let i = 0; i < data.length; i++) {
    const value = stored.data[i] as bigint;
    data[i] = data instanceof BigUint64Array ? value : Number(value);
    if (BigInt(data[i] as number | bigint) !== value || (dtype === "bool" && value > 1n)) {
      throw misfit(name, spec, `the element ${value}`, at);
    }
  }
  return result;
}

function defaultOf(name: string, spec: FeatureSpec, at: Position): Feature {
  const { dtype, shape, default: given } = spec;
  if (given === undefined && shape[0] !== null) throw missing(name, at);
  const filled = shape.map((size) => size ?? 0);
  const count = elementCount(filled);
  const elements = Array.from({ length: count }, (_, i) => (isElements(given) ? given[i] : given));
  if (dtype === "bytes" || dtype === "string") {
    if (dtype === "string") return String(elements[0]);
    const values = elements.map((element) => toBytes(name, element));
    const [value] = values;
    return shape.length === 0 && value ? value : values;
  }
  const result = zeros(dtype, filled);
  for (let i = 0; i < count; i++) {
    const value = toNumber(name, spec, elements[i], result);
    result.data[i] = value;
    // Floats are rounded; of anything else, what does not come back as it was does not fit.
    if (!dtype.includes("float") && result.data[i] !== value) throw noDefault(name, spec, String(elements[i]));
  }
  return result;
}

function isElements(given: FeatureSpec["default"]): given is readonly DefaultElement[] {
  return Array.isArray(given);
}

function toBytes(name: string, element: DefaultElement | undefined): Uint8Array {
  if (element instanceof Uint8Array) return element;
  return encodeUtf8(String(element), `Cannot read feature "${name}": its default`);
}

function toNumber(
  name: string,
  spec: FeatureSpec,
  element: DefaultElement | undefined,
  { data }: Tensor,
): number | bigint {
  if (typeof element !== "number" && typeof element !== "bigint") throw noDefault(name, spec, "no number");
  return data instanceof BigInt64Array || data instanceof BigUint64Array ? BigInt(element) : Number(element);
}

function noDefault(name: string, spec: FeatureSpec, given: string): KdataError {
  return new KdataError("usage", `Cannot read feature "${name}": its default is ${given}, not ${describeSpec(spec)}`);
}

function describe(stored: Feature): string {
  if (stored instanceof Uint8Array) return "bytes";
  if (typeof stored === "object" && isBytesList(stored)) return `${stored.length} values of bytes`;
  return typeof stored === "object" && isTensor(stored) ? `a list of ${stored.dtype}` : "text";
}

function missing(name: string, at: Position): KdataError {
  return new KdataError("shape", `Cannot read tfrecord: the feature "${name}" is missing`, {
    at,
    hint: "Give it a default in its spec, or leave it out.",
  });
}

function misfit(name: string, spec: FeatureSpec, found: string, at: Position): KdataError {
  const reason = `Cannot read tfrecord: feature "${name}" must be ${describeSpec(spec)}, but holds ${found}`;
  return new KdataError("shape", reason, { at });
}
