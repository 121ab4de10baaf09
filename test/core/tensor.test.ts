import { describe, expect, test } from "vitest";
import {
  bytesOf,
  bytesPerElement,
  copyTensor,
  dtypes,
  elementCount,
  isDType,
  tensor,
  viewElements,
  zeros,
} from "../../src/core/tensor.ts";

test("elementCount() is the product of the sizes, 1 for a scalar, 0 with an empty axis", () => {
  expect(elementCount([2, 3, 4])).toBe(24);
  expect(elementCount([])).toBe(1);
  expect(elementCount([5, 0])).toBe(0);
});

test("tensor() refuses data that does not fill the shape", () => {
  expect(() => tensor("float32", [2, 2], new Float32Array(3))).toThrow("3 elements do not fill the shape [2, 2]");
});

describe.each(dtypes)("%s", (dtype) => {
  test("zeros() has the shape, and elements of the size that bytesPerElement() says", () => {
    const made = zeros(dtype, [2, 3]);
    expect(made.shape).toEqual([2, 3]);
    expect(made.data.byteLength).toBe(6 * bytesPerElement(dtype));
  });

  test("viewElements() shares shared memory with bytesOf()", () => {
    const memory = new SharedArrayBuffer(64);
    const view = viewElements(dtype, memory, 16, 2);
    bytesOf(view).fill(1);
    expect([...new Uint8Array(memory, 16, view.byteLength)].every((byte) => byte === 1)).toBe(true);
    expect(new Uint8Array(memory)[15]).toBe(0);
  });

  test("copyTensor() has memory of its own", () => {
    const memory = new SharedArrayBuffer(64);
    const copy = copyTensor(tensor(dtype, [2], viewElements(dtype, memory, 0, 2)));
    new Uint8Array(memory).fill(1);
    expect(bytesOf(copy.data).every((byte) => byte === 0)).toBe(true);
    expect(copy.data.buffer).toBeInstanceOf(ArrayBuffer);
  });
});

test("isDType() knows the dtypes and nothing an object inherits", () => {
  expect(dtypes.every(isDType)).toBe(true);
  expect(isDType("toString")).toBe(false);
});
