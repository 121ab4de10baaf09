import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { KdataError } from "../../src/core/errors.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import {
  loader,
  mix,
  type BadSample,
  type Loader,
  type LoaderOptions,
  type MixOptions,
} from "../../src/loaders/index.ts";
import type * as registry from "../../src/transforms/registry.ts";
import type { Transform, SampleTransformDescription } from "../../src/transforms/index.ts";
import { collect, digest, keysOf } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const COUNTS = [600, 1, 399];
const RECORDS = 1000;

// None of the registered transforms filters: one is added that leaves out every third record.
const THIRDS = { transform: "thirds" } as unknown as SampleTransformDescription;
const thirds: Transform = (sample) => (sample.origin.record % 3 === 0 ? undefined : sample);
vi.mock("../../src/transforms/registry.ts", async (load) => {
  const real = await load<typeof registry>();
  const buildTransform = (description: SampleTransformDescription) =>
    description === THIRDS ? thirds : real.buildTransform(description);
  return { ...real, buildTransform };
});

let folder: string;
let whole: string;
const opened: Loader[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-skip-"));
  whole = writeShards(join(folder, "whole"), COUNTS);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function open(spec: string, options: Partial<LoaderOptions> = {}): Promise<Loader> {
  const made = await loader(spec, { batchSize: 8, workers: 0, onError: "skip", ...options });
  opened.push(made);
  return made;
}

/** Writes the data set with a share of its records broken, drawn by a seed of their own. */
function breakSome(name: string, rate: number): { spec: string; broken: ReadonlySet<number> } {
  const random = new RandomStream(deriveKey(99));
  const broken = new Set<number>();
  while (broken.size < RECORDS * rate) broken.add(Math.floor(random.uniform() * RECORDS));
  return { spec: writeShards(join(folder, name), COUNTS, ...broken), broken };
}

/** The number of each record by its key: the key has the shard's letter. */
function recordOf(key: string): number {
  const [stem, row] = key.split("/") as [string, string];
  return { a: 0, b: 600, c: 601 }[stem]! + Number(row);
}

describe.each([0.001, 0.01, 0.5])("with %d of the records bad", (rate) => {
  test.each([0, 1, 2, 3])("the rest keeps its order and the books balance (%d workers)", async (workers) => {
    const { spec, broken } = breakSome(`rate-${rate}-${workers}`, rate);
    const options = { workers, shuffle: true, seed: 5 };
    const train = await open(spec, options);
    for (let epoch = 0; epoch < 2; epoch++) {
      const batches = await collect(train);
      const reference = await open(whole, { ...options, workers: 0 });
      reference.load({ ...reference.state(), epoch });
      const expected = keysOf(await collect(reference)).filter((key) => !broken.has(recordOf(key)));
      expect(keysOf(batches)).toEqual(expected);
      for (const { size, skipped = 0 } of batches) expect(size + skipped).toBe(8);
      const ledger = train.ledger();
      expect(ledger).toMatchObject({ epoch, read: RECORDS, delivered: RECORDS - broken.size, filtered: 0, padded: 0 });
      expect(ledger.skipped.count).toBe(broken.size);
      expect(ledger.skipped.first.length).toBe(Math.min(100, broken.size));
      const positions = ledger.skipped.first.map(({ position }) => position);
      expect(positions).toEqual(positions.toSorted((a, b) => a - b));
      for (const { record, code, at } of ledger.skipped.first) {
        expect(broken.has(record)).toBe(true);
        expect(code).toBe("format");
        expect(at!.record).toBe(record - (record > 600 ? 601 : record === 600 ? 600 : 0));
      }
    }
  });
});

test.each([0, 2])("a function decides, sample by sample in the order of the epoch (%d workers)", async (workers) => {
  const spec = writeShards(join(folder, `handler-${workers}`), COUNTS, 3, 40, 900);
  const seen: [string, BadSample][] = [];
  const onError = (error: KdataError, sample: BadSample) => {
    seen.push([error.code, sample]);
    return sample.record === 900 ? "throw" : "skip";
  };
  const train = await open(spec, { workers, onError });
  const steps: number[] = [];
  const read = async () => {
    for await (const { step } of train) steps.push(step);
  };
  await expect(read()).rejects.toMatchObject({ code: "format", at: { record: 299 } });
  expect(seen).toEqual(
    [3, 40, 900].map((record) => ["format", { epoch: 0, position: record, record, key: undefined }]),
  );
  expect(steps.length).toBe(112); // up to the batch that holds position 900
  expect(train.state()).toMatchObject({ epoch: 0, samples: 896 });
});

test.each<[number | string, boolean]>([
  [2, false],
  [3, true],
  [0.0029, false],
  [0.003, true],
  ["0.2%", false],
  ["0.3%", true],
])("maxFailures %s of 1,000 samples lets three pass: %s", async (maxFailures, passes) => {
  const train = await open(writeShards(join(folder, `most-${maxFailures}`), COUNTS, 3, 40, 900), { maxFailures });
  if (passes) {
    expect(keysOf(await collect(train)).length).toBe(997);
    return;
  }
  await expect(collect(train)).rejects.toMatchObject({
    code: "format",
    message: expect.stringMatching(/^Cannot skip more than 2 samples of epoch 0 .*record 299/) as string,
    cause: { code: "format" },
  });
});

test("maxFailures is refused where it is neither count nor rate, and without onError", async () => {
  for (const maxFailures of [-1, 1.5, NaN, "1", "101%", "%"]) {
    await expect(open(whole, { maxFailures })).rejects.toThrow(RangeError);
  }
  await expect(open(whole, { maxFailures: 3, onError: "throw" })).rejects.toMatchObject({ code: "usage" });
  await expect(open(whole, { onError: "ignore" as "skip" })).rejects.toMatchObject({ code: "usage" });
});

test("a batch of which nothing is left is left out", async () => {
  const broken = Array.from({ length: 8 }, (_, n) => 16 + n);
  const train = await open(
    writeShards(join(folder, "empty"), COUNTS, ...broken, 999, 998, 997, 996, 995, 994, 993, 992),
  );
  const batches = await collect(train);
  expect(batches.map(({ step }) => step)).toEqual(Array.from({ length: 124 }, (_, n) => n).filter((n) => n !== 2));
  expect(train.state()).toMatchObject({ epoch: 1, samples: 0 });
  expect(train.stats().batches).toBe(123);
});

test("with more ranks such a batch has one padded sample, the next good one: every rank makes every step", async () => {
  const broken = Array.from({ length: 13 }, (_, n) => 984 + n).concat(997, 998, 999, 0);
  const spec = writeShards(join(folder, "ranks"), COUNTS, ...broken);
  const ranks = await Promise.all(
    [0, 1].map(async (rank) => {
      const train = await open(spec, { rank, worldSize: 2 });
      return { batches: await collect(train), ledger: train.ledger() };
    }),
  );
  expect(ranks.map(({ batches }) => batches.length)).toEqual([63, 63]);
  const last = ranks.map(({ batches }) => batches[62]!);
  expect(last.map(({ keys, padded, skipped }) => [keys, padded, skipped])).toEqual([
    [["a/1"], 1, 4],
    [["a/1"], 1, 4],
  ]);
  const [first, second] = ranks.map(({ ledger }) => ledger);
  expect(first!.read + second!.read).toBe(RECORDS);
  expect(first!.skipped.count + second!.skipped.count).toBe(broken.length);
});

test("a data set without one good sample is no data set for several ranks, and an empty epoch for one", async () => {
  const spec = writeShards(join(folder, "hopeless"), [5], 0, 1, 2, 3, 4);
  expect(await collect(await open(spec))).toEqual([]);
  await expect(collect(await open(spec, { worldSize: 2 }))).rejects.toMatchObject({
    code: "format",
    message: "Cannot make batch 0 of epoch 0: every sample is bad or filtered out",
  });
});

test("a padded sample that is bad counts once, at its own position", async () => {
  const train = await open(writeShards(join(folder, "padded"), [10], 1), { remainder: "pad" });
  const batches = await collect(train);
  expect(batches.map(({ keys, padded }) => [keys.length, padded])).toEqual([
    [7, 0],
    [7, 5],
  ]);
  expect(batches[1]!.keys.slice(2)).toEqual(["a/0", "a/2", "a/3", "a/4", "a/5"]);
  expect(train.ledger()).toMatchObject({ read: 10, delivered: 9, padded: 5, skipped: { count: 1 } });
});

test("a state counts positions: from every step the rest is exact, whatever was skipped", async () => {
  const { spec, broken } = breakSome("resume", 0.5);
  const options = { shuffle: true, seed: 3 };
  const all = keysOf(await collect(await open(spec, options)));
  expect(all.length).toBe(RECORDS - broken.size);
  const train = await open(spec, options);
  const seen: string[] = [];
  let step = 0;
  for await (const batch of train) {
    seen.push(...batch.keys);
    if (++step % 7 !== 0) continue;
    const rest = await open(spec, { ...options, batchSize: 5, state: train.state() });
    expect([...seen, ...keysOf(await collect(rest))]).toEqual(all);
  }
});

test("samples that are filtered out move no other, and are counted apart", async () => {
  const spec = writeShards(join(folder, "filtered"), [30], 4, 6);
  const train = await open(spec, { transforms: [THIRDS] });
  const batches = await collect(train);
  const kept = Array.from({ length: 30 }, (_, n) => n).filter((n) => n % 3 !== 0 && n !== 4);
  expect(keysOf(batches)).toEqual(kept.map((n) => `a/${n}`));
  expect(batches.map(({ size, skipped }) => [size, skipped])).toEqual([
    [4, 4],
    [5, 3],
    [6, 2],
    [4, 2],
  ]);
  // The broken record 6 cannot even be read, and so cannot be filtered.
  expect(train.ledger()).toMatchObject({ read: 30, delivered: 19, filtered: 9, skipped: { count: 2 } });
  const again = await open(spec, { transforms: [THIRDS] });
  expect(digest(await collect(again))).toBe(digest(batches));
});

describe("a mixture", () => {
  const BROKEN = [0, 7, 8, 9, 31];

  async function open(broken: readonly number[], options: Partial<MixOptions> = {}): Promise<Loader> {
    const name = join(folder, `mix-${broken.length}`);
    const whole = writeShards(join(name, "whole"), [0, 0, 100]); // its keys are c/...
    const damaged = writeShards(join(name, "damaged"), [30, 10], ...broken); // a/..., b/...
    const sources = [{ source: whole }, { source: damaged }];
    const made = await mix(sources, {
      ...{ batchSize: 8, workers: 0, shuffle: true, seed: 5, stop: "all-exhausted", onError: "skip" },
      ...options,
    });
    opened.push(made);
    return made;
  }

  /** Whether a key is of a record that is broken in the damaged source. */
  function isBroken(key: string): boolean {
    const [stem, row] = key.split("/") as [string, string];
    return stem !== "c" && BROKEN.includes((stem === "a" ? 0 : 30) + Number(row));
  }

  test.each([0, 2])(
    "of a damaged source keeps the order of the rest, and the books balance (%d workers)",
    async (workers) => {
      const [train, reference] = [await open(BROKEN, { workers }), await open([])];
      for (let epoch = 0; epoch < 2; epoch++) {
        const all = keysOf(await collect(reference));
        const batches = await collect(train);
        expect(keysOf(batches)).toEqual(all.filter((key) => !isBroken(key)));
        for (const { size, skipped = 0 } of batches.slice(0, -1)) expect(size + skipped).toBe(8);
        const bad = all.flatMap((key, position) => (isBroken(key) ? [position] : []));
        expect(bad.length).toBeGreaterThan(2 * BROKEN.length);
        const { skipped, ...ledger } = train.ledger();
        expect(ledger).toEqual({ epoch, read: all.length, delivered: all.length - bad.length, filtered: 0, padded: 0 });
        expect(skipped.count).toBe(bad.length);
        expect(skipped.first.map(({ position }) => position)).toEqual(bad);
        for (const { record, at } of skipped.first) {
          expect(BROKEN).toContain(record - 100);
          expect(at!.record).toBe((record - 100) % 30);
          expect(at!.source).toContain("damaged");
        }
      }
    },
  );

  test("resumes exactly whatever was skipped", async () => {
    const all = keysOf(await collect(await open(BROKEN)));
    const train = await open(BROKEN);
    const seen: string[] = [];
    for await (const batch of train) {
      seen.push(...batch.keys);
      const rest = await open(BROKEN, { batchSize: 5, state: train.state() });
      if (train.state().samples > 0) expect([...seen, ...keysOf(await collect(rest))]).toEqual(all);
    }
  });

  test("looks past a bad first sample for the features and for `workers: auto`, but not without onError", async () => {
    const train = await open([0], { workers: "auto", shuffle: false });
    expect(train.stats().workers).toBe(0);
    expect(keysOf(await collect(train)).slice(0, 4)).toEqual(["c/0", "c/1", "a/1", "c/2"]);
    await expect(open([0], { onError: "throw" })).rejects.toMatchObject({ code: "format", at: { record: 0 } });
  });

  test("counts apart what the transform of one source filters out", async () => {
    const whole = writeShards(join(folder, "mix-filtered"), [0, 0, 30]);
    const other = writeShards(join(folder, "mix-thirds"), [30]);
    const sources = [{ source: whole }, { source: other, transforms: [THIRDS] }];
    const train = await mix(sources, { batchSize: 6, workers: 0 });
    opened.push(train);
    const keys = keysOf(await collect(train));
    const expected = Array.from({ length: 30 }, (_, n) => (n % 3 === 0 ? [`c/${n}`] : [`c/${n}`, `a/${n}`])).flat();
    expect(keys).toEqual(expected.slice(0, keys.length));
    expect(train.ledger()).toMatchObject({ read: train.sampleCount, delivered: keys.length, skipped: { count: 0 } });
    expect(train.ledger().filtered).toBe(train.sampleCount - keys.length);
    expect(train.ledger().filtered).toBeGreaterThan(8);
    expect(train.stats().transforms.map(({ name }) => name)).toEqual([`thirds of ${other}`]);
  });
});
