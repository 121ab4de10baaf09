// What a caller wants of each record: some features by name, or by a spec that says what each one must be, with the meaning
// that https://www.tensorflow.org/api_docs/python/tf/io/parse_example gives to fixed and to variable features.

import { KdataError } from "../core/errors.ts";
import { elementCount, isDType, type DType } from "../core/tensor.ts";

/** One element of a default: of the dtype of its feature. */
export type DefaultElement = number | bigint | string | Uint8Array;

/** What one feature of every record must be. */
export interface FeatureSpec {
  /** Of its elements. `bytes` and `string` (UTF-8) are one value where the shape is `[]`; several values of bytes are a list. */
  readonly dtype: DType | "bytes" | "string";
  /**
   * Of one record. `[]` is a scalar. A first size of `null` is open: `[null]` takes any number of elements, as
   * `tf.io.VarLenFeature` and `tf.io.RaggedFeature` do, `[null, 3]` any number of rows of three.
   */
  readonly shape: readonly (number | null)[];
  /**
   * Taken where a record lacks the feature: one element for all places, or one for each. Without it a fixed feature that is
   * missing is an error, and an open one has no elements.
   */
  readonly default?: DefaultElement | readonly DefaultElement[];
}

/** Names of features, or a spec for each. */
export type FeatureSelection = readonly string[] | Readonly<Record<string, FeatureSpec>>;

/** A selection as readers work with it: the features in the order given; a name alone has no spec. */
export type WantedFeatures = ReadonlyMap<string, FeatureSpec | undefined>;

/**
 * Completes a selection.
 *
 * @throws {KdataError} `usage` when it selects nothing, a name twice, or a spec is none; the message names the feature.
 */
export function resolveFeatures(selection: FeatureSelection): WantedFeatures {
  const entries: readonly (readonly [string, FeatureSpec | undefined])[] = isList(selection)
    ? selection.map((name) => [name, undefined] as const)
    : Object.entries(selection);
  if (entries.length === 0) throw new KdataError("usage", "Cannot read features: none is selected");
  const wanted = new Map(entries);
  if (wanted.size < entries.length) {
    throw new KdataError("usage", `Cannot read features: one is selected twice in ${[...wanted.keys()].join(", ")}`);
  }
  for (const [name, spec] of wanted) if (spec) checkSpec(name, spec);
  return wanted;
}

/** Writes a spec as messages show it: `float32 [32]`. */
export function describeSpec({ dtype, shape }: FeatureSpec): string {
  return `${dtype} [${shape.map((size) => size ?? "any").join(", ")}]`;
}

function isList(selection: FeatureSelection): selection is readonly string[] {
  return Array.isArray(selection);
}

function checkSpec(name: string, { dtype, shape, default: given }: FeatureSpec): void {
  function refuse(reason: string): KdataError {
    return new KdataError("usage", `Cannot read feature "${name}": its spec ${reason}`);
  }
  if (dtype !== "bytes" && dtype !== "string" && !isDType(dtype)) {
    throw refuse(`has the dtype ${JSON.stringify(dtype)}, which is none`);
  }
  const isOpen = shape[0] === null;
  const sizes = isOpen ? shape.slice(1) : shape;
  if (!sizes.every((size): size is number => Number.isSafeInteger(size) && (size ?? -1) >= 0)) {
    throw refuse("has a size that is no whole number; only the first one may be null");
  }
  if (dtype === "string" && shape.length > 0) throw refuse("has a string of a shape other than []");
  if (dtype === "bytes" && shape.length > 1) throw refuse("has bytes of a rank other than 0 and 1");
  if (given === undefined) return;
  const elements = Array.isArray(given) ? given.length : undefined;
  if (dtype === "float16" || dtype === "bfloat16") throw refuse("has a default, which half floats cannot have");
  if (isOpen) throw refuse("has a default, but an open feature that is missing has no elements");
  if (elements !== undefined && elements !== elementCount(sizes)) {
    throw refuse(`has a default of ${elements} elements for ${elementCount(sizes)}`);
  }
}
