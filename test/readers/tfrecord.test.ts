import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { copySample, type Sample } from "../../src/core/sample.ts";
import type { ReadOptions, ShardReader } from "../../src/readers/format.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { streamSource } from "../../src/readers/source-stream.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { describeSample, expectedSamples } from "./expected.ts";

const folder = "fixtures/tfrecord";
const files = ["kinds", "wire", "notes", "rows"].map((stem) => `${folder}/${stem}.tfrecord`);

test.each(files)("reads %s as TensorFlow does: in order, by number and as a stream", async (path) => {
  const bytes = readFileSync(path);
  const expected = expectedSamples(path) as unknown[];
  const reader = open(bytes, path);
  expect([...reader.samples()].length).toBe(expected.length);
  expect(Array.from(reader.samples(), describeSample)).toEqual(expected);
  expect(reader.count()).toBe(expected.length);
  const backwards = expected.map((_, i) => describeSample(reader.read(expected.length - 1 - i)));
  expect(backwards.reverse()).toEqual(expected);
  for (const size of [1, 7, 4096]) {
    const streamed: unknown[] = [];
    const source = streamSource(path, chunksOf(bytes, size));
    for await (const sample of tfrecord.stream!(source)) streamed.push(describeSample(sample));
    expect(streamed).toEqual(expected);
  }
});

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    yield await Promise.resolve(new Uint8Array(bytes.subarray(start, start + size)));
  }
}
function open(bytes: Uint8Array, name = "memory.tfrecord", options?: ReadOptions): ShardReader {
  return tfrecord.open([new MemorySource(name, bytes)], options);
}
