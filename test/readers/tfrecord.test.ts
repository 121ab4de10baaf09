import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { copySample } from "../../src/core/sample.ts";
import { maskedCrc32c } from "../../src/readers/crc32c.ts";
import type { ReadOptions } from "../../src/readers/format.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { describeSample, expectedSamples } from "./expected.ts";
import { countingSource, errorOf, openBytes, readBackwards, readInOrder, readStream } from "./shards.ts";

const folder = "fixtures/tfrecord";
const files = ["kinds", "wire", "notes", "rows"].map((stem) => `${folder}/${stem}.tfrecord`);
const rows = readFileSync(`${folder}/rows.tfrecord`);
const ROW_BYTES = rows.length / 12;

describe.each(files)("%s", (path) => {
  const bytes = readFileSync(path);
  const expected = expectedSamples(path);

  test("is detected by its content", () => {
    expect(tfrecord.detect(bytes.subarray(0, 4096))).toBe(true);
  });

  test("reads as TensorFlow reads it, in order and by number", () => {
    expect(readInOrder(tfrecord, bytes, path)).toEqual(expected);
    expect(readBackwards(tfrecord, bytes, path)).toEqual(expected);
  });

  test.each([1, 7, 4096])("reads as TensorFlow reads it from a stream in chunks of %i bytes", async (chunkBytes) => {
    expect(await readStream(tfrecord, bytes, path, chunkBytes)).toEqual(expected);
  });

  test("cut at any byte gives the samples before the cut, and an error unless it is between two", async () => {
    const reader = openBytes(tfrecord, bytes, path);
    const { offsets } = reader.index()!;
    for (let end = 0; end < bytes.length; end++) {
      const cut = bytes.subarray(0, end);
      const whole = offsets.findLastIndex((start) => start <= end);
      if (offsets[whole] === end) {
        expect(readInOrder(tfrecord, cut, path)).toHaveLength(whole);
        continue;
      }
      const error = errorOf(() => readInOrder(tfrecord, cut, path));
      expect(error).toMatchObject({ code: "truncated", at: { source: path, record: whole, byte: end } });
      expect(errorOf(() => openBytes(tfrecord, cut, path).count())).toMatchObject({ code: "truncated", at: error.at });
      if (end % 16 === 0) {
        await expect(readStream(tfrecord, cut, path, 64)).rejects.toMatchObject({ code: "truncated", at: error.at });
      }
    }
  });

  test("with any single bit flipped never gives other samples", () => {
    const { offsets } = openBytes(tfrecord, bytes, path).index()!;
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const record = offsets.findLastIndex((start) => start <= bit >>> 3);
      const error = errorOf(() => readInOrder(tfrecord, flipped, path));
      expect(error).toMatchObject({ code: "checksum", at: { source: path, record } });
    }
  });
});

test("a flipped bit is reported with file, record and the byte of the part whose checksum fails", () => {
  const flipped = Buffer.from(rows);
  flipped[3 * ROW_BYTES + 20]! ^= 4;
  expect(errorOf(() => readInOrder(tfrecord, flipped, "a.tfrecord")).message).toBe(
    `Cannot read tfrecord: the data checksum does not match (a.tfrecord, record 3, byte ${3 * ROW_BYTES + 12})`,
  );
  flipped[5 * ROW_BYTES + 1]! ^= 4;
  expect(errorOf(() => openBytes(tfrecord, flipped, "a.tfrecord").count()).message).toBe(
    `Cannot read tfrecord: the length checksum does not match (a.tfrecord, record 5, byte ${5 * ROW_BYTES})`,
  );
});

test("an empty file is a shard without records", async () => {
  const empty = new Uint8Array(0);
  expect(readInOrder(tfrecord, empty, "a.tfrecord")).toEqual([]);
  expect(openBytes(tfrecord, empty, "a.tfrecord").count()).toBe(0);
  expect(await readStream(tfrecord, empty, "a.tfrecord", 8)).toEqual([]);
  expect(tfrecord.detect(empty)).toBe(false);
});

