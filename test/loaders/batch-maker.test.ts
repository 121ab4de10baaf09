import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { BatchMaker } from "../../src/loaders/batch-maker.ts";
import { describeDataset, type Dataset } from "../../src/loaders/dataset.ts";
import { RecordReader } from "../../src/loaders/record-reader.ts";
import type * as registry from "../../src/transforms/registry.ts";
import type { Transform, TransformDescription } from "../../src/transforms/index.ts";
import { openFiles } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const COUNTS = [5, 1, 7];
const RECORDS = 13;
const DRAW = { transform: "draw" } as unknown as TransformDescription;

// A transform that gives what it draws.
const draw: Transform = (sample, random) => ({ ...sample, features: { drawn: JSON.stringify(random().uniform()) } });
vi.mock("../../src/transforms/registry.ts", async (load) => {
  const real = await load<typeof registry>();
  const buildTransform = (description: TransformDescription) =>
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
