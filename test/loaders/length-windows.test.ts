// Batches whose samples are chosen by their lengths: bucketByLength, and pack with a window.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { loader, mix, type Loader, type LoaderOptions, type LoaderState } from "../../src/loaders/index.ts";
import { createLengthTable, LengthTaker } from "../../src/loaders/length-table.ts";
import {
  bucketByLength,
  filter,
  map,
  pack,
  padBatch,
  select,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { collect, digest, keysOf } from "./epochs.ts";

const RECORDS = 300;
let folder: string;
let spec: string;
let bad: string;
let module: string;

/** From 1 to 40, in no order. */
function lengthOf(record: number): number {
  return 1 + (createHash("sha256").update(String(record)).digest()[0]! % 40);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-windows-"));
  const lines = Array.from({ length: RECORDS }, (_, n) => {
    return `{"n": ${n}, "text": ${JSON.stringify("x".repeat(lengthOf(n)))}}\n`;
  });
  spec = join(folder, "whole.jsonl");
  writeFileSync(spec, lines.join(""));
  bad = join(folder, "bad.jsonl");
  writeFileSync(bad, lines.map((line, n) => (n % 13 === 5 ? `{"n": ${n}, "text": 7}\n` : line)).join(""));
  module = join(folder, "ids.mjs");
  writeFileSync(
    module,
    `export function ids({ key, origin, features }) {
      const { length } = features.text;
      const n = Number(features.n.data[0]);
      return { key: String(n), origin, features: { ids: { dtype: "int32", shape: [length], data: new Int32Array(length).fill(n) } } };
    }`,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const bucketed = (): TransformDescription[] => [
  bucketByLength("text", { window: 6 }),
  map(module, "ids"),
  padBatch("ids", { lengths: "lengths" }),
];
const packed = (): TransformDescription[] => [map(module, "ids"), pack("ids", { length: 64, window: 6 })];
const ways = [
  ["bucketByLength", bucketed],
  ["pack over windows", packed],
] as const;

type Changes = Partial<LoaderOptions>;

function open(transforms: readonly TransformDescription[], changes: Changes = {}): Promise<Loader> {
  return loader(spec, { batchSize: 8, workers: 0, shuffle: true, seed: 3, transforms, ...changes });
}

async function epochOf(transforms: readonly TransformDescription[], changes: Changes = {}): Promise<Batch[]> {
  const train = await open(transforms, changes);
  try {
    return await collect(train);
  } finally {
    await train.close();
  }
}

/** The records of batches: the keys of a packed row are joined by commas. */
function recordsOf(batches: readonly Batch[]): number[] {
  return keysOf(batches).flatMap((key) => key.split(",").map(Number));
}

function ascending(records: readonly number[]): number[] {
  return [...records].sort((a, b) => a - b);
}

const ALL = Array.from({ length: RECORDS }, (_, n) => n);

/** How much of the tensors is filled up. */
function filledUp(batches: readonly Batch[]): number {
  const elements = batches.reduce((sum, { features }) => sum + (features["ids"] as Tensor).data.length, 0);
  return 1 - ALL.reduce((sum, record) => sum + lengthOf(record), 0) / elements;
}

describe.each(ways)("%s", (_name, transforms) => {
  test("gives each sample once, in batches as many as without", async () => {
    const train = await open(transforms());
    expect(train.stepsPerEpoch).toBe(Math.ceil(RECORDS / 8));
    const batches = await collect(train);
    expect(ascending(recordsOf(batches))).toEqual(ALL);
    expect(train.ledger()).toMatchObject({ read: RECORDS, delivered: RECORDS });
    const next = await collect(train);
    expect(ascending(recordsOf(next))).toEqual(ALL);
    expect(recordsOf(next)).not.toEqual(recordsOf(batches));
    await train.close();
  });

  test("has one hash whatever the workers and the prefetch", async () => {
    const expected = digest(await epochOf(transforms()));
    for (const [workers, prefetch] of [
      [1, 4],
      [2, 1],
      [3, 32],
      [7, 4],
    ] as const) {
      expect(digest(await epochOf(transforms(), { workers, prefetch }))).toBe(expected);
    }
    expect(digest(await epochOf(transforms(), { seed: 4 }))).not.toBe(expected);
  });

  test("goes on bit for bit at every batch", async () => {
    const all = await epochOf(transforms());
    const train = await open(transforms());
    for (let cut = 1; cut < all.length; cut += 4) {
      const stopped = await open(transforms());
      await collect(stopped, cut);
      train.load(JSON.parse(JSON.stringify(stopped.state())) as LoaderState);
      await stopped.close();
      expect(digest(await collect(train))).toBe(digest(all.slice(cut)));
    }
    await train.close();
  });

  test("loses and repeats nothing when batch size and world size change at any point", async () => {
    const cases = [
      { before: 1, after: 2, cut: 50 },
      { before: 2, after: 3, cut: 1 },
      { before: 3, after: 5, cut: 20 },
      { before: 5, after: 8, cut: 13 },
      { before: 8, after: 1, cut: 7 },
      { before: 2, after: 2, cut: 49 },
    ];
    for (const [i, { before, after, cut }] of cases.entries()) {
      const first = await Promise.all(ranksOf(before, { batchSize: 3 }, cut));
      const { state } = first[0]!;
      const rest = await Promise.all(ranksOf(after, { batchSize: 2 + i, state }));
      expect(new Set(rest.map(({ batches }) => batches.length)).size).toBe(1);
      expect(ascending([...first, ...rest].flatMap(({ batches }) => recordsOf(batches)))).toEqual(ALL);
    }

    function ranksOf(worldSize: number, changes: Changes, count?: number) {
      return Array.from({ length: worldSize }, async (_, rank) => {
        const train = await open(transforms(), { rank, worldSize, ...changes });
        const batches = await collect(train, count);
        const state = train.state();
        await train.close();
        return { batches, state };
      });
    }
  });

  test.each(["drop", "pad", "short"] as const)("makes equal steps with remainder %s", async (remainder) => {
    for (const worldSize of [1, 3, 7]) {
      const ranks = Array.from({ length: worldSize }, (_, rank) =>
        epochOf(transforms(), { batchSize: 11, rank, worldSize, remainder }),
      );
      const steps = new Set((await Promise.all(ranks)).map((batches) => batches.length));
      const exact = RECORDS / (11 * worldSize);
      expect([...steps]).toEqual([remainder === "drop" ? Math.floor(exact) : Math.ceil(exact)]);
      const records = (await Promise.all(ranks)).flatMap(recordsOf);
      expect(new Set(records).size).toBe(records.length);
      if (remainder !== "drop") expect(ascending(records)).toEqual(ALL);
    }
  });

  test("leaves bad and filtered samples out and keeps its books", async () => {
    const options = {
      batchSize: 8,
      shuffle: true,
      onError: "skip",
      transforms: [filter({ feature: "n", max: 199 }), ...transforms()],
    } as const;
    const train = await loader(bad, { ...options, workers: 2 });
    const batches = await collect(train);
    const good = ALL.filter((n) => n < 200 && n % 13 !== 5);
    const { read, delivered, skipped, filtered } = train.ledger();
    await train.close();
    expect(ascending(recordsOf(batches))).toEqual(good);
    const badCount = ALL.filter((n) => n < 200 && n % 13 === 5).length;
    expect([read, delivered, skipped.count, filtered]).toEqual([RECORDS, good.length, badCount, 100]);
    const inThread = await loader(bad, { ...options, workers: 0 });
    expect(digest(await collect(inThread))).toBe(digest(batches));
    await inThread.close();
  });

  test("says what is wrong with a sample at its batch", async () => {
    const train = await loader(bad, { batchSize: 8, workers: 0, transforms: transforms() });
    await expect(collect(train)).rejects.toMatchObject({
      code: expect.stringMatching(/shape|format/) as unknown,
      at: { record: 5 },
    });
    await train.close();
  });

  test("refuses a state that was cut within another window, and takes one that was not", async () => {
    const stopped = await open(transforms());
    await collect(stopped, 7);
    const within = stopped.state();
    await stopped.close();
    await expect(open([], { state: within })).rejects.toThrow("windows of 48 in the state, no windows here");
    const other = [...transforms()].map((one) => ("window" in one ? { ...one, window: 3 } : one));
    const adopted = await open(other, { state: within });
    expect(adopted.state().windows?.size).toBe(48);
    await adopted.close();
    const changed = [select(["n", "text"]), ...transforms()];
    await expect(open(changed, { state: within })).rejects.toMatchObject({ code: "state" });
    const between = { ...within, samples: 96 };
    for (const chain of [[], changed]) {
      const train = await open(chain, { state: between });
      await train.close();
    }
  });
});

test("bucketByLength fills up little, at the same lengths on every rank", async () => {
  const plain = filledUp(await epochOf(bucketed().slice(1)));
  const sorted = await epochOf(bucketed());
  expect(filledUp(sorted)).toBeLessThan(plain / 2);
  const apart = async (transforms: readonly TransformDescription[]): Promise<number> => {
    const ranks = await Promise.all([0, 1].map((rank) => epochOf(transforms, { batchSize: 4, rank, worldSize: 2 })));
    const [a, b] = ranks.map((batches) => batches.map(({ features }) => (features["ids"] as Tensor).shape[1]!));
    return a!.reduce((sum, length, step) => sum + Math.abs(length - b![step]!), 0) / a!.length;
  };
  expect(await apart(bucketed())).toBeLessThan((await apart(bucketed().slice(1))) / 2);
});

test("boundaries keep the lengths of a batch within a bucket, and their order as it was", async () => {
  const transforms = [bucketByLength("text", { window: 100, boundaries: [20] }), map(module, "ids"), padBatch("ids")];
  const batches = await epochOf(transforms, { shuffle: false, batchSize: 10 });
  const records = recordsOf(batches);
  const short = ALL.filter((n) => lengthOf(n) < 20);
  const mixed = Math.floor(short.length / 10) * 10;
  expect(records.slice(0, mixed)).toEqual(short.slice(0, mixed));
});

test("pack over windows needs fewer rows than batch by batch, dealt out evenly", async () => {
  const rowsOf = async (window?: number): Promise<number[]> => {
    const transforms = [map(module, "ids"), pack("ids", { length: 64, ...(window !== undefined && { window }) })];
    return (await epochOf(transforms)).map(({ size }) => size);
  };
  const sum = (rows: readonly number[]): number => rows.reduce((all, one) => all + one, 0);
  const [single, windowed] = [await rowsOf(), await rowsOf(6)];
  expect(sum(windowed)).toBeLessThan(sum(single));
  for (let window = 0; window + 6 <= windowed.length; window += 6) {
    const rows = windowed.slice(window, window + 6);
    expect(Math.max(...rows) - Math.min(...rows)).toBeLessThanOrEqual(1);
  }
});

test("ranks without a row of their own get a padded one", async () => {
  const transforms = [map(module, "ids"), pack("ids", { length: 4000, window: 8 })];
  const ranks = await Promise.all([0, 1, 2].map((rank) => epochOf(transforms, { batchSize: 2, rank, worldSize: 3 })));
  expect(ranks.map((batches) => batches.length)).toEqual([50, 50, 50]);
  expect(ascending(ranks.flatMap(recordsOf))).toEqual(ALL);
  expect(ranks.flat().some(({ size, padded }) => size === 1 && padded === 1)).toBe(true);
  expect(ranks.flat().every(({ size }) => size > 0)).toBe(true);
});

test("a mixture sorts within windows, and changes its weights between them only", async () => {
  const openMix = (weight: number, state?: LoaderState): Promise<Loader> =>
    mix(
      [
        { source: spec, weight },
        { source: bad, weight: 1, transforms: [filter({ feature: "text", minLength: 1 })] },
      ],
      {
        batchSize: 5,
        workers: 0,
        seed: 1,
        shuffle: true,
        onError: "skip",
        transforms: bucketed(),
        ...(state && { state }),
      },
    );
  const whole = await openMix(2);
  const all = await collect(whole);
  await whole.close();
  const stopped = await openMix(2);
  await collect(stopped, 7);
  const within = stopped.state();
  await stopped.close();
  const tail = await openMix(2, within);
  expect(digest(await collect(tail))).toBe(digest(all.slice(7)));
  await tail.close();
  await expect(openMix(3, within)).rejects.toMatchObject({ code: "state" });
  const between = await openMix(2);
  await collect(between, 6);
  const changed = await openMix(3, between.state());
  expect((await collect(changed)).length).toBeGreaterThan(0);
  await Promise.all([between.close(), changed.close()]);
});

test("two choices by length, or one in a stream, are refused", async () => {
  const both = [...bucketed().slice(0, 2), pack("ids", { length: 64, window: 2 })];
  await expect(open(both)).rejects.toThrow("Cannot choose the samples of a batch twice");
  await expect(open([map(module, "ids"), padBatch("ids"), pack("ids", { length: 64, window: 2 })])).rejects.toThrow(
    "Cannot apply pack with a window after padBatch",
  );
  await expect(loader(spec, { batchSize: 2, stream: true, transforms: bucketed() })).rejects.toThrow("bucketByLength");
  expect(() => bucketByLength("x", { boundaries: [4, 4] })).toThrow("boundaries[1] must be a whole number from 5");
  expect(() => bucketByLength("x", { windows: 4 } as object)).toThrow("window");
});

test("lengths are taken once, by however many takers, and again where another window has taken the place", () => {
  const table = createLengthTable(100);
  const measured: number[] = [];
  const takers = [0, 1, 2].map(
    () =>
      new LengthTaker(table, (position) => {
        measured.push(position);
        return position % 7 === 0 ? undefined : position;
      }),
  );
  const window = { number: 3, from: 300, count: 100 };
  const expected = Float64Array.from({ length: 100 }, (_, i) => ((300 + i) % 7 === 0 ? -1 : 300 + i));
  for (const taker of takers) expect(taker.lengthsOf(window, 0)).toEqual(expected);
  expect(measured.length).toBe(100);
  takers[1]!.lengthsOf({ number: 7, from: 700, count: 100 }, 0);
  expect(measured.length).toBe(200);
  expect(takers[2]!.lengthsOf(window, 0)).toEqual(expected);
  expect(measured.length).toBe(300);
});

test("what a taker that ended had claimed is taken by the others", () => {
  const table = createLengthTable(64);
  const failing = new LengthTaker(table, (position) => {
    if (position === 20) throw new RangeError("ended");
    return position;
  });
  const window = { number: 0, from: 0, count: 64 };
  expect(() => failing.lengthsOf(window, 0)).toThrow("ended");
  const other = new LengthTaker(table, (position) => position);
  expect(other.lengthsOf(window, 0)).toEqual(Float64Array.from({ length: 64 }, (_, i) => i));
});
