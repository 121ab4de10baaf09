// A sample that is bad is left out on request, is reported, and moves no other sample.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { convert, convertToStream, type ConvertOptions, type SkippedSample } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import type { Feature } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { writableFormatByName } from "../../src/writers/index.ts";
import { sampleOf } from "../writers/samples.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kdata-skip-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const at = (...parts: readonly string[]) => join(directory, ...parts);

describe("onError: skip", () => {
  it.each(["tfrecord", "webdataset", "npy"])(
    "leaves bad records out of %s, and every other one in its shard",
    async (to) => {
      writeRows("a", 10);
      writeRows("b", 11);
      await convert(at("*.tfrecord"), { to, output: at("whole"), shards: 3 });
      flipPayload("a", 3);
      flipPayload("b", 0);
      flipPayload("b", 10);
      const report = await skipping({ to, output: at("out"), shards: 3 });
      expect([report.records, report.skipped]).toEqual([18, 3]);
      expect(reported()).toEqual(
        [
          [at("a.tfrecord"), 3],
          [at("b.tfrecord"), 0],
          [at("b.tfrecord"), 10],
        ].map(([source, record]) => expect.objectContaining({ source, record, code: "checksum" }) as SkippedSample),
      );
      expect(reported().every(({ byte }) => Number.isInteger(byte))).toBe(true);
      const bad = ["a/3", "b/0", "b/10"];
      for (const shard of ["00000", "00001", "00002"]) {
        const whole = await keysOf(at(`whole/data-${shard}*`));
        expect(await keysOf(at(`out/data-${shard}*`))).toEqual(whole.filter((key) => !bad.includes(key)));
      }
    },
  );

  it("leaves out what the output refuses, a first sample included, and leaves nothing partial", async () => {
    const value = (shape: readonly number[]) =>
      tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    write("rows", [
      { a: value([2]), b: { json: {} } }, // NPY has no JSON
      { a: value([2]), b: "ends in NUL\0" },
      { a: value([3]), b: "first" },
      { a: value([2]), b: "other shape" },
      { a: value([3]), b: "second" },
      { b: "a is missing" },
    ]);
    const report = await skipping({ to: "npy", output: at("out") });
    expect([report.records, report.skipped]).toEqual([2, 4]);
    expect(readdirSync(at("out")).filter((name) => !name.endsWith(".json"))).toEqual([
      "rows.__key__.npy",
      "rows.a.npy",
      "rows.b.npy",
    ]);
    expect(await keysOf(at("out/*.npy"))).toEqual(["rows/2", "rows/4"]);
    expect(reported().map(({ record, code }) => [record, code])).toEqual([0, 1, 3, 5].map((n) => [n, "shape"]));
  });

  it.each([{}, { shardSize: 1 }, { shards: 2 }])(
    "makes no empty shard of samples that are all refused: %j",
    async (splitting) => {
      write("rows", [{ a: { json: 1 } }, { a: { json: 2 } }]);
      const options = { to: "npy", output: at("out"), ...splitting };
      const report = await skipping(options);
      expect([report.records, report.shards, report.skipped]).toEqual([0, [], 2]);
      expect(reported().map(({ record }) => record)).toEqual([0, 1]);
      const again = await skipping({ ...options, ifExists: "resume" });
      expect([again.records, again.skipped, reported().length]).toEqual([0, 0, 2]);
    },
  );

  it("still fails where the framing is damaged", async () => {
    writeRows("a", 5);
    const bytes = readFileSync(at("a.tfrecord"));
    writeFileSync(at("a.tfrecord"), bytes.subarray(0, bytes.length - 1));
    await expect(skipping({ to: "tfrecord", output: at("out") })).rejects.toThrow(
      expect.objectContaining({ code: "truncated" }) as KdataError,
    );
  });

  it("reports all of a conversion that is resumed, in the order of the input", async () => {
    writeRows("a", 10);
    for (const record of [1, 5, 9]) flipPayload("a", record);
    const options = { to: "webdataset", output: at("out"), shards: 3 };
    await skipping(options);
    const [report, whole] = [reported(), readFileSync(at("out/a-00000.tar"))];
    expect(report.map(({ record }) => record)).toEqual([1, 5, 9]);
    rmSync(at("out/a-00000.tar"));
    const resumed = await skipping({ ...options, ifExists: "resume" });
    expect([resumed.resumed, resumed.records, resumed.skipped]).toEqual([2, 2, 1]);
    expect(reported()).toEqual(report);
    expect(readFileSync(at("out/a-00000.tar")).equals(whole)).toBe(true);
  });

  it("works into a stream", async () => {
    writeRows("a", 4);
    flipPayload("a", 2);
    const chunks: Uint8Array[] = [];
    const write = (bytes: Uint8Array) => Promise.resolve(void chunks.push(bytes));
    const report = await convertToStream(at("a.tfrecord"), write, { to: "webdataset", onError: "skip" });
    expect([report.records, report.skipped]).toEqual([3, 1]);
    writeFileSync(at("streamed.tar"), Buffer.concat(chunks));
    expect(await keysOf(at("streamed.tar"))).toEqual(["a/0", "a/1", "a/3"]);
  });
});

function skipping(options: ConvertOptions): ReturnType<typeof convert> {
  return convert(at("*.tfrecord"), { ...options, onError: "skip", report: at("report.jsonl") });
}

function reported(): SkippedSample[] {
  const lines = readFileSync(at("report.jsonl"), "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as SkippedSample);
}

function writeRows(stem: string, count: number): void {
  write(
    stem,
    Array.from({ length: count }, (_, row) => ({ value: tensor("int64", [], BigInt64Array.of(BigInt(row))) })),
  );
}

function write(stem: string, rows: readonly Readonly<Record<string, Feature>>[]): void {
  const writer = writableFormatByName("tfrecord").create(at(stem));
  for (const [row, features] of rows.entries()) writer.write(sampleOf(`${stem}/${row}`, features));
  writer.finish();
}

/** Flips a bit in the payload of one record. */
function flipPayload(stem: string, record: number): void {
  const path = at(`${stem}.tfrecord`);
  const bytes = readFileSync(path);
  let position = 0;
  for (let before = 0; before < record; before++) position += 16 + Number(bytes.readBigUInt64LE(position));
  bytes[position + 14] = (bytes[position + 14] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

async function keysOf(spec: string): Promise<string[]> {
  const { format, shards } = await findDataset(spec);
  return shards.flatMap((shard) => {
    const reader = openShard(format, shard);
    const keys = [...reader.samples()].map(({ key }) => key);
    reader.close();
    return keys;
  });
}
