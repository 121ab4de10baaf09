import { describe, expect, test } from "vitest";
import { checkClasses, feedSpec, feedTensor } from "../../src/trainer/feeds.ts";
import { checkIndices } from "../../src/trainer/index-limits.ts";
import { batch } from "./batches.ts";

describe("feedSpec()", () => {
  test("takes integers as int32 and floats as float32", () => {
    const made = batch(2, {
      image: { dtype: "uint8", shape: [2, 3], data: new Uint8Array(6) },
      wide: { dtype: "float64", shape: [2], data: new Float64Array(2) },
    });
    expect(feedSpec(made, "image")).toEqual({ shape: [2, 3], dtype: "int32" });
    expect(feedSpec(made, "wide")).toEqual({ shape: [2], dtype: "float32" });
  });

  test("names what the batch has when a feature is missing", () => {
    const made = batch(1, { image: { dtype: "uint8", shape: [1], data: new Uint8Array(1) } });
    expect(() => feedSpec(made, "x")).toThrow(/no such feature \(it has: image\)/);
  });

  test("does not take a name of Object.prototype for a feature", () => {
    expect(() => feedSpec(batch(1, {}), "toString")).toThrow(/no such feature/);
  });

  test("refuses features that are not tensors", () => {
    expect(() => feedSpec(batch(1, { jpg: [new Uint8Array(3)] }), "jpg")).toThrow(/not a tensor/);
  });
});

describe("feedTensor()", () => {
  const spec = { shape: [4, 2], dtype: "float32" } as const;

  test("feeds the batch's own memory when nothing has to change", () => {
    const data = new Float32Array(8);
    const fed = feedTensor(batch(4, { x: { dtype: "float32", shape: [4, 2], data } }), "x", spec);
    expect(fed.data).toBe(data);
  });

  test("fills a short batch by repeating its last row", () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const fed = feedTensor(batch(2, { x: { dtype: "float32", shape: [2, 2], data } }), "x", spec);
    expect([...fed.data]).toEqual([1, 2, 3, 4, 3, 4, 3, 4]);
    expect(fed.shape).toEqual([4, 2]);
  });

  test("refuses rows of another shape than the batches before", () => {
    const made = batch(4, { x: { dtype: "float32", shape: [4, 3], data: new Float32Array(12) } });
    expect(() => feedTensor(made, "x", spec)).toThrow(/rows of shape \[3\].*\[2\]/);
  });

  test("narrows int64 within range and names the sample beyond it", () => {
    const labels = { shape: [2], dtype: "int32" } as const;
    const good = batch(2, { y: { dtype: "int64", shape: [2], data: BigInt64Array.of(-5n, 7n) } });
    expect([...feedTensor(good, "y", labels).data]).toEqual([-5, 7]);
    const bad = batch(2, { y: { dtype: "int64", shape: [2], data: BigInt64Array.of(1n, 2n ** 31n) } });
    expect(() => feedTensor(bad, "y", labels)).toThrow(/2147483648 is beyond int32 \(sample sample-1\)/);
  });
});

describe("feedTensor() across batches", () => {
  test("refuses another dtype in the graph than the program's, half floats and float labels among them", () => {
    const half = batch(2, { x: { dtype: "float16", shape: [2], data: Uint16Array.of(0xb800, 0x3c00) } });
    expect(() => feedTensor(half, "x", { shape: [2], dtype: "float32" })).toThrow(/is float16 in batch 0, float32/);
    const labels = batch(2, { y: { dtype: "float32", shape: [2], data: Float32Array.of(0.9, 1.9) } });
    expect(() => feedTensor(labels, "y", { shape: [2], dtype: "int32" })).toThrow(/is float32 in batch 0, int32/);
    const large = batch(1, { x: { dtype: "int64", shape: [1], data: BigInt64Array.of(1n) } });
    expect(() => feedTensor(large, "x", { shape: [1], dtype: "float32" })).toThrow(/is int64 in batch 0, float32/);
  });

  test("takes float64 for float32, unless it would become infinite", () => {
    const made = batch(2, { x: { dtype: "float64", shape: [2], data: Float64Array.of(0.1, Infinity) } });
    expect([...feedTensor(made, "x", { shape: [2], dtype: "float32" }).data]).toEqual([Math.fround(0.1), Infinity]);
    const huge = batch(2, { x: { dtype: "float64", shape: [2], data: Float64Array.of(0, 1e300) } });
    expect(() => feedTensor(huge, "x", { shape: [2], dtype: "float32" })).toThrow(
      /1e\+300 is beyond float32 \(sample sample-1\)/,
    );
  });

  test("checks every unsigned 32-bit integer", () => {
    const made = batch(2, { y: { dtype: "uint32", shape: [2], data: Uint32Array.of(7, 2 ** 31) } });
    expect(() => feedTensor(made, "y", { shape: [2], dtype: "int32" })).toThrow(/2147483648 is beyond int32/);
  });
});

describe("checks of numbers in a batch that is filled up", () => {
  const short = batch(3, { y: { dtype: "int32", shape: [3], data: Int32Array.of(0, 1, 9) } });
  const fed = feedTensor(short, "y", { shape: [4], dtype: "int32" });

  test("name the sample of a class that the model lacks", () => {
    expect(() => {
      checkClasses(short, "y", fed, { classes: 2 });
    }).toThrow(/9 is not one of the model's 2 classes.*\(sample sample-2\)/);
  });

  test("name the sample of a number that no row of a table has", () => {
    expect(() => {
      checkIndices(short, "y", fed, { rows: 2, scope: "embedding" });
    }).toThrow(/9 is no row of embedding.*\(sample sample-2\)/);
  });
});
