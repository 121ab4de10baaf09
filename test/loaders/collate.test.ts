import { describe, expect, test } from "vitest";
import { emptyFeatures, type Feature, type Sample } from "../../src/core/sample.ts";
import { dtypes, tensor, zeros } from "../../src/core/tensor.ts";
import { startStack, viewColumns } from "../../src/loaders/collate.ts";
import { createSlot } from "../../src/loaders/slots.ts";

function sampleOf(record: number, features: Record<string, Feature>): Sample {
  const origin = { source: "a.npy", record };
  return { key: `a/${record}`, origin, features: Object.assign(emptyFeatures(), features) };
}

function stack(samples: readonly Sample[], allocate = (byteLength: number) => new SharedArrayBuffer(byteLength)) {
  const stacking = startStack(samples.length, allocate);
  for (const sample of samples) stacking.add(sample);
  const batch = stacking.finish();
  return { keys: batch.keys, features: { ...viewColumns(batch) }, memory: batch.memory };
}

describe("startStack()", () => {
  test("stacks tensors of every dtype and rank along a new axis", () => {
    const features = (fill: number) =>
      Object.fromEntries(
        dtypes.flatMap((dtype, i) =>
          [[], [3], [2, 2]].map((shape) => {
            const made = zeros(dtype, shape);
            new Uint8Array(made.data.buffer).fill(fill + i);
            return [`${dtype}${shape.length}`, made];
          }),
        ),
      );
    const { features: stacked, keys } = stack([sampleOf(0, features(1)), sampleOf(1, features(50))]);
    expect(keys).toEqual(["a/0", "a/1"]);
    for (const [name, first] of Object.entries(features(1))) {
      const second = features(50)[name]!;
      const both = [...first.data, ...second.data];
      expect(stacked[name]).toMatchObject({ dtype: first.dtype, shape: [2, ...first.shape] });
      expect([...(stacked[name] as typeof first).data]).toEqual(both);
    }
  });

  test("copies: the sample's memory may be reused at once", () => {
    const data = new Float32Array([1, 2]);
    const bytes = new Uint8Array([1]);
    const sample = sampleOf(0, { x: tensor("float32", [2], data), b: bytes, l: [bytes] });
    const stacking = startStack(2, (byteLength) => new ArrayBuffer(byteLength));
    stacking.add(sample);
    data.fill(9);
    bytes.fill(9);
    stacking.add(sample);
    const features = viewColumns(stacking.finish());
    expect(features["x"]).toEqual(tensor("float32", [2, 2], new Float32Array([1, 2, 9, 9])));
    expect(features["b"]).toEqual([new Uint8Array([1]), new Uint8Array([9])]);
    expect(features["l"]).toEqual([[new Uint8Array([1])], [new Uint8Array([9])]]);
  });

  test("collects strings and JSON, one value a sample", () => {
    const { features } = stack([0, 1].map((n) => sampleOf(n, { s: `s${n}`, j: { json: [n] } })));
    expect(features).toEqual({ s: ["s0", "s1"], j: [{ json: [0] }, { json: [1] }] });
  });

  test("an empty axis and a sample without features take no memory", () => {
    expect(stack([sampleOf(0, { x: zeros("float32", [0, 2]) })]).features["x"]).toMatchObject({ shape: [1, 0, 2] });
    expect(stack([sampleOf(0, {}), sampleOf(1, {})])).toMatchObject({ features: {}, keys: ["a/0", "a/1"] });
  });

  test.each<[string, Feature, Feature, string]>([
    ["shape", zeros("uint8", [2, 3]), zeros("uint8", [3, 2]), "uint8 [3, 2] in sample a/1, uint8 [2, 3] in sample a/0"],
    ["rank", zeros("uint8", [2]), zeros("uint8", [2, 1]), "uint8 [2, 1] in sample a/1, uint8 [2] in sample a/0"],
    ["dtype", zeros("uint8", []), zeros("int8", []), "int8 [] in sample a/1, uint8 [] in sample a/0"],
    ["kind", zeros("uint8", [1]), new Uint8Array(1), "bytes in sample a/1, uint8 [1] in sample a/0"],
    ["kind", "text", zeros("uint8", [1]), "uint8 [1] in sample a/1, string in sample a/0"],
    ["kind", { json: 1 }, "text", "string in sample a/1, json in sample a/0"],
  ])("names both samples when they differ in %s", (_, first, second, message) => {
    expect(() => stack([sampleOf(0, { x: first }), sampleOf(1, { x: second })])).toThrow(
      expect.objectContaining({ code: "shape", message: `Cannot collate 'x': ${message} (a.npy, record 1)` }),
    );
  });

  test("names both samples when one lacks a feature or has one more", () => {
    const first = sampleOf(0, { x: "a", y: "b" });
    for (const names of ["x, z", "x", "x, y, z"]) {
      const other = sampleOf(1, Object.fromEntries(names.split(", ").map((name) => [name, "text"])));
      expect(() => stack([first, other])).toThrow(
        expect.objectContaining({
          code: "shape",
          reason: `Cannot collate: sample a/1 has ${names}, sample a/0 has x, y`,
        }),
      );
    }
  });
});

describe("createSlot()", () => {
  test("gives the same memory as long as it suffices, and views of the old piece stay valid", () => {
    const allocate = createSlot((byteLength) => new SharedArrayBuffer(byteLength));
    const first = stack([sampleOf(0, { x: "a", n: zeros("int32", [40]) })], allocate);
    expect(stack([sampleOf(0, { n: zeros("int32", [2]) })], allocate).memory).toBe(first.memory);
    const larger = stack([sampleOf(0, { n: zeros("int32", [400]) })], allocate);
    expect(larger.memory).not.toBe(first.memory);
    expect(first.memory.byteLength).toBeGreaterThanOrEqual(160);
    expect(stack([sampleOf(0, { n: zeros("int32", [40]) })], allocate).memory).toBe(larger.memory);
  });
});
