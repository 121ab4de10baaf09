import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collectStatistics } from "../../src/cli/feature-statistics.ts";
import { Moments } from "../../src/cli/moments.ts";
import { stats, type StatsReport } from "../../src/cli/stats.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import type { Feature } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { fixture, kdata, mnist } from "./run-kdata.ts";

test("stats shows a table for people", async () => {
  expect(await kdata(["stats", join(mnist, "train-*")])).toEqual({
    code: 0,
    stdout:
      "MNIST idx, 2 files, 60,000 samples\n" +
      "  feature  kind   shape/len  count       min  max  mean    std     nan  inf  distinct\n" +
      "  image    uint8  28×28      47,040,000  0    255  33.318  78.567  0    0\n" +
      "  label    uint8  scalar     60,000      0    9    4.4539  2.8892  0    0    10\n",
    stderr: "kdata stats: 1 input\nkdata stats: done 60,000 samples\n",
  });
});

test("stats --json has the mean and deviation of MNIST as numpy computes them", async () => {
  const { stdout } = await kdata(["stats", join(mnist, "train-*"), "--json"]);
  const { schema, fields } = JSON.parse(stdout) as StatsReport;
  expect(schema).toBe("kdata.stats/1");
  // numpy 2.4.6: images.astype(np.float64).mean(), .std()
  expect(fields["image"]!.mean).toBe(33.318421449829934);
  expect(fields["image"]!.std).toBeCloseTo(78.56748998339798, 10);
  expect(fields["image"]).toMatchObject({ min: 0, max: 255, nan: 0, inf: 0, count: 47_040_000 });
  expect(fields["label"]).toMatchObject({ distinct: 10, seen: 60_000 });
});

test("stats counts what is not finite and leaves it out of the rest", async () => {
  const { fields } = await stats(fixture("npy/little-endian"));
  for (const name of ["f2", "f4", "f8"]) expect(fields[name]).toMatchObject({ count: 9, min: -11, nan: 1, inf: 2 });
  expect(fields["f2"]!.max).toBe(0.0999755859375);
  expect(fields["bool"]).toMatchObject({ count: 12, mean: 0.5, std: 0.5 });
  expect(fields["i8"]).toMatchObject({ min: -(2 ** 63), max: 2 ** 63 });
});

test("stats has lengths for bytes, strings and lists, also from standard input", async () => {
  const input = readFileSync(fixture("tfrecord/kinds.tfrecord"));
  const { stdout, code } = await kdata(["stats", "-", "--json"], { input });
  const { fields, samples } = JSON.parse(stdout) as StatsReport;
  expect([code, samples]).toEqual([0, 5]);
  expect(fields["two"]).toEqual({
    seen: 1,
    kinds: ["list"],
    dtypes: [],
    bytes: { count: 2, min: 0, max: 5, mean: 2.5, std: 2.5 },
    items: { count: 1, min: 2, max: 2, mean: 2, std: 0 },
  });
  expect(fields["no_floats"]).toMatchObject({ count: 0, nan: 0, shape: [{ min: 0, max: 0 }] });
  expect(fields["no_floats"]).not.toHaveProperty("mean");
});

test("stats of a damaged shard is exit code 4 with the position", async () => {
  const input = readFileSync(fixture("tfrecord/rows.tfrecord"));
  input[input.length - 5]! ^= 1;
  const { code, stdout, stderr } = await kdata(["stats", "-"], { input });
  expect([code, stdout]).toEqual([4, ""]);
  expect(stderr).toMatch(/error\[checksum\]: .*\(-, record 11, byte \d+\)/);
});

test("moments lose nothing to a large offset, whether numbers come one by one or many at a time", () => {
  const random = new RandomStream(deriveKey(7));
  const values = Float64Array.from({ length: 10_001 }, () => 1e9 + random.normal());
  const [single, many] = [new Moments(), new Moments()];
  for (const value of values) single.add(value);
  for (let start = 0; start < values.length; start += 17) many.addAll(values.subarray(start, start + 17));
  const mean = values.reduce((sum, value) => sum + (value - 1e9), 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - 1e9 - mean) ** 2, 0) / values.length;
  for (const moments of [single, many]) {
    const { count, mean: found, std } = moments.statistics()!;
    expect(count).toBe(values.length);
    expect(found - 1e9).toBeCloseTo(mean, 5);
    expect(std / Math.sqrt(variance)).toBeCloseTo(1, 8);
  }
});

test("labels are counted only where every tensor is one integer, and not without end", () => {
  expect(distinctOf([label(1), label(2), label(1)])).toBe(2);
  expect(distinctOf([label(1), tensor("int64", [2], BigInt64Array.of(1n, 2n))])).toBeUndefined();
  expect(distinctOf([tensor("float32", [], Float32Array.of(1))])).toBeUndefined();
  expect(distinctOf(Array.from({ length: 65_537 }, (_, value) => label(value)))).toBeUndefined();
  expect(distinctOf(Array.from({ length: 65_536 }, (_, value) => label(value)))).toBe(65_536);
});

function label(value: number): Feature {
  return tensor("int64", [1], BigInt64Array.of(BigInt(value)));
}

function distinctOf(features: readonly Feature[]): number | undefined {
  const collector = collectStatistics();
  for (const [record, y] of features.entries()) {
    collector.add({ key: `a/${record}`, origin: { source: "a", record }, features: { y } });
  }
  return collector.fields()["y"]!.distinct;
}
