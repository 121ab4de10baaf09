// Samples of every kind for round trips, and a form of them that tells every bit apart.

import fc from "fast-check";

import { emptyFeatures, isBytesList, type Feature, type JsonValue, type Sample } from "../../src/core/sample.ts";
import { bytesOf, dtypes, elementCount, viewElements, type DType } from "../../src/core/tensor.ts";

/** Makes a sample from plain features. */
export function sampleOf(key: string, features: Readonly<Record<string, Feature>>): Sample {
  return { key, origin: { source: "made.test", record: 0 }, features: Object.assign(emptyFeatures(), features) };
}

/** A sample as plain data: equal exactly when every bit of every feature is. The order of the features does not count. */
export function plain(sample: Sample): unknown {
  const features = Object.entries(sample.features).map(([name, feature]) => [name, plainFeature(feature)] as const);
  return { key: sample.key, features: features.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

function plainFeature(feature: Feature): unknown {
  if (typeof feature === "string") return { string: feature };
  if (feature instanceof Uint8Array) return { bytes: hex(feature) };
  if (isBytesList(feature)) return { list: feature.map(hex) };
  if ("json" in feature) return { json: JSON.stringify(feature.json) };
  return { dtype: feature.dtype, shape: [...feature.shape], data: hex(bytesOf(feature.data)) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

const anyBytes = fc.uint8Array({ maxLength: 40 });

/** Bits of any kind: NaN payloads, minus zero and extreme integers among them. */
function tensorOf(dtype: DType, shape: readonly number[]): fc.Arbitrary<Feature> {
  const count = elementCount(shape);
  const bytes = count * viewElements(dtype, new ArrayBuffer(0), 0, 0).BYTES_PER_ELEMENT;
  const element =
    dtype === "bool"
      ? fc.integer({ min: 0, max: 1 })
      : fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 127, 128, 255));
  return fc.array(element, { minLength: bytes, maxLength: bytes }).map((values) => {
    return { dtype, shape, data: viewElements(dtype, Uint8Array.from(values).buffer, 0, count) };
  });
}

const anyShape = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 });

/** Tensors of every dtype, scalars and empty ones among them. */
function anyTensor(allowed: readonly DType[] = dtypes): fc.Arbitrary<Feature> {
  return fc.tuple(fc.constantFrom(...allowed), anyShape).chain(([dtype, shape]) => tensorOf(dtype, shape));
}

const anyText = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.constantFrom("", "\0", "a\0b", "\ufeffmark", "line\nline", "𝔘𝔫𝔦", "e\u0301", "\ud800"),
);

const anyJson = fc.jsonValue({ maxDepth: 3 }).map((value): Feature => ({ json: value as JsonValue }));

const anyFeature: fc.Arbitrary<Feature> = fc.oneof(
  { weight: 4, arbitrary: anyTensor() },
  { weight: 1, arbitrary: anyBytes },
  { weight: 1, arbitrary: fc.array(anyBytes, { maxLength: 3 }) },
  { weight: 1, arbitrary: anyText },
  { weight: 1, arbitrary: anyJson },
);

/** Names as people give them, names that look like extensions, and names that are trouble. */
const anyName = fc.oneof(
  fc.constantFrom(
    "image",
    "label",
    "x.npy",
    "cls",
    "txt",
    "json",
    "npy",
    "jpg",
    "a/b",
    "a_b",
    "Image",
    "x.y.z",
    "input ids",
  ),
  fc.constantFrom(
    "图像",
    "标签",
    "é",
    "",
    ".",
    "..",
    "__key__",
    "__schema__",
    "__proto__",
    "constructor",
    "a\0b",
    "%41",
    "~",
    "-",
  ),
  fc.string({ unit: "grapheme", maxLength: 6 }),
);

const anyKey = fc.oneof(
  fc.stringMatching(/^[a-z0-9]{1,8}(\/[a-z0-9]{1,8})?$/),
  fc.constantFrom("made/0", "data/0", "data/1", "图/1", "with space", "a.b/c", "x".repeat(150)),
  fc.constantFrom("", "a.b", "/abs", "../up", "a//b", "a/", ".", "new\nline", "nul\0", "\ud800"),
);

/** One sample of anything. */
export const anySample: fc.Arbitrary<Sample> = fc
  .tuple(anyKey, fc.uniqueArray(fc.tuple(anyName, anyFeature), { maxLength: 4, selector: ([name]) => name }))
  .map(([key, features]) => sampleOf(key, Object.fromEntries(features)));

/** Samples that share names, dtypes and shapes, as most data sets do. */
export const anyRows: fc.Arbitrary<readonly Sample[]> = fc
  .tuple(
    fc.uniqueArray(fc.tuple(anyName, anyFeature), { minLength: 1, maxLength: 3, selector: ([name]) => name }),
    fc.uniqueArray(anyKey, { minLength: 1, maxLength: 4 }),
  )
  .map(([features, keys]) => keys.map((key) => sampleOf(key, Object.fromEntries(features))));
