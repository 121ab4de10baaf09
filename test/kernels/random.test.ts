import { describe, expect, test } from "vitest";
import { deriveKey, philox, type RandomKey } from "../../src/core/random.ts";
import { RandomFiller } from "../../src/kernels/random.ts";

const key = deriveKey(42, 7);
const STEP = 2 ** 32 * 3 + 5; // both words of the step count

/** The words that the kernel has to draw. */
function words(count: number, of: RandomKey, step: number): number[] {
  const blocks = Array.from({ length: Math.ceil(count / 4) }, (_, block) =>
    philox([block, 0, step >>> 0, Math.floor(step / 2 ** 32)], of),
  );
  return blocks.flat().slice(0, count);
}

describe("RandomFiller", () => {
  test.each([1, 15, 16, 4096, 4097, 9001])("draws the bits of core/random.ts: %i numbers", (count) => {
    const filler = new RandomFiller();
    const drawn = words(count, key, STEP);
    const uniforms = new Float32Array(count);
    filler.uniform(uniforms, { key, step: STEP });
    expect(Array.from(uniforms)).toEqual(drawn.map((word) => (word >>> 8) / 2 ** 24));
    const mask = new Uint8Array(count);
    filler.bernoulli(mask, 0.3, { key, step: STEP });
    expect(Array.from(mask)).toEqual(drawn.map((word) => Number(word < Math.round(0.3 * 2 ** 32))));
  });

  test("gives a shorter list as the beginning of a longer one, and other numbers to another key or step", () => {
    const filler = new RandomFiller();
    function draw(count: number, of: RandomKey, step: number): number[] {
      const numbers = new Float32Array(count);
      filler.normal(numbers, { key: of, step });
      return Array.from(numbers);
    }
    const long = draw(6000, key, 1);
    expect(draw(4999, key, 1)).toEqual(long.slice(0, 4999));
    expect(draw(10, key, 2)).not.toEqual(long.slice(0, 10));
    expect(draw(10, deriveKey(42, 8), 1)).not.toEqual(long.slice(0, 10));
  });

  test("draws from the distributions it names", () => {
    const filler = new RandomFiller();
    const normals = new Float32Array(200_000);
    filler.normal(normals, { key, step: 0 });
    const [mean, variance] = moments(normals);
    expect(Math.abs(mean)).toBeLessThan(0.01);
    expect(Math.abs(variance - 1)).toBeLessThan(0.02);
    expect(normals.every(Number.isFinite)).toBe(true);
    const mask = new Uint8Array(200_000);
    filler.bernoulli(mask, 0.9, { key, step: 0 });
    expect(Math.abs(moments(mask)[0] - 0.9)).toBeLessThan(0.005);
    filler.bernoulli(mask, 1, { key, step: 0 });
    expect(mask.every((value) => value === 1)).toBe(true);
    filler.bernoulli(mask, 0, { key, step: 0 });
    expect(mask.every((value) => value === 0)).toBe(true);
  });
});

function moments(values: Iterable<number>): [mean: number, variance: number] {
  const list = Array.from(values);
  const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
  return [mean, list.reduce((sum, value) => sum + (value - mean) ** 2, 0) / list.length];
}
