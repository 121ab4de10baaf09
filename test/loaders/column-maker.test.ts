import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { defaultKey, type Features } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { BatchMaker } from "../../src/loaders/batch-maker.ts";
import { startStack, viewColumns, type CollatedBatch } from "../../src/loaders/collate.ts";
import { ColumnMaker } from "../../src/loaders/column-maker.ts";
import { describeDataset, recordCount, type Dataset } from "../../src/loaders/dataset.ts";
import { epochOrder } from "../../src/loaders/order.ts";
import { RecordReader } from "../../src/loaders/record-reader.ts";
import { buildTransform, cast, normalize, reshape, select } from "../../src/transforms/index.ts";
import type { SampleTransformDescription } from "../../src/transforms/registry.ts";
import { chainTransforms } from "../../src/transforms/transform.ts";
import { writableFormatByName } from "../../src/writers/index.ts";

let folder: string;
let dataset: Dataset;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kdata-columns-"));
  for (const shard of ["a", "b", "c"]) write(shard, 17, (record) => featuresOf(record));
  dataset = await describeDataset(join(folder, "*.tfrecord"), {});
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function featuresOf(record: number): Features {
  return {
    image: tensor(
      "uint8",
      [2, 2, 3],
      Uint8Array.from({ length: 12 }, (_, i) => (record * 31 + i * 7) & 255),
    ),
    label: tensor("uint8", [], Uint8Array.of(record % 10)),
    big: tensor("int64", [2], BigInt64Array.of(-(2n ** 63n) + BigInt(record), 2n ** 53n + 1n)),
    x: tensor("float32", [3], Float32Array.of(record / 3, NaN, -0)),
  };
}

function write(shard: string, count: number, features: (record: number) => Features): void {
  const writer = writableFormatByName("tfrecord").create(join(folder, shard));
  for (let record = 0; record < count; record++) {
    const origin = { source: `${shard}.tfrecord`, record };
    writer.write({ key: record === 5 ? "own key" : defaultKey(origin), origin, features: features(record) });
  }
  writer.finish();
}

/** The batch made sample by sample. */
function bySamples(
  from: Dataset,
  transforms: readonly SampleTransformDescription[],
  records: readonly number[],
): CollatedBatch {
  const reader = new RecordReader(from);
  const pipeline = chainTransforms(transforms.map(buildTransform), 7);
  const stack = startStack(records.length, (byteLength) => new ArrayBuffer(byteLength));
  for (const record of records) stack.add(pipeline(reader.read(record), 0, record)!);
  reader.close();
  return stack.finish();
}

