import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { tensor } from "../../src/core/tensor.ts";
import { FileSource } from "../../src/readers/source-file.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import type { WrittenShard } from "../../src/writers/format.ts";
import { ShardedWriter, type Splitting } from "../../src/writers/sharded.ts";
import { writableTfrecord } from "../../src/writers/tfrecord.ts";
import { sampleOf } from "./samples.ts";

const numbered = (value: number) =>
  sampleOf(`key-${value}`, { value: tensor("int64", [1], BigInt64Array.of(BigInt(value))) });

describe("ShardedWriter", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kdata-sharded-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(count: number, splitting: Splitting): readonly WrittenShard[] {
    const writer = new ShardedWriter(writableTfrecord, join(directory, "out"), splitting);
    for (let value = 0; value < count; value++) writer.write(numbered(value));
    return writer.finish();
  }

  function keysOf(shard: WrittenShard): string[] {
    const reader = tfrecord.open(shard.files.map(({ path }) => new FileSource(path)));
    const keys = [...reader.samples()].map(({ key }) => key);
    reader.close();
    return keys;
  }

  it("writes everything into one shard without a number when nothing splits it", () => {
    expect(write(5, { by: "none" }).map(({ records }) => records)).toEqual([5]);
    expect(readdirSync(directory)).toEqual(["out.tfrecord"]);
  });

  it("splits into equal parts that differ by one record at most, in order", () => {
    for (const [count, parts] of [
      [10, 3],
      [7, 7],
      [100, 9],
      [1, 1],
    ] as const) {
      const shards = write(count, { by: "parts", parts, records: count });
      const records = shards.map((shard) => shard.records);
      expect(records).toHaveLength(parts);
      expect(Math.max(...records) - Math.min(...records)).toBeLessThanOrEqual(1);
      expect(shards.flatMap(keysOf)).toEqual(Array.from({ length: count }, (_, value) => `key-${value}`));
      expect(basename(shards.at(-1)!.files[0]!.path)).toBe(`out-${String(parts - 1).padStart(5, "0")}.tfrecord`);
    }
  });

  it("never writes an empty shard", () => {
    expect(write(2, { by: "parts", parts: 5, records: 2 }).map(({ records }) => records)).toEqual([1, 1]);
    expect(write(0, { by: "parts", parts: 5, records: 0 })).toEqual([]);
    expect(write(0, { by: "bytes", bytes: 100 })).toEqual([]);
    expect(write(0, { by: "none" })).toEqual([]);
  });

  it("ends a shard with the record that reaches the size", () => {
    const [whole] = write(12, { by: "none" });
    const recordBytes = whole!.files[0]!.bytes / 12;
    const shards = write(12, { by: "bytes", bytes: Math.ceil(recordBytes * 4.5) });
    expect(shards.map(({ records }) => records)).toEqual([5, 5, 2]);
    expect(shards.flatMap(keysOf)).toEqual(Array.from({ length: 12 }, (_, value) => `key-${value}`));
  });

  it("counts records and bytes over all shards", () => {
    const writer = new ShardedWriter(writableTfrecord, join(directory, "out"), { by: "bytes", bytes: 1 });
    for (let value = 0; value < 3; value++) writer.write(numbered(value));
    const shards = writer.finish();
    expect(writer.records).toBe(3);
    expect(writer.bytes).toBe(shards.reduce((sum, { files }) => sum + files[0]!.bytes, 0));
  });

  it("keeps the finished shards and removes the one at work on abort()", () => {
    const writer = new ShardedWriter(writableTfrecord, join(directory, "out"), { by: "parts", parts: 2, records: 4 });
    for (let value = 0; value < 3; value++) writer.write(numbered(value));
    writer.abort();
    writer.abort();
    expect(readdirSync(directory)).toEqual(["out-00000.tfrecord"]);
  });

  it("refuses sizes that are no whole numbers from 1 on", () => {
    for (const splitting of [
      { by: "bytes", bytes: 0 },
      { by: "bytes", bytes: 1.5 },
      { by: "parts", parts: NaN, records: 1 },
    ] as const) {
      expect(() => new ShardedWriter(writableTfrecord, "x", splitting)).toThrow(RangeError);
    }
  });
});
