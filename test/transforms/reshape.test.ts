import { expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { reshape } from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

const x = tensorOf("int32", [2, 3], [1, 2, 3, 4, 5, 6]);

function shapeAfter(shape: readonly number[], given: Tensor = x): readonly number[] {
  const result = apply(reshape("x", shape), sampleOf({ x: given })).features["x"] as Tensor;
  expect(result.data).toBe(given.data);
  return result.shape;
}

test("reshape() views the same elements in another shape, and -1 takes what the others leave", () => {
  expect(shapeAfter([3, 2])).toEqual([3, 2]);
  expect(shapeAfter([-1])).toEqual([6]);
  expect(shapeAfter([2, -1, 1])).toEqual([2, 3, 1]);
  expect(shapeAfter([], tensorOf("int32", [1], [7]))).toEqual([]);
});

test("reshape() refuses a shape that the elements do not fill", () => {
  for (const shape of [[5], [-1, 4], [0, -1], []]) {
    expect(() => shapeAfter(shape)).toThrow(
      expect.objectContaining({
        code: "shape",
        message: `Cannot reshape 'x': [2, 3] does not fill [${shape.join(", ")}] (a.npy, record 5)`,
      }),
    );
  }
});

test("reshape() refuses what is no shape", () => {
  for (const shape of [[-1, -1], [1.5], [-2]]) expect(() => reshape("x", shape)).toThrow(RangeError);
});
