import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { compressionOf, inflateSource } from "../../src/readers/compression.ts";
import { defaultLimits, resolveLimits } from "../../src/readers/limits.ts";
import { FileSource } from "../../src/readers/source-file.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { streamSource } from "../../src/readers/source-stream.ts";
import { errorOf } from "./shards.ts";

const folder = mkdtempSync(join(tmpdir(), "kdata-source-"));
const path = join(folder, "digits");
writeFileSync(path, "0123456789");
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ["a file", () => new FileSource(path)],
  ["memory", () => new MemorySource("digits", readFileSync(path))],
])("%s is read at any position, and short only at its end", (_what, open) => {
  const source = open();
  expect(source.size).toBe(10);
  const target = new Uint8Array(4);
  expect(source.read(target, 3)).toBe(4);
  expect(Buffer.from(target).toString()).toBe("3456");
  expect(source.read(target, 8)).toBe(2);
  expect(Buffer.from(target).toString()).toBe("8956");
  expect(source.read(target, 10)).toBe(0);
  expect(source.read(new Uint8Array(0), 0)).toBe(0);
  source.close();
  source.close();
});

test("a missing file and a directory are input errors with the path", () => {
  const missing = join(folder, "missing");
  const error = errorOf(() => new FileSource(missing));
  expect(error).toMatchObject({ code: "input", at: { source: missing } });
  expect(error.message).toBe(`Cannot open input: there is no such file (${missing})`);
  expect(errorOf(() => new FileSource(folder))).toMatchObject({ code: "input", at: { source: folder } });
});

test("a closed file is a mistake of the program", () => {
  const source = new FileSource(path);
  source.close();
  expect(() => source.read(new Uint8Array(1), 0)).toThrow(TypeError);
});

test("limits that are not named are the default ones, and those that are no numbers of bytes are refused", () => {
  expect(resolveLimits()).toEqual(defaultLimits);
  expect(resolveLimits({ recordBytes: 5 })).toEqual({ ...defaultLimits, recordBytes: 5 });
  for (const recordBytes of [-1, 0.5, NaN, Infinity]) expect(() => resolveLimits({ recordBytes })).toThrow(RangeError);
});

const text = Buffer.from("some text ".repeat(1000));
const gzip = gzipSync(text);

test("a gzip file of one or more members, with or without padding, inflates to what was deflated", () => {
  expect(compressionOf(gzip)).toBe("gzip");
  expect(compressionOf(text)).toBeUndefined();
  expect(inflate(gzip)).toEqual(text);
  expect(inflate(Buffer.concat([gzip, gzip]))).toEqual(Buffer.concat([text, text]));
  expect(inflate(Buffer.concat([gzip, Buffer.alloc(100)]))).toEqual(text);
});

test("a gzip file cut at any byte is truncated", () => {
  for (let end = 0; end < gzip.length; end++) {
    const error = errorOf(() => inflate(gzip.subarray(0, end)));
    expect(error).toMatchObject({ code: "truncated", at: { source: "a.gz", byte: end } });
  }
});

test("a gzip file with any bit flipped inflates to the same bytes or is an error", () => {
  for (let bit = 0; bit < 8 * gzip.length; bit++) {
    const flipped = Buffer.from(gzip);
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    try {
      expect(inflate(flipped).equals(text)).toBe(true);
    } catch (error) {
      expect(error).toBeInstanceOf(KdataError);
    }
  }
  const trailer = Buffer.from(gzip);
  trailer[trailer.length - 8]! ^= 1;
  expect(errorOf(() => inflate(trailer))).toMatchObject({ code: "checksum" });
});

test("bytes behind a gzip file are an error, also behind its padding", () => {
  expect(errorOf(() => inflate(Buffer.concat([gzip, Buffer.from("xx")])))).toMatchObject({ code: "format" });
  const padded = Buffer.concat([gzip, Buffer.alloc(5), Buffer.from("x")]);
  expect(errorOf(() => inflate(padded))).toMatchObject({ code: "format", at: { byte: gzip.length + 5 } });
});

test("a gzip file that inflates over the limit is refused", () => {
  expect(inflate(gzip, text.length)).toEqual(text);
  expect(errorOf(() => inflate(gzip, text.length - 1))).toMatchObject({ code: "limit" });
  expect(errorOf(() => inflate(gzip, gzip.length - 1))).toMatchObject({ code: "limit" });
});

test("a stream gives its chunks, and its errors with a code and the cause", async () => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamSource("-", Readable.from([Buffer.from("a"), Buffer.from("b")])).chunks) {
    chunks.push(chunk);
  }
  expect(Buffer.concat(chunks).toString()).toBe("ab");
  const cause = new Error("the pipe broke");
  const broken = new Readable({
    read() {
      this.destroy(cause);
    },
  });
  const failure: unknown = await readAll(streamSource("-", broken).chunks).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "input", at: { source: "-" }, cause });
  await expect(readAll(streamSource("-", Readable.from(["text"])).chunks)).rejects.toThrow(TypeError);
});

test("a stream that is left early is let go of", async () => {
  const stream = Readable.from([Buffer.from("a"), Buffer.from("b")]);
  for await (const chunk of streamSource("-", stream).chunks) {
    expect(chunk).toHaveLength(1);
    break;
  }
  expect(stream.destroyed).toBe(true);
});

function inflate(bytes: Uint8Array, inflatedBytes = defaultLimits.inflatedBytes): Buffer {
  const source = inflateSource(new MemorySource("a.gz", bytes), "gzip", { ...defaultLimits, inflatedBytes });
  return Buffer.from(source.bytes);
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) expect(chunk).toBeInstanceOf(Uint8Array);
}
