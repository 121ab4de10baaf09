// How TFRecord is read when the caller says what the records hold.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Features } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { readColumns } from "../../src/readers/columns.ts";
import { planExample, writeExample } from "../../src/readers/example-encoder.ts";
import { ExampleDecoder } from "../../src/readers/example.ts";
import { applySpecs } from "../../src/readers/example-spec.ts";
import { resolveFeatures, type FeatureSelection, type FeatureSpec } from "../../src/readers/feature-spec.ts";
import type { MessageKind, ReadOptions } from "../../src/readers/format.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { expectedSamples } from "./expected.ts";
import { errorOf, openBytes, readBackwards, readInOrder, readStream } from "./shards.ts";

const folder = "fixtures/tfrecord";
const specFixture = `${folder}/messages/spec.tfrecord`;
const sequenceFixture = `${folder}/messages/sequence.tfrecord`;

const spec: Record<string, FeatureSpec> = {
  id: { dtype: "string", shape: [], default: "nobody" },
  image: { dtype: "uint8", shape: [3, 1] },
  label: { dtype: "int64", shape: [], default: -1 },
  names: { dtype: "bytes", shape: [null] },
  pairs: { dtype: "int64", shape: [null, 2] },
  tokens: { dtype: "int64", shape: [null] },
  weights: { dtype: "float32", shape: [2], default: [0.5, 0.25] },
  x: { dtype: "float32", shape: [2, 2] },
};

describe.each<[string, string, ReadOptions]>([
  ["a feature spec", specFixture, { features: spec }],
  ["SequenceExample", sequenceFixture, { message: "sequence-example" }],
])("%s", (_what, path, options) => {
  const bytes = readFileSync(path);

  test("gives what TensorFlow's parser gives: in order, by number and as a stream", async () => {
    const expected = expectedSamples(path);
    expect(readInOrder(tfrecord, bytes, path, options)).toEqual(expected);
    expect(readBackwards(tfrecord, bytes, path, options)).toEqual(expected);
    expect(await readStream(tfrecord, bytes, path, 7, options)).toEqual(expected);
  });

  test("with any bit flipped gives the same or an error", () => {
    const intact = JSON.stringify(readInOrder(tfrecord, bytes, path, options));
    for (let bit = 0; bit < 8 * bytes.length; bit += 7) {
      const flipped = Buffer.from(bytes);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      let outcome = "error";
      try {
        outcome = JSON.stringify(readInOrder(tfrecord, flipped, path, options));
      } catch (error) {
        expect(error).toHaveProperty("name", "KdataError");
      }
      expect(["error", intact]).toContain(outcome);
    }
  });
});

test("raw records are their bytes", () => {
  const bytes = readFileSync(`${folder}/rows.tfrecord`);
  const samples = [...openBytes(tfrecord, bytes, "rows.tfrecord", { message: "raw" }).samples()];
  expect(samples).toHaveLength(12);
  const { features } = new ExampleDecoder().decode(cursorOf(samples[0]!.features["record"] as Uint8Array));
  expect(Object.keys(features)).toEqual(["x", "y"]);
});

test("named features come in the order of the names, and nothing else is decoded", () => {
  const bytes = readFileSync(`${folder}/messages/spec.tfrecord`);
  const reader = openBytes(tfrecord, bytes, "a.tfrecord", { features: ["x", "image"] });
  expect(Object.keys(reader.read(0).features)).toEqual(["x", "image"]);
  // The entry "a" has an int64 that is cut off: an error where it is decoded, nothing where it is passed over.
  const message = Buffer.from("0a1a" + "0a0c0a016112071a050a0380ff80" + "0a0a0a016212051a030a0101", "hex");
  expect(errorOf(() => new ExampleDecoder().decode(cursorOf(message)))).toMatchObject({ code: "format" });
  const { features } = new ExampleDecoder(resolveFeatures(["b"])).decode(cursorOf(message));
  expect(Object.keys(features)).toEqual(["b"]);
});

test("a missing feature without a default is an error that names record and feature", () => {
  const bytes = readFileSync(specFixture);
  for (const features of [["x", "label"], { label: { dtype: "int64", shape: [] } }] as FeatureSelection[]) {
    const reader = openBytes(tfrecord, bytes, "a.tfrecord", { features });
    const error = errorOf(() => reader.read(1));
    expect(error).toMatchObject({ code: "shape", at: { source: "a.tfrecord", record: 1 } });
    expect(error.message).toContain('the feature "label" is missing');
  }
});

const stored: Features = {
  floats: tensor("float32", [3], Float32Array.of(1, 2, 3)),
  ints: tensor("int64", [2], BigInt64Array.of(300n, -1n)),
  raw: Uint8Array.of(1, 2, 3, 4, 5, 6),
  two: [Uint8Array.of(1), Uint8Array.of(2)],
};

