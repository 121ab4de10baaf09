import { describe, expect, test } from "vitest";
import { dtypes, type DType } from "../../src/core/tensor.ts";
import { cast } from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

function castElements(from: DType, to: DType, elements: readonly (number | bigint)[]): (number | bigint)[] {
  const { features } = apply(cast("x", to), sampleOf({ x: tensorOf(from, [elements.length], elements) }));
  const x = features["x"];
  if (typeof x !== "object" || !("dtype" in x)) throw new TypeError("x is no tensor");
  expect(x.dtype).toBe(to);
  expect(x.shape).toEqual([elements.length]);
  return [...x.data];
}

describe("cast()", () => {
  test.each(dtypes.flatMap((from) => dtypes.map((to) => [from, to] as const)))(
    "keeps 0 and 1 from %s to %s",
    (from, to) => {
      const one: Partial<Record<DType, number>> = { float16: 0x3c00, bfloat16: 0x3f80 };
      expect(castElements(from, to, [0, one[from] ?? 1]).map(Number)).toEqual([0, one[to] ?? 1]);
    },
  );

  test("cuts floats toward zero", () => {
    expect(castElements("float32", "int32", [1.9, -1.9, -0.5])).toEqual([1, -1, 0]);
    expect(castElements("float64", "int64", [2 ** 53, -1.9])).toEqual([2n ** 53n, -1n]);
  });

  test("rounds 64-bit integers to the nearest float", () => {
    expect(castElements("int64", "float32", [16777217n, -3n])).toEqual([16777216, -3]);
    expect(castElements("uint64", "float64", [2n ** 64n - 1n])).toEqual([2 ** 64]);
  });

  test.each<[DType, DType, number | bigint]>([
    ["int64", "int32", 2n ** 31n],
    ["int64", "int32", -(2n ** 31n) - 1n],
    ["int32", "uint8", 256],
    ["int32", "uint8", -1],
    ["int64", "uint64", -1n],
    ["uint64", "int64", 2n ** 63n],
    ["float32", "int32", 2 ** 31],
    ["float64", "int64", 2 ** 63],
    ["float32", "int32", NaN],
    ["float32", "int64", Infinity],
    ["float32", "int64", NaN],
  ])("refuses what an integer dtype cannot hold: %s to %s, %s", (from, to, value) => {
    expect(() => castElements(from, to, [0, value])).toThrow(
      expect.objectContaining({
        code: "shape",
        message: `Cannot cast 'x' to ${to}: ${value} is out of its range (a.npy, record 5)`,
      }),
    );
  });

  test("takes the extremes of an integer dtype", () => {
    expect(castElements("int64", "int32", [-(2n ** 31n), 2n ** 31n - 1n])).toEqual([-(2 ** 31), 2 ** 31 - 1]);
    expect(castElements("uint64", "int64", [2n ** 63n - 1n])).toEqual([2n ** 63n - 1n]);
  });

  test("overflows a float to infinity, and makes every nonzero true", () => {
    expect(castElements("float64", "float32", [1e300])).toEqual([Infinity]);
    expect(castElements("float64", "bool", [-0, 0.1, NaN])).toEqual([0, 1, 1]);
    expect(castElements("int64", "bool", [0n, -5n])).toEqual([0, 1]);
  });

  test("shares the tensor where the dtype is right already", () => {
    const x = tensorOf("int32", [1], [7]);
    expect(apply(cast("x", "int32"), sampleOf({ x })).features["x"]).toBe(x);
  });

  test("refuses a feature that is no tensor, with a hint for bytes", () => {
    expect(() => apply(cast("x", "int32"), sampleOf({ x: new Uint8Array(2) }))).toThrow(
      expect.objectContaining({ code: "shape", reason: "Cannot cast 'x': it is bytes, not a tensor" }),
    );
  });

  test("refuses what is no dtype", () => {
    expect(() => cast("x", "float" as DType)).toThrow(RangeError);
  });
});
