import { describe, expect, test } from "vitest";
import { decodeHalf, encodeHalf, roundToHalf } from "../../src/core/half-float.ts";

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

test.each(["float16", "bfloat16"] as const)("roundToHalf() gives what encoding and decoding as %s gives", (dtype) => {
  const bits = new Uint32Array(40_000);
  for (let i = 0, word = 1; i < bits.length; i++, word = (Math.imul(word, 1664525) + 1013904223) >>> 0) bits[i] = word;
  const edges = [
    0,
    -0,
    1e-40,
    2 ** -25,
    3 * 2 ** -25,
    2 ** -14,
    65519,
    65520,
    -65520,
    3.4e38,
    -Infinity,
    NaN,
    1 + 2 ** -8,
  ];
  const values = Float32Array.from([...new Float32Array(bits.buffer), ...edges]);
  const wanted = Float32Array.from(values, (value) => decodeHalf(dtype, encodeHalf(dtype, value)));
  expect([...roundToHalf(dtype, values)]).toEqual([...wanted]);
});