test("a length over the limit is refused before anything is read", async () => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(2n ** 63n, 0);
  bytes.writeUInt32LE(maskedCrc32c(new DataView(bytes.buffer, bytes.byteOffset, 8)), 8);
  const expected = { code: "limit", at: { record: 0, byte: 0 } };
  expect(errorOf(() => readInOrder(tfrecord, bytes, "a.tfrecord"))).toMatchObject(expected);
  await expect(readStream(tfrecord, bytes, "a.tfrecord", 16)).rejects.toMatchObject(expected);
  const options: ReadOptions = { limits: { recordBytes: ROW_BYTES - 17 } };
  expect(errorOf(() => openBytes(tfrecord, rows, "a.tfrecord", options).count())).toMatchObject(expected);
  expect(openBytes(tfrecord, rows, "a.tfrecord", { limits: { recordBytes: ROW_BYTES - 16 } }).count()).toBe(12);
});

test("an index made earlier spares the scan, and one of another file is noticed", () => {
  const index = openBytes(tfrecord, rows, "rows.tfrecord").index()!;
  expect(index.offsets.buffer).toBeInstanceOf(SharedArrayBuffer);
  const source = countingSource("rows.tfrecord", rows);
  const reader = tfrecord.open([source], { index });
  expect(reader.count()).toBe(12);
  expect(source.bytesRead).toBe(0);
  expect(describeSample(reader.read(11))).toEqual((expectedSamples(`${folder}/rows.tfrecord`) as unknown[])[11]);
  expect(source.bytesRead).toBe(ROW_BYTES);
  const other = openBytes(tfrecord, rows.subarray(0, 2 * ROW_BYTES), "rows.tfrecord", { index });
  expect(errorOf(() => other.read(7))).toMatchObject({ code: "state", at: { record: 7 } });
  const kinds = openBytes(tfrecord, readFileSync(`${folder}/kinds.tfrecord`), "kinds.tfrecord", { index });
  expect(errorOf(() => kinds.read(0))).toMatchObject({ code: "state" });
});

test("counting jumps over the payloads of large records", () => {
  const payload = Buffer.alloc(100_000);
  const bytes = Buffer.concat(Array.from({ length: 20 }, () => frame(payload)));
  const source = countingSource("a.tfrecord", bytes);
  expect(tfrecord.open([source]).count()).toBe(20);
  // The first read is a large one: the file might have held small records.
  expect(source.bytesRead).toBeLessThan(2 ** 19 + 20 * 4096);
});

test("a record that does not exist is a RangeError", () => {
  const reader = openBytes(tfrecord, rows, "rows.tfrecord");
  for (const record of [-1, 12, 0.5, NaN]) expect(() => reader.read(record)).toThrow(RangeError);
});

test("records larger than the buffer are read whole, among small ones", async () => {
  const value = Buffer.alloc(1_500_000, "0123456789");
  const list = field(1, field(1, value));
  const large = frame(field(1, field(1, Buffer.concat([field(1, Buffer.from("x")), field(2, list)]))));
  const bytes = Buffer.concat([rows, large, rows, large]);
  const reader = openBytes(tfrecord, bytes, "a.tfrecord");
  const samples = Array.from(reader.samples(), copySample);
  expect(samples).toHaveLength(26);
  expect(Buffer.compare(samples[12]!.features["x"] as Uint8Array, value)).toBe(0);
  expect(Buffer.compare(samples[25]!.features["x"] as Uint8Array, value)).toBe(0);
  expect(samples.map(describeSample)).toEqual(await readStream(tfrecord, bytes, "a.tfrecord", 65_536));
  expect(describeSample(reader.read(24))).toEqual(describeSample(samples[24]!));
});

/** Frames a payload as the specification says it. */
function frame(payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(payload.length + 16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setBigUint64(0, BigInt(payload.length), true);
  view.setUint32(8, maskedCrc32c(view, 0, 8), true);
  bytes.set(payload, 12);
  view.setUint32(12 + payload.length, maskedCrc32c(view, 12, 12 + payload.length), true);
  return bytes;
}

function field(number: number, content: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = content.length;
  for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
}
