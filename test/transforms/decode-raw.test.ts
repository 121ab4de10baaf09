import { expect, test } from "vitest";
import { bytesOf, dtypes, type DType, type Tensor } from "../../src/core/tensor.ts";
import { decodeRaw } from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf, unalignedBytes } from "./samples.ts";

test.each(dtypes)("decodeRaw() reads the bytes of a %s tensor, wherever they lie in memory", (dtype) => {
  const x = tensorOf(dtype, [2, 1], [1, 0]);
  for (const bytes of [bytesOf(x.data), unalignedBytes(x)]) {
    expect(apply(decodeRaw("x", { dtype, shape: [2, 1] }), sampleOf({ x: bytes })).features["x"]).toEqual(x);
  }
});

test("decodeRaw() reads either byte order", () => {
  const x = new Uint8Array([0x01, 0x02, 0x03, 0x04]);
  const read = (byteOrder: "little" | "big") =>
    (apply(decodeRaw("x", { dtype: "uint16", shape: [2], byteOrder }), sampleOf({ x })).features["x"] as Tensor).data;
  expect([...read("little")]).toEqual([0x0201, 0x0403]);
  expect([...read("big")]).toEqual([0x0102, 0x0304]);
  expect([...x]).toEqual([1, 2, 3, 4]);
});

test("decodeRaw() refuses too few and too many bytes", () => {
  for (const length of [7, 9]) {
    expect(() =>
      apply(decodeRaw("x", { dtype: "float32", shape: [2] }), sampleOf({ x: new Uint8Array(length) })),
    ).toThrow(
      expect.objectContaining({
        code: "shape",
        message: `Cannot decode 'x': ${length} bytes are not float32 [2] of 8 (a.npy, record 5)`,
      }),
    );
  }
});

test("decodeRaw() refuses a bool of 2 and a feature that is not bytes", () => {
  const bool = decodeRaw("x", { dtype: "bool", shape: [2] });
  expect(() => apply(bool, sampleOf({ x: new Uint8Array([1, 2]) }))).toThrow(
    expect.objectContaining({ code: "format", reason: "Cannot decode 'x': a bool of 2 is neither 0 nor 1" }),
  );
  expect(() => apply(bool, sampleOf({ x: "text" }))).toThrow(
    expect.objectContaining({ code: "shape", reason: "Cannot decode 'x': it is string, not bytes" }),
  );
});

test("decodeRaw() refuses what is no dtype or no shape", () => {
  expect(() => decodeRaw("x", { dtype: "half" as DType, shape: [] })).toThrow(RangeError);
  expect(() => decodeRaw("x", { dtype: "uint8", shape: [-1] })).toThrow(RangeError);
});
