import { expect, test } from "vitest";
import { isTensorColumn } from "../../src/core/batch.ts";
import { copySample, defaultKey, emptyFeatures, featureKind, isTensor, type Feature } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";

const features: readonly [kind: string, feature: Feature][] = [
  ["tensor", tensor("uint8", [2], new Uint8Array([1, 2]))],
  ["bytes", new Uint8Array([1, 2])],
  ["list", [new Uint8Array([1])]],
  ["string", "text"],
  ["json", { json: { dtype: "uint8", shape: [], data: [1] } }],
];

test.each(features)("featureKind() tells %s from the other kinds", (kind, feature) => {
  expect(featureKind(feature)).toBe(kind);
  expect(isTensor(feature)).toBe(kind === "tensor");
});

test("copySample() shares no memory with the sample", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const sample = {
    key: "a",
    origin: { source: "a.npy", record: 0 },
    features: { bytes, list: [bytes], tensor: tensor("uint8", [3], bytes) },
  };
  const copy = copySample(sample);
  bytes.fill(9);
  expect(copy.features["bytes"]).toEqual(new Uint8Array([1, 2, 3]));
  expect(copy.features["list"]).toEqual([new Uint8Array([1, 2, 3])]);
  expect(copy.features["tensor"]).toEqual(tensor("uint8", [3], new Uint8Array([1, 2, 3])));
});

test("emptyFeatures() takes __proto__ as a name like any other", () => {
  const made = emptyFeatures();
  made["__proto__"] = "text";
  expect(Object.entries(made)).toEqual([["__proto__", "text"]]);
});

test.each([
  ["out/train-000.tfrecord", "train-000/7"],
  ["train.tar.gz", "train/7"],
  ["C:\\data\\x.npy", "x/7"],
  [".hidden.npy", ".hidden/7"],
  ["plain", "plain/7"],
])("defaultKey() of record 7 of %s is %s", (source, key) => {
  expect(defaultKey({ source, record: 7 })).toBe(key);
});

test("isTensorColumn() tells a tensor from lists of values", () => {
  expect(isTensorColumn(tensor("uint8", [1], new Uint8Array(1)))).toBe(true);
  expect(isTensorColumn(["a"])).toBe(false);
});
