import { describe, expect, test } from "vitest";
import { deriveKeyFromName, RandomStream } from "../../src/core/random.ts";
import {
  glorotUniform,
  heNormal,
  randomNormal,
  ones,
  zeros,
  type Initializer,
} from "../../src/trainer/initializers.ts";

function create(initializer: Initializer, shape: readonly number[], path = "dense/kernel", seed = 7): Float32Array {
  return initializer.create(shape, new RandomStream(deriveKeyFromName(seed, path)));
}

function moments(values: Float32Array): { mean: number; deviation: number; largest: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance), largest: Math.max(...values.map(Math.abs)) };
}

describe("initializers", () => {
  test.each([glorotUniform, heNormal, randomNormal({ stddev: 0.1 })])(
    "$name depends on the seed and the path alone",
    (initializer) => {
      const values = create(initializer, [20, 30]);
      expect(create(initializer, [20, 30])).toEqual(values);
      expect(create(initializer, [20, 30], "dense/kernel", 8)).not.toEqual(values);
      expect(create(initializer, [20, 30], "dense_1/kernel")).not.toEqual(values);
    },
  );

  test("glorotUniform is uniform within sqrt(6 / (fanIn + fanOut))", () => {
    const limit = Math.sqrt(6 / (200 + 100));
    const { mean, deviation, largest } = moments(create(glorotUniform, [200, 100]));
    expect(Math.abs(mean)).toBeLessThan(limit / 50);
    expect(deviation).toBeCloseTo(limit / Math.sqrt(3), 3);
    expect(largest).toBeLessThanOrEqual(limit);
    expect(largest).toBeGreaterThan(limit * 0.99);
  });

  test("heNormal has the deviation sqrt(2 / fanIn) and ends at two deviations of the normal it is cut from", () => {
    const wanted = Math.sqrt(2 / 200);
    const { mean, deviation, largest } = moments(create(heNormal, [200, 100]));
    expect(Math.abs(mean)).toBeLessThan(wanted / 50);
    expect(deviation).toBeCloseTo(wanted, 2);
    expect(largest).toBeLessThanOrEqual((2 * wanted) / 0.8796);
  });

  test("counts the axes before the last two into both fans, as Keras does for kernels of convolutions", () => {
    const limit = Math.sqrt(6 / (9 * 3 + 9 * 50));
    const { largest } = moments(create(glorotUniform, [3, 3, 3, 50]));
    expect(largest).toBeLessThanOrEqual(limit);
    expect(largest).toBeGreaterThan(limit * 0.98);
    const vector = moments(create(glorotUniform, [1000])).largest;
    expect(vector).toBeLessThanOrEqual(Math.sqrt(6 / 2000));
    expect(vector).toBeGreaterThan(Math.sqrt(6 / 2000) * 0.98);
  });

  test("normal has the deviation it is given and refuses one that is none", () => {
    expect(moments(create(randomNormal({ stddev: 0.3 }), [100, 100])).deviation).toBeCloseTo(0.3, 2);
    expect(() => randomNormal({ stddev: -1 })).toThrow(RangeError);
    expect(() => randomNormal({ stddev: NaN })).toThrow(RangeError);
  });

  test("zeros and ones are that", () => {
    expect(create(zeros, [3])).toEqual(Float32Array.of(0, 0, 0));
    expect(create(ones, [2, 1])).toEqual(Float32Array.of(1, 1));
    expect(create(zeros, [])).toHaveLength(1);
  });
});