/** Shapes, dtypes, keys and every bit. */
function describeBatch(batch: CollatedBatch): unknown {
  const features = Object.entries(viewColumns(batch)).map(([name, column]) => {
    if (!("dtype" in column)) return [name, column];
    const { dtype, shape, data } = column;
    return [name, dtype, shape, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")];
  });
  return { keys: batch.keys, features };
}

const chains: [string, readonly SampleTransformDescription[]][] = [
  ["no transform", []],
  ["select", [select({ b: "big", a: "image", c: "image" })]],
  [
    "select and normalize by channel",
    [select(["image"]), normalize("image", { mean: [1, 2, 3], std: [0.3, 0.2, 0.1] })],
  ],
  [
    "normalize, cast and reshape",
    [normalize("image", { scale: 1 / 255 }), cast("label", "int32"), reshape("image", [-1, 3])],
  ],
  [
    "reshape to a scalar's neighbour and cast to half",
    [reshape("label", [1]), cast("x", "float16"), cast("big", "float32")],
  ],
];

describe.each(chains)("with %s", (_what, transforms) => {
  test("a batch of columns is bit for bit the batch of its samples, in any order", () => {
    const maker = ColumnMaker.create(new RecordReader(dataset), transforms)!;
    const recordAt = epochOrder({ records: recordCount(dataset), shuffle: true, seed: 3, epoch: 0 });
    const shuffled = Array.from({ length: 40 }, (_, position) => recordAt(position));
    for (const records of [[0, 1, 2, 3, 4, 5], [15, 16, 17, 18], [50, 0, 50], shuffled]) {
      const made = maker.make(Float64Array.from(records), (byteLength) => new SharedArrayBuffer(byteLength));
      expect(made).toBeDefined();
      expect(describeBatch(made!.batch)).toEqual(describeBatch(bySamples(dataset, transforms, records)));
    }
  });
});

test.each<[string, readonly SampleTransformDescription[], string]>([
  ["a number that does not fit", [cast("big", "int32")], "Cannot cast 'big' to int32"],
  [
    "a scalar and a list of channels",
    [normalize("label", { mean: Array.from({ length: 4 }, () => 1) })],
    "Cannot normalize",
  ],
  ["a shape that is not filled", [reshape("image", [5])], "Cannot reshape 'image': [2, 2, 3]"],
  ["a feature that is not there", [select(["nothing"])], "nothing"],
])("%s is the error of its sample", (_what, transforms, message) => {
  const recipe = { dataset, transforms, shuffle: false, seed: 7, makers: 1 };
  const job = { epoch: 0, step: 0, start: 0, size: 4, globalStart: 0, padded: 0 };
  const make = (): unknown => new BatchMaker(recipe).make(job, (byteLength) => new ArrayBuffer(byteLength));
  expect(make).toThrow(message);
  expect(make).toThrow(/a[.]tfrecord, record 0/);
});

test("samples that differ are the error that they are sample by sample", async () => {
  write("uneven", 6, (record) => ({
    x: tensor("float32", [record === 4 ? 2 : 3], new Float32Array(record === 4 ? 2 : 3)),
  }));
  const uneven = await describeDataset(join(folder, "uneven.tfrecord"), {});
  const maker = new BatchMaker({ dataset: uneven, transforms: [], shuffle: false, seed: 0, makers: 1 });
  const allocate = (byteLength: number): ArrayBuffer => new ArrayBuffer(byteLength);
  const first = maker.make({ epoch: 0, step: 0, start: 0, size: 4, globalStart: 0, padded: 0 }, allocate);
  expect(describeBatch(first)).toEqual(describeBatch(bySamples(uneven, [], [0, 1, 2, 3])));
  expect(() => maker.make({ epoch: 0, step: 1, start: 3, size: 3, globalStart: 3, padded: 0 }, allocate)).toThrow(
    "Cannot collate 'x': float32 [2] in sample uneven/4, float32 [3] in sample uneven/3",
  );
  maker.close();
});

test("a damaged record is the same error with and without columns", async () => {
  write("damaged", 4, featuresOf);
  const path = join(folder, "damaged.tfrecord");
  const damagedSet = await describeDataset(path, {});
  const content = readFileSync(path);
  content[content.length - 6]! ^= 1;
  writeFileSync(path, content);
  const maker = new BatchMaker({ dataset: damagedSet, transforms: [], shuffle: false, seed: 0, makers: 1 });
  const job = { epoch: 0, step: 0, start: 0, size: 4, globalStart: 0, padded: 0 };
  expect(() => maker.make(job, (byteLength) => new ArrayBuffer(byteLength))).toThrow(
    /the data checksum does not match [(].*damaged[.]tfrecord, record 3/,
  );
  maker.close();
});

test("a bad record is left out of its batch, and the ones after it are made of columns all the same", async () => {
  write("skipped", 12, featuresOf);
  const path = join(folder, "skipped.tfrecord");
  const skipped = await describeDataset(path, {});
  const content = readFileSync(path);
  const recordBytes = content.length / 12;
  content[Math.floor(recordBytes * 2.5)]! ^= 1;
  writeFileSync(path, content);
  const recipe = { dataset: skipped, transforms: [], shuffle: false, seed: 7, makers: 1, skipsBad: true };
  const maker = new BatchMaker(recipe);
  const make = (start: number) =>
    maker.make(
      { epoch: 0, step: start / 4, start, size: 4, globalStart: start, padded: 0 },
      (byteLength) => new ArrayBuffer(byteLength),
    );
  const first = make(0);
  expect(describeBatch(first)).toEqual(describeBatch(bySamples(skipped, [], [0, 1, 3])));
  expect(first.account).toMatchObject({ read: 4, filtered: 0, failures: [{ position: 2, record: 2, key: undefined }] });
  const read = vi.spyOn(RecordReader.prototype, "read");
  expect(describeBatch(make(8))).toEqual(describeBatch(bySamples(skipped, [], [8, 9, 10, 11])));
  expect(read.mock.calls.length).toBe(4); // those of the comparison: the maker itself has read none by itself
  read.mockRestore();
  maker.close();
});

test("a feature spec and a selection reach the reader", async () => {
  const selected = await describeDataset(join(folder, "[abc].tfrecord"), { features: ["label", "x"] });
  const maker = ColumnMaker.create(new RecordReader(selected), [])!;
  const made = maker.make(Float64Array.of(3, 20), (byteLength) => new ArrayBuffer(byteLength));
  expect(made!.batch.columns.map(({ name }) => name)).toEqual(["label", "x"]);
  expect(describeBatch(made!.batch)).toEqual(describeBatch(bySamples(selected, [], [3, 20])));
});
