import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { BatchMaker } from "../../src/loaders/batch-maker.ts";
import { describeDataset, type Dataset } from "../../src/loaders/dataset.ts";
import { pipelineOf } from "../../src/loaders/epoch.ts";
import { RecordReader } from "../../src/loaders/record-reader.ts";
import { scheduleOf } from "../../src/loaders/schedule.ts";
import type * as registry from "../../src/transforms/registry.ts";
import type { Transform, SampleTransformDescription } from "../../src/transforms/index.ts";
import { openFiles } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const COUNTS = [5, 1, 7];
const RECORDS = 13;
const DRAW = { transform: "draw" } as unknown as SampleTransformDescription;

// A transform that gives what it draws.
const draw: Transform = (sample, random) => ({ ...sample, features: { drawn: JSON.stringify(random().uniform()) } });
vi.mock("../../src/transforms/registry.ts", async (load) => {
  const real = await load<typeof registry>();
  const buildTransform = (description: SampleTransformDescription) =>
    description === DRAW ? draw : real.buildTransform(description);
  return { ...real, buildTransform };
});

let folder: string;
let dataset: Dataset;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kdata-maker-"));
  dataset = await describeDataset(writeShards(folder, COUNTS), {});
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What each record draws in an epoch, by key. */
function drawsOf(shuffle: boolean, epoch: number, seed = 1): Map<string, unknown> {
  const maker = new BatchMaker({ dataset, transforms: [DRAW], shuffle, seed, makers: 1 });
  const job = { epoch, step: 0, globalStart: 0, start: 0, size: RECORDS, padded: 0 };
  const { keys, columns } = maker.make(job, (byteLength) => new ArrayBuffer(byteLength));
  maker.close();
  const [column] = columns;
  if (column?.kind !== "string") throw new TypeError("no draws");
  return new Map(keys.map((key, row) => [key, column.values[row]]));
}

test("what a record draws depends on seed, epoch and record, not on where the order puts it", () => {
  const shuffled = drawsOf(true, 3);
  expect(new Set(shuffled.values()).size).toBe(RECORDS);
  expect(new Map([...shuffled].sort())).toEqual(new Map([...drawsOf(false, 3)].sort()));
  for (const other of [drawsOf(true, 4), drawsOf(true, 3, 2)]) {
    for (const [key, value] of other) expect(value).not.toBe(shuffled.get(key));
  }
});

test("in a mixture what a record draws depends on the epoch of its source, not on that of the mixture", () => {
  const source = { name: "a", firstRecord: 0, records: 5, transforms: [] };
  const sources = [source, { ...source, firstRecord: 5, records: 8, transforms: [DRAW] }];
  const schedule = scheduleOf([1, 1]);
  const anchor = { epoch: 0, samples: 0, since: 0, taken: [0, 0] };
  const mixture = { sources, schedule, epochLength: 40, anchor };
  const pipeline = pipelineOf({ dataset, transforms: [], shuffle: false, seed: 1, mixture });
  const sample = { key: "k", origin: { source: "a", record: 3 }, features: {} };
  const drawn = (epoch: number, visit: number): unknown => pipeline(sample, epoch, visit)!.features["drawn"];
  expect(pipeline(sample, 0, 2)).toBe(sample); // the other source has no transforms
  expect(drawn(0, 7)).toBe(drawn(5, 7));
  expect(drawn(0, RECORDS + 7)).not.toBe(drawn(0, 7)); // the record comes a second time
  expect(drawn(0, 8)).not.toBe(drawn(0, 7));
});

test.runIf(process.platform === "linux")(
  "readers share the files that may be open, shards of several files too",
  () => {
    const open = (readers: number): number => {
      const reader = new RecordReader(dataset, readers);
      for (let record = 0; record < RECORDS; record++) reader.read(record);
      const { length } = openFiles(folder);
      reader.close();
      return length;
    };
    expect([1, 128, 300, 2000].map(open)).toEqual([9, 6, 3, 3]); // 3 files to a shard, at most 64, 6, 2, 0 at a time
    expect(openFiles(folder)).toEqual([]);
  },
);
