// Samples through a function of the user's own.

import { KdataError } from "../core/errors.ts";
import { emptyFeatures, featureKind, isBytesList, type Feature, type Sample } from "../core/sample.ts";
import { elementCount, isDType, type Tensor } from "../core/tensor.ts";
import type { Transform } from "./transform.ts";
import { callerOf, userFunction, type UserFunction } from "./user-function.ts";

/** The description that {@link map} returns. */
export interface MapDescription extends UserFunction {
  readonly transform: "map";
}

/**
 * Maps samples by a function of a module: `map(new URL("./clean.ts", import.meta.url), "clean")`, or a path from the current directory
 * on. The module is imported in each worker thread, TypeScript included.
 *
 * The function is `(sample, random) => sample`, synchronous. It gets `{ key, origin, features }`, whose memory is valid during the call
 * only, and gives an object with other `features` (and another `key`, if it likes); memory that it returns must stay as it is until
 * the function is called again. `random` is a `RandomStream` of this (seed, epoch, record): what is drawn from anything else makes the
 * result depend on workers and resume.
 *
 * @throws {KdataError} `input` when the module cannot be imported, `usage` when it exports no such function or that is asynchronous. For
 *   each sample: `format` where the function throws, with the cause; `shape` where it gives no sample.
 */
export function map(module: string | URL, exported = "default"): MapDescription {
  return { transform: "map", ...userFunction("map", module, exported) };
}

/** Builds the transform that {@link map} describes. */
export function buildMap(description: MapDescription): Transform {
  const call = callerOf("map", description);
  return (sample, random) => {
    const result = call(sample, random());
    const { features, key = sample.key } = (result ?? {}) as Partial<Sample>;
    if (typeof features !== "object" || typeof key !== "string") {
      throw mapFault(description, sample, "gave no sample: an object with features");
    }
    for (const [name, feature] of Object.entries(features)) {
      if (isFeature(feature)) continue;
      throw mapFault(description, sample, `gave a feature '${name}' that is no tensor, bytes, string or JSON`);
    }
    return { key, origin: sample.origin, features: Object.assign(emptyFeatures(), features) };
  };
}

function mapFault({ module, name }: MapDescription, sample: Sample, what: string): KdataError {
  return new KdataError("shape", `Cannot map: '${name}' of ${module} ${what}`, { at: sample.origin });
}

function isFeature(value: unknown): value is Feature {
  if (typeof value === "string") return true;
  if (typeof value !== "object" || value === null) return false;
  const feature = value as Feature;
  if (typeof feature !== "string" && isBytesList(feature)) return feature.every((item) => item instanceof Uint8Array);
  return featureKind(feature) !== "tensor" || isTensorLike(value);
}

function isTensorLike(value: object): boolean {
  const { dtype, shape, data } = value as Partial<Tensor>;
  if (typeof dtype !== "string" || !isDType(dtype) || !Array.isArray(shape) || !ArrayBuffer.isView(data)) return false;
  return data.length === elementCount(shape);
}
