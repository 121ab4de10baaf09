import { describe, expect, test } from "vitest";
import { decodeHalf, encodeHalf } from "../../src/core/half-float.ts";

describe.each(["float16", "bfloat16"] as const)("%s", (dtype) => {
  test("every one of the 65,536 bit patterns survives decoding and encoding", () => {
    const wrong: number[] = [];
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = decodeHalf(dtype, bits);
      const back = encodeHalf(dtype, value);
      if (Number.isNaN(value) ? !Number.isNaN(decodeHalf(dtype, back)) : back !== bits) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  test("a number between two neighbours goes to the nearer one, and from the middle to the even one", () => {
    const wrong: number[] = [];
    const greatest = dtype === "float16" ? 0x7bff : 0x7f7f;
    for (let bits = 0; bits < greatest; bits += 7) {
      const low = decodeHalf(dtype, bits);
      const gap = decodeHalf(dtype, bits + 1) - low;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const encoded = [0.25, 0.5, 0.75].map((share) => encodeHalf(dtype, low + gap * share));
      if (encoded.join() !== [bits, even, bits + 1].join()) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });
});

test("bfloat16 is the upper half of a float32", () => {
  const words = new Uint32Array([0x3f800000, 0xc0490000, 0x00010000, 0x7f7f0000]);
  const floats = new Float32Array(words.buffer);
  expect(Array.from(words, (word) => decodeHalf("bfloat16", word >>> 16))).toEqual([...floats]);
});

test("float16 has the values of IEEE 754 binary16", () => {
  expect(decodeHalf("float16", 0x3c00)).toBe(1);
  expect(decodeHalf("float16", 0xc000)).toBe(-2);
  expect(decodeHalf("float16", 0x7bff)).toBe(65504);
  expect(decodeHalf("float16", 0x0001)).toBe(2 ** -24);
  expect(encodeHalf("float16", 65519)).toBe(0x7bff);
  expect(encodeHalf("float16", 65520)).toBe(0x7c00);
  expect(encodeHalf("float16", -Infinity)).toBe(0xfc00);
});
