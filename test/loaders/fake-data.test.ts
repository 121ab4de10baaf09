import { expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { fakeData } from "../../src/loaders/fake-data.ts";
import { loader } from "../../src/loaders/loader.ts";

const data = fakeData({
  samples: 50,
  seed: 7,
  features: { x: { dtype: "float32", shape: [8, 5] }, y: { dtype: "int32", shape: [], below: 10 } },
});

/** Everything of one epoch. */
async function epochOf(workers: number, source = data): Promise<{ keys: string[]; x: number[]; y: number[] }> {
  const batches = await loader(source, { batchSize: 8, shuffle: true, seed: 3, workers });
  const [keys, x, y]: [string[], number[], number[]] = [[], [], []];
  for await (const { keys: own, features } of batches) {
    keys.push(...own);
    x.push(...Array.from((features["x"] as Tensor).data, Number));
    y.push(...Array.from((features["y"] as Tensor).data, Number));
  }
  await batches.close();
  return { keys, x, y };
}

test("samples are the same with and without workers, each record once", async () => {
  const alone = await epochOf(0);
  expect(new Set(alone.keys).size).toBe(50);
  expect(alone.x.length).toBe(50 * 40);
  expect(alone.y.every((value) => Number.isInteger(value) && value >= 0 && value < 10)).toBe(true);
  expect(await epochOf(2)).toEqual(alone);
});

test("samples differ by record and by seed, and are spread as a normal distribution is", async () => {
  const { x } = await epochOf(0);
  expect(new Set(x).size).toBeGreaterThan(1990);
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const square = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  expect(Math.abs(mean)).toBeLessThan(0.1);
  expect(Math.abs(square - 1)).toBeLessThan(0.15);
  const other = await epochOf(0, { ...data, seed: 8 });
  expect(other.x).not.toEqual(x);
});

test("a state goes on with the rest of the same data, and is refused by other data", async () => {
  const options = { batchSize: 8, workers: 0 };
  const first = await loader(data, options);
  const keys: string[] = [];
  for await (const batch of first) {
    keys.push(...batch.keys);
    if (keys.length === 16) break;
  }
  const state = first.state();
  await first.close();
  const rest = await loader(data, { ...options, state });
  for await (const batch of rest) keys.push(...batch.keys);
  await rest.close();
  expect(new Set(keys).size).toBe(50);
  await expect(loader({ ...data, seed: 8 }, { ...options, state })).rejects.toThrow(/another run/);
});

test("fakeData() refuses what cannot be made", () => {
  const x = { dtype: "float32", shape: [2] } as const;
  expect(() => fakeData({ samples: -1, features: { x } })).toThrow(RangeError);
  expect(() => fakeData({ samples: 1, features: {} })).toThrow(/no features/);
  expect(() => fakeData({ samples: 1, features: { x: { dtype: "float32", shape: [2 ** 20, 2 ** 20] } } })).toThrow(
    RangeError,
  );
  expect(() => fakeData({ samples: 1, features: { x: { dtype: "int32", shape: [], below: 0 } } })).toThrow(RangeError);
  expect(() => fakeData({ samples: 1, features: { x }, sed: 1 } as never)).toThrow(/seed/);
});
