import { describe, expect, test } from "vitest";
import { isTensor } from "../../src/core/sample.ts";
import { dtypes, type Tensor } from "../../src/core/tensor.ts";
import { buildTransform, normalize, type NormalizeSettings } from "../../src/transforms/index.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

function normalized(x: Tensor, settings: NormalizeSettings): Tensor {
  const result = apply(normalize("x", settings), sampleOf({ x })).features["x"];
  if (!result || !isTensor(result)) throw new TypeError("x is no tensor");
  expect(result.dtype).toBe("float32");
  expect(result.shape).toEqual(x.shape);
  return result;
}

describe("normalize()", () => {
  test.each(dtypes)("computes (value * scale - mean) / std in float32 from %s", (dtype) => {
    const two: Partial<Record<string, number>> = { float16: 0x4000, bfloat16: 0x4000 };
    const value = dtype === "bool" ? 1 : 2;
    const x = tensorOf(dtype, [2], [0, two[dtype] ?? value]);
    const settings = { scale: 1 / 255, mean: 0.1307, std: 0.3081 };
    expect([...normalized(x, settings).data]).toEqual(
      [0, value].map((v) => Math.fround((v * settings.scale - settings.mean) / settings.std)),
    );
  });

  test.each(["uint8", "int32"] as const)("applies lists along the last axis, to %s as well", (dtype) => {
    const x = tensorOf(dtype, [2, 3], [1, 2, 3, 4, 5, 6]);
    expect([...normalized(x, { scale: [1, 10, 100], mean: 1, std: [1, 2, 4] }).data]).toEqual([
      0, 9.5, 74.75, 3, 24.5, 149.75,
    ]);
  });

  test("gives every byte the number that computing gives", () => {
    const values = Array.from({ length: 256 }, (_, byte) => byte);
    const settings = { scale: 1 / 255, mean: 0.485, std: 0.229 };
    const asBytes = normalized(tensorOf("uint8", [256], values), settings);
    const asFloats = normalized(tensorOf("float64", [256], values), settings);
    expect(asBytes.data).toEqual(asFloats.data);
    const signed = values.map((value) => value - 128);
    expect(normalized(tensorOf("int8", [256], signed), settings).data).toEqual(
      normalized(tensorOf("int16", [256], signed), settings).data,
    );
  });

  test("follows a feature whose dtype and size change from sample to sample", () => {
    const transform = buildTransform(normalize("x", { scale: 2 }));
    const random = () => new RandomStream(deriveKey(0));
    for (const x of [
      tensorOf("int8", [2], [-1, 3]),
      tensorOf("uint8", [3], [255, 0, 1]),
      tensorOf("int8", [1], [-128]),
    ]) {
      const result = transform(sampleOf({ x }), random)!.features["x"] as Tensor;
      expect([...result.data]).toEqual(Array.from(x.data as Int8Array, (value) => value * 2));
    }
  });

  test("refuses a last axis that is not as long as the lists", () => {
    expect(() => normalized(tensorOf("uint8", [3, 2], [1, 2, 3, 4, 5, 6]), { mean: [1, 2, 3] })).toThrow(
      expect.objectContaining({
        code: "shape",
        reason: "Cannot normalize 'x': the last axis of [3, 2] is not as long as the lists of 3",
      }),
    );
    expect(() => normalized(tensorOf("uint8", [], [1]), { mean: [1, 2] })).toThrow(
      expect.objectContaining({ code: "shape" }),
    );
  });

  test("refuses numbers that cannot be meant", () => {
    for (const settings of [
      { std: 0 },
      { std: [1, 0] },
      { mean: NaN },
      { scale: [] },
      { mean: [1, 2], std: [1, 2, 3] },
    ]) {
      expect(() => normalize("x", settings)).toThrow(RangeError);
    }
  });
});
