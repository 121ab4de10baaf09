// What the fixtures do not show of JSON Lines: what is refused and where, limits, and streams.

import { expect, test } from "vitest";
import { jsonl } from "../../src/readers/jsonl.ts";
import { describeSample } from "./expected.ts";
import { countingSource, errorOf, openBytes, readBackwards, readInOrder, readStream } from "./shards.ts";

function refusal(text: string | Uint8Array): readonly unknown[] {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const { code, reason, at } = errorOf(() => readInOrder(jsonl, bytes, "a.jsonl"));
  return [code, reason.replace("Cannot read jsonl: ", ""), at?.record, at?.byte];
}

test("a refusal names record and byte", () => {
  expect(refusal('{"a":1}\n\n{"a":2}\n')).toEqual(["format", "the line is empty", 1, 8]);
  expect(refusal('{"a":1}\n  \n')).toEqual(["format", "the line is empty", 1, 10]);
  expect(refusal("[1]\n")).toEqual(["format", 'the line is no object: it begins with "[1]"', 0, 0]);
  expect(refusal('{"é":1}\n{"é" 1}\n')).toEqual(["format", '"1" stands where ":" should be', 1, 15]);
  expect(refusal('{"a":1} {"a":2}\n')).toEqual(["format", '"{" stands where the end should be', 0, 8]);
  expect(refusal('{"a":1}\n{"a":1,"a":2}\n')).toEqual(["format", 'the name "a" comes twice', 1, 19]);
  expect(refusal('{"__key__":7}\n')).toEqual(["format", '"7" stands where a string should be', 0, 11]);
  expect(refusal('\ufeff{"a":1}\n')[1]).toContain("byte order mark");
  expect(refusal(Buffer.concat([Buffer.from('{"a":"é'), Uint8Array.of(0xff), Buffer.from('"}\n')]))).toEqual([
    "format",
    "the line is not UTF-8",
    0,
    8,
  ]);
});

test("a line that is cut is truncated, but only the last one can be", () => {
  expect(refusal('{"a":1}\n{"a":')).toEqual(["truncated", "the file ends inside a line", 1, 13]);
  expect(refusal('{"a":"b')).toEqual(["truncated", "the file ends inside a line", 0, 7]);
  expect(refusal('{"a":tr')).toEqual(["truncated", "the file ends inside a line", 0, 7]);
  expect(refusal('{"a":\n{"a":1}\n')).toEqual(["format", "it ends where a value should be", 0, 5]);
});

test("objects that stand for features are held to what they declare", () => {
  const x = (stored: string) => String(refusal(`{"x":${stored}}\n`));
  expect(x('{"$bytes":"AP8"}')).toContain("not base64");
  expect(x('{"$bytes":3172,"crc32c":"9f1c2a77"}')).toContain("format");
  expect(x('{"$tensor":"uint8","data":[256]}')).toContain("256 is no uint8");
  expect(x('{"$tensor":"uint8","data":[1.0]}')).toContain("a fraction");
  expect(x('{"$tensor":"float32","data":1e39}')).toContain("is no float32");
  expect(x('{"$tensor":"float8","data":1}')).toContain("no dtype");
  expect(x('{"$tensor":"uint8","data":[[1],[2,3]]}')).toContain("no regular arrays");
  expect(x('{"$tensor":"uint8","shape":[9007199254740991,9007199254740991],"base64":""}')).toContain("do not fill");
  expect(x('{"$tensor":"bool","shape":[1],"base64":"Ag=="}')).toContain("neither 0 nor 1");
  expect(x('{"$tensor":"uint8","$tensor":"uint8","data":1}')).toContain("comes twice");
  expect(x('{"$json":1,"more":2}')).toContain("does not belong");
});

test("a line longer than the limit is refused before it is in memory", async () => {
  const limits = { recordBytes: 100 };
  const line = (length: number) => Buffer.from(`{"a":"${"x".repeat(length - 8)}"}\n`);
  expect(readInOrder(jsonl, line(100), "a", { limits })).toHaveLength(1);
  expect(errorOf(() => readInOrder(jsonl, line(101), "a", { limits })).code).toBe("limit");
  await expect(readStream(jsonl, line(101), "a", 7, { limits })).rejects.toMatchObject({ code: "limit" });
});

test("lines longer than any window come whole, in order, by number and from a stream", async () => {
  const rows = [10, 3_000_000, 1, 700_000, 0].map((length) => ({ text: "ü".repeat(length) }));
  const bytes = Buffer.from(rows.map((row) => JSON.stringify(row)).join("\r\n"));
  const expected = readInOrder(jsonl, bytes, "a.jsonl");
  expect(expected.map((sample) => (sample as { features: { text: { value: string } } }).features.text.value)).toEqual(
    rows.map(({ text }) => text),
  );
  expect(readBackwards(jsonl, bytes, "a.jsonl")).toEqual(expected);
  expect(await readStream(jsonl, bytes, "a.jsonl", 65_536)).toEqual(expected);
});

test("an index of another file is refused", () => {
  const index = openBytes(jsonl, Buffer.from('{"a":1}\n{"a":2}\n'), "a").index()!;
  const reader = openBytes(jsonl, Buffer.from('{"abc":1}\n{"a":2}\n'), "a", { index });
  expect(errorOf(() => reader.read(0)).code).toBe("state");
});

test("only objects are detected", () => {
  const isJsonl = (text: string) => jsonl.detect(Buffer.from(text));
  expect(['{"a":1}\n', "{}", '{"a', '{"a":12345678901234567890}\n', '\ufeff{"a":1}\n'].every(isJsonl)).toBe(true);
  expect(["", "\n", "[1]\n", "{a:1}\n", '{"a":1}x\n', "{\n", "function () {}", '"a"\n'].some(isJsonl)).toBe(false);
});

test("lines of different lengths are the same by number, in any order, also in a file of many windows", () => {
  const text = Array.from({ length: 400 }, (_, n) => `{"n":${n},"text":"${"x".repeat((n * 7) % 61)}"}\n`).join("");
  const inOrder = readInOrder(jsonl, Buffer.from(text), "a.jsonl");
  const reader = jsonl.open([countingSource("a.jsonl", Buffer.from(text))]); // one that is read in pieces
  for (const stride of [1, 399, 7]) {
    for (let i = 0; i < 400; i++) {
      const record = (i * stride) % 400;
      expect(describeSample(reader.read(record))).toEqual(inOrder[record]);
    }
  }
  reader.close();
});
