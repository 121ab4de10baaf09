import { describe, expect, test } from "vitest";
import { feedSpec, feedTensor, weightTensor } from "../../src/trainer/feeds.ts";
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

test("weightTensor() weighs padding and filling nothing", () => {
  expect([...weightTensor(batch(3, {}, { padded: 1 }), 5).data]).toEqual([1, 1, 0, 0, 0]);
});
