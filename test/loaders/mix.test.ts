import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { mix, type Loader, type LoaderState, type MixOptions, type MixSource } from "../../src/loaders/index.ts";
import { cast, select } from "../../src/transforms/index.ts";
import { collect, digest, keysOf } from "./epochs.ts";
import { writeNpy, writeShards } from "./npy-shards.ts";

const SIZES = { npy: 37, jsonl: 11, csv: 23 };
const transforms = [select(["y"]), cast("y", "float32")];

let folder: string;
let sources: readonly MixSource[];
const opened: Loader[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-mix-"));
  const npy = writeShards(join(folder, "npy"), [17, 1, 19]);
  const jsonl = join(folder, "lines.jsonl");
  writeFileSync(jsonl, Array.from({ length: SIZES.jsonl }, (_, n) => `{"y": ${1000 + n}}\n`).join(""));
  const csv = join(folder, "table.csv");
  writeFileSync(csv, `y,z\n${Array.from({ length: SIZES.csv }, (_, n) => `${2000 + n},1\n`).join("")}`);
  sources = [
    { source: npy, weight: 0.5, transforms },
    { source: jsonl, weight: 0.3, transforms },
    { source: csv, weight: 0.2, transforms },
  ];
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function open(options: Partial<MixOptions> = {}, weights?: readonly number[]): Promise<Loader> {
  const mixed = sources.map((source, i) => ({ ...source, ...(weights && { weight: weights[i]! }) }));
  const made = await mix(mixed, { batchSize: 4, workers: 0, shuffle: true, seed: 7, ...options });
  opened.push(made);
  return made;
}

/** Which source each key is of: npy 0, jsonl 1, csv 2. */
function sourcesOf(keys: readonly string[]): number[] {
  return keys.map((key) => (key.startsWith("lines/") ? 1 : key.startsWith("table/") ? 2 : 0));
}

/** The keys of so many epochs. */
async function epochs(loader: Loader, count: number): Promise<string[]> {
  const keys: string[] = [];
  for (let epoch = 0; epoch < count; epoch++) keys.push(...keysOf(await collect(loader)));
  return keys;
}

function countOf(keys: readonly string[], source: number): number {
  return sourcesOf(keys).filter((each) => each === source).length;
}

describe("mix()", () => {
  test("keeps every prefix over several epochs within one sample of the weights", async () => {
    const keys = await epochs(await open(), 5);
    const counts = [0, 0, 0];
    for (const [position, source] of sourcesOf(keys).entries()) {
      counts[source]!++;
      for (const [i, weight] of [0.5, 0.3, 0.2].entries()) {
        expect(Math.abs(counts[i]! - weight * (position + 1))).toBeLessThan(1 + 1e-9);
      }
    }
  });

  test("`first-exhausted` ends an epoch with the source that is through first", async () => {
    const mixed = await open();
    const keys = await epochs(mixed, 1);
    expect(mixed.sampleCount).toBe(keys.length);
    // Eleven lines are 0.3 of 36.7.
    expect(new Set(keys.filter((key) => key.startsWith("lines/"))).size).toBe(SIZES.jsonl);
    expect(keys.at(-1)).toMatch(/^lines/);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("`all-exhausted` goes on until every source is through, the others beginning again in another order", async () => {
    const keys = await epochs(await open({ stop: "all-exhausted" }), 1);
    expect(new Set(keys).size).toBe(SIZES.npy + SIZES.jsonl + SIZES.csv);
    expect(keys.at(-1)).toMatch(/^table/); // 23 / 0.2 > 37 / 0.5 > 11 / 0.3
    expect(countOf(keys, 2)).toBe(SIZES.csv);
    const lines = keys.filter((key) => key.startsWith("lines/"));
    const rounds = [lines.slice(0, 11), lines.slice(11, 22)];
    expect(rounds[1]).not.toEqual(rounds[0]);
    expect([...rounds[1]!].sort()).toEqual([...rounds[0]!].sort());
  });

  test("`steps` gives an epoch so many steps, whole ones, whatever the sources hold", async () => {
    const mixed = await open({ stop: { steps: 50 }, batchSize: 3, remainder: "drop" });
    expect([mixed.stepsPerEpoch, mixed.sampleCount]).toEqual([50, 150]);
    expect((await collect(mixed)).map(({ size }) => size)).toEqual(Array.from({ length: 50 }, () => 3));
  });

  test("each source gives all its records in each of its own epochs, across epochs of the mixture", async () => {
    const keys = await epochs(await open({ stop: { steps: 9 } }), 8);
    for (const [source, size] of Object.values(SIZES).entries()) {
      const own = keys.filter((_, i) => sourcesOf(keys)[i] === source);
      for (let start = 0; start + size <= own.length; start += size) {
        expect(new Set(own.slice(start, start + size)).size).toBe(size);
      }
    }
  });

  test("without shuffle keeps the order of each source", async () => {
    const keys = await epochs(await open({ shuffle: false }), 1);
    expect(keys.filter((key) => key.startsWith("lines/"))).toEqual(Array.from({ length: 11 }, (_, n) => `lines/${n}`));
  });

  test("applies the transforms of the source and then those of all", async () => {
    const mixed = await open({ transforms: [cast("y", "float64")] });
    for (const batch of await collect(mixed)) {
      const { dtype, data } = batch.features["y"] as { dtype: string; data: Float64Array };
      expect(dtype).toBe("float64");
      for (const [row, source] of sourcesOf(batch.keys).entries()) {
        expect(Math.floor(Math.abs(data[row]!) / 1000)).toBe(source);
      }
    }
  });

  test("is the same for 0 and 2 workers", async () => {
    const options: Partial<MixOptions> = { stop: "all-exhausted", shuffle: { blockSize: 4, window: 2 } };
    const [none, two] = [await open(options), await open({ ...options, workers: 2 })];
    for (let epoch = 0; epoch < 2; epoch++) expect(digest(await collect(two))).toBe(digest(await collect(none)));
  });
});

describe("a state", () => {
  test("is small, and goes on exactly from every cut with another batch size, workers and ranks", async () => {
    const options: Partial<MixOptions> = { stop: "all-exhausted" };
    const keys = await epochs(await open(options), 2);
    const whole = keys.length / 2;
    for (let cut = 1; cut * 4 < whole; cut += 3) {
      const train = await open(options);
      await collect(train, cut);
      const text = JSON.stringify(train.state());
      expect(text.length).toBeLessThan(1024);
      const state = JSON.parse(text) as LoaderState;
      for (const change of [{}, { batchSize: 7 }, ...(cut % 4 === 1 ? [{ batchSize: 5, workers: 2 }] : [])]) {
        expect(await epochs(await open({ ...options, ...change, state }), 2)).toEqual(keys.slice(cut * 4));
      }
      const ranks: Batch[][] = [];
      for (const rank of [0, 1, 2]) {
        ranks.push(await collect(await open({ ...options, batchSize: 2, rank, worldSize: 3, state })));
      }
      const steps = ranks[0]!.flatMap((_, step) => keysOf(ranks.map((batches) => batches[step]!)));
      expect(steps).toEqual(keys.slice(cut * 4, whole));
    }
  });

  test("goes on exactly where `steps` means another number of samples", async () => {
    const keys = await epochs(await open({ stop: { steps: 10 } }), 6);
    const train = await open({ stop: { steps: 10 } });
    await collect(train);
    await collect(train, 3);
    const resumed = await open({ stop: { steps: 10 }, batchSize: 7, state: train.state() });
    expect(await epochs(resumed, 2)).toEqual(keys.slice(52, 52 + 58 + 70));
  });

  test("taken with other weights goes on from what each source has given", async () => {
    const train = await open({ stop: { steps: 30 } });
    const before = keysOf(await collect(train, 11));
    for (const workers of [0, 2]) {
      const resumed = await open({ stop: { steps: 30 }, workers, state: train.state() }, [1, 2, 1]);
      const after = await epochs(resumed, 3);
      const counts = [0, 0, 0];
      for (const [position, source] of sourcesOf(after).entries()) {
        counts[source]!++;
        for (const [i, weight] of [0.25, 0.5, 0.25].entries()) {
          expect(Math.abs(counts[i]! - weight * (position + 1))).toBeLessThan(1);
        }
      }
      // What a source had begun it goes on with: nothing is lost or repeated in its own epochs.
      for (const [source, size] of Object.values(SIZES).entries()) {
        const own = [...before, ...after].filter((key) => sourcesOf([key])[0] === source);
        for (let start = 0; start + size <= own.length; start += size) {
          expect(new Set(own.slice(start, start + size)).size).toBe(size);
        }
      }
      // A state of the new weights goes on as well.
      const again = await open({ stop: { steps: 30 }, state: train.state() }, [1, 2, 1]);
      await collect(again, 5);
      const last = await open({ stop: { steps: 30 }, state: again.state() }, [1, 2, 1]);
      expect(await epochs(last, 1)).toEqual(after.slice(20, 76));
    }
  });

  test("may be loaded by a loader whose workers have begun", async () => {
    const keys = await epochs(await open(), 1);
    const train = await open({ workers: 2 });
    await collect(train, 4);
    const state = train.state();
    await collect(train);
    train.load(state);
    expect(await epochs(train, 1)).toEqual(keys.slice(16));
  });

  test("that leaves nothing of an epoch which other weights make shorter is the start of the next one", async () => {
    const train = await open({ stop: { steps: 30 } });
    await collect(train, 25);
    const resumed = await open({ stop: { steps: 20 }, state: train.state() });
    expect(resumed.epoch).toBe(1);
    const keys = await epochs(await open({ stop: { steps: 30 } }), 2);
    expect(await epochs(resumed, 1)).toEqual(keys.slice(100, 180));
  });

  test("taken with other weights fills up the last batch with samples of the new ones", async () => {
    const train = await open({ stop: "all-exhausted", remainder: "pad" });
    await collect(train, 5);
    const resumed = await open(
      { stop: "all-exhausted", remainder: "pad", batchSize: 64, state: train.state() },
      [1, 1, 2],
    );
    const batches = await collect(resumed);
    expect(batches.at(-1)!.size).toBe(64);
    expect(batches.at(-1)!.padded).toBe(64 * batches.length - (resumed.sampleCount - 20));
  });

  test("of another mixture is refused, and the message says the difference", async () => {
    const state = (await open()).state();
    const two = mix(sources.slice(0, 2), { batchSize: 4, shuffle: true, seed: 7, state });
    await expect(two).rejects.toMatchObject({
      code: "state",
      message: expect.stringContaining("sources of a mixture 3 in the state, 2 here") as string,
    });
    const train = await open();
    const [first, ...others] = state.mixture!.sources;
    const wrong: [unknown, string][] = [
      [{ ...state, mixture: undefined }, "sources of a mixture none in the state, 3 here"],
      [
        { ...state, mixture: { since: 0, sources: [{ ...first, records: 36 }, ...others] } },
        "records of source 0 36 in the state, 37 here",
      ],
      [{ ...state, mixture: { since: -1, sources: [] } }, "mixture.since is -1"],
      [{ ...state, mixture: { since: 0, sources: [{ ...first, weight: 0 }] } }, "mixture.sources[0].weight is 0"],
    ];
    for (const [bad, message] of wrong) {
      expect(() => {
        train.load(bad as LoaderState);
      }).toThrow(expect.objectContaining({ code: "state", message: expect.stringContaining(message) as string }));
    }
  });
});

describe("mix() refuses", () => {
  test("sources whose features differ, and names both", async () => {
    const [npy, jsonl] = sources;
    const differ = [npy!, { ...jsonl!, transforms: [] }];
    await expect(mix(differ, { batchSize: 4 })).rejects.toMatchObject({
      code: "shape",
      message: expect.stringMatching(/npy have y: float32, those of .*lines\.jsonl y: int64$/) as string,
    });
  });

  test("an option, a stop and a weight that mean nothing, and an empty source", async () => {
    const [npy] = sources;
    const empty = join(folder, "empty.npy");
    writeNpy(empty, "<i4", [0], new Int32Array(0));
    const usage: [readonly MixSource[], Partial<MixOptions>][] = [
      [[{ ...npy!, wieght: 1 } as MixSource], {}],
      [[npy!], { stop: "first_exhausted" as never }],
      [[npy!], { format: "npy" } as never],
      [[npy!, { source: empty }], {}],
    ];
    for (const [from, options] of usage) {
      await expect(mix(from, { batchSize: 4, ...options })).rejects.toMatchObject({ code: "usage" });
    }
    await expect(mix([], { batchSize: 4 })).rejects.toThrow(RangeError);
    await expect(mix([{ ...npy!, weight: 0 }], { batchSize: 4 })).rejects.toThrow(RangeError);
    await expect(mix([npy!], { batchSize: 4, stop: { steps: 0 } })).rejects.toThrow(RangeError);
  });
});
