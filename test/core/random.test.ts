import { describe, expect, test } from "vitest";
import {
  RandomStream,
  deriveKey,
  deriveKeyFromName,
  philox,
  type RandomKey,
  type Words,
} from "../../src/core/random.ts";

// https://github.com/DEShawResearch/random123, tests/kat_vectors, "philox4x32 10"
const publishedVectors: readonly { counter: Words; key: RandomKey; result: Words }[] = [
  { counter: [0, 0, 0, 0], key: [0, 0], result: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    result: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    result: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
];

describe("philox()", () => {
  test.each(publishedVectors)(
    "gives the authors' published result for counter $counter",
    ({ counter, key, result }) => {
      expect(philox(counter, key)).toEqual(result);
    },
  );
});

describe("deriveKey()", () => {
  test("tells numbers, their order and their number apart", () => {
    const keys = [[], [0], [1], [0, 0], [0, 1], [1, 0], [2 ** 32], [2 ** 53 - 1]].map((numbers) =>
      deriveKey(...numbers).join(),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("refuses what is not a whole number of 53 bits", () => {
    for (const number of [-1, 0.5, NaN, 2 ** 53]) expect(() => deriveKey(number)).toThrow(RangeError);
  });

  test("never changes: the order of every data set hangs on it", () => {
    expect(deriveKey(42, 1)).toEqual([65697261, 3669434035]);
    expect(deriveKeyFromName(0, "dense/kernel")).toEqual([1962151951, 3374965104]);
  });
});

describe("RandomStream", () => {
  test("gives the same numbers for the same key, others for another", () => {
    const draw = (key: RandomKey) => {
      const stream = new RandomStream(key);
      return Array.from({ length: 9 }, () => stream.uint32());
    };
    expect(draw(deriveKey(1))).toEqual(draw(deriveKey(1)));
    expect(draw(deriveKey(1))).not.toEqual(draw(deriveKey(2)));
  });

  test("uniform() lies in [0, 1) with mean 1/2 and variance 1/12", () => {
    const stream = new RandomStream(deriveKey(7));
    const numbers = Array.from({ length: 20_000 }, () => stream.uniform());
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(mean(numbers)).toBeCloseTo(0.5, 2);
    expect(variance(numbers)).toBeCloseTo(1 / 12, 2);
  });

  test("normal() has mean 0, variance 1 and two thirds within one", () => {
    const stream = new RandomStream(deriveKey(8));
    const numbers = Array.from({ length: 20_000 }, () => stream.normal());
    expect(Math.abs(mean(numbers))).toBeLessThan(0.02);
    expect(Math.abs(variance(numbers) - 1)).toBeLessThan(0.03);
    expect(numbers.filter((number) => Math.abs(number) < 1).length / numbers.length).toBeCloseTo(0.683, 1);
  });

  test("below() reaches every number below its bound about equally often", () => {
    const stream = new RandomStream(deriveKey(9));
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 6000; i++) counts[stream.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120); // four standard deviations
  });

  test("below() refuses a bound that is not a whole number from 1 to 2^32", () => {
    const stream = new RandomStream(deriveKey(0));
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => stream.below(bound)).toThrow(RangeError);
    expect(stream.below(1)).toBe(0);
  });
});

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function variance(numbers: readonly number[]): number {
  const center = mean(numbers);
  return mean(numbers.map((number) => (number - center) ** 2));
}