test.each<[keyof typeof stored, FeatureSpec, string]>([
  ["floats", { dtype: "float32", shape: [2] }, "3 elements"],
  ["floats", { dtype: "float32", shape: [null, 2] }, "3 elements"],
  ["floats", { dtype: "int64", shape: [3] }, "a list of float32"],
  ["floats", { dtype: "bytes", shape: [] }, "a list of float32"],
  ["ints", { dtype: "float32", shape: [2] }, "a list of int64"],
  ["ints", { dtype: "uint8", shape: [2] }, "the element 300"],
  ["ints", { dtype: "uint64", shape: [2] }, "the element -1"],
  ["raw", { dtype: "uint16", shape: [4] }, "6 bytes"],
  ["raw", { dtype: "float32", shape: [null] }, "6 bytes"],
  ["raw", { dtype: "bool", shape: [6] }, "a bool is 2"],
  ["two", { dtype: "bytes", shape: [] }, "2 values"],
  ["two", { dtype: "uint8", shape: [2] }, "2 values of bytes"],
])("%s is refused as %o", (name, featureSpec, found) => {
  const error = errorOf(() => read({ [name]: featureSpec }));
  expect(error).toMatchObject({ code: "shape", at: { source: "a.tfrecord", record: 0 } });
  expect(error.message).toContain(`feature "${name}" must be ${featureSpec.dtype} [`);
  expect(error.message).toContain(found);
});

test.each<[string, FeatureSpec, readonly number[], readonly (number | bigint)[]]>([
  ["ints", { dtype: "int16", shape: [2, 1] }, [2, 1], [300, -1]],
  ["raw", { dtype: "uint8", shape: [null, 2] }, [3, 2], [1, 2, 3, 4, 5, 6]],
  ["raw", { dtype: "uint16", shape: [3] }, [3], [0x0201, 0x0403, 0x0605]],
  ["floats", { dtype: "float32", shape: [null] }, [3], [1, 2, 3]],
])("%s is read as %o", (name, featureSpec, shape, elements) => {
  const feature = read({ [name]: featureSpec })[name];
  expect(feature).toMatchObject({ dtype: featureSpec.dtype, shape });
  expect([...(feature as { data: Iterable<number | bigint> }).data]).toEqual(elements);
});

test.each<[string, FeatureSelection]>([
  ["nothing", []],
  ["a name twice", ["x", "x"]],
  ["a dtype that is none", { x: { dtype: "int" as "int8", shape: [] } }],
  ["an open size behind the first", { x: { dtype: "int8", shape: [2, null] } }],
  ["a negative size", { x: { dtype: "int8", shape: [-1] } }],
  ["strings of a shape", { x: { dtype: "string", shape: [2] } }],
  ["a default for an open feature", { x: { dtype: "int8", shape: [null], default: 1 } }],
  ["a default of another length", { x: { dtype: "int8", shape: [2], default: [1] } }],
])("%s is refused as a selection", (_what, features) => {
  expect(errorOf(() => resolveFeatures(features))).toMatchObject({ code: "usage" });
});

test("a default that its dtype cannot hold is refused", () => {
  expect(errorOf(() => read({ none: { dtype: "uint8", shape: [], default: 256 } }))).toMatchObject({ code: "usage" });
  expect(errorOf(() => read({ none: { dtype: "int8", shape: [], default: "1" } }))).toMatchObject({ code: "usage" });
});

test("a message that is none is refused", () => {
  const message = "examples" as MessageKind;
  expect(errorOf(() => openBytes(tfrecord, new Uint8Array(0), "a", { message }))).toMatchObject({ code: "usage" });
});

test("readColumns() stacks the features of a spec, and takes the defaults", () => {
  const { x, image, label } = spec;
  const reader = openBytes(tfrecord, readFileSync(specFixture), "a.tfrecord", {
    features: { x: x!, image: image!, label: label! },
  });
  const batches = Array.from(readColumns(reader, { rows: 3 }), ({ start, size, features }) => ({
    start,
    size,
    labels: [...features["label"]!.data],
    shape: features["image"]!.shape,
  }));
  expect(batches).toEqual([
    { start: 0, size: 3, labels: [5n, -1n, -1n], shape: [3, 3, 1] },
    { start: 3, size: 1, labels: [-1n], shape: [1, 3, 1] },
  ]);
});

function read(features: FeatureSelection): Features {
  const wanted = resolveFeatures(features);
  const plan = planExample({ key: "a/0", origin: { source: "a.tfrecord", record: 0 }, features: stored });
  const bytes = new Uint8Array(plan.byteLength);
  writeExample(plan, bytes, 0);
  const cursor = cursorOf(bytes);
  return applySpecs(new ExampleDecoder(wanted).decode(cursor).features, wanted, { source: "a.tfrecord", record: 0 });
}

function cursorOf(given: Uint8Array): Parameters<ExampleDecoder["decode"]>[0] {
  const bytes = given.slice();
  const view = new DataView(bytes.buffer);
  return { bytes, view, position: 0, end: bytes.length, source: "a.tfrecord", record: 0, origin: 0 };
}
