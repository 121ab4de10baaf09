import { readFileSync } from "node:fs";
import { deflateRawSync, crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { ReadOptions, ShardReader } from "../../src/readers/format.ts";
import { formatNpyHeader } from "../../src/readers/npy-header.ts";
import { npz } from "../../src/readers/npz.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { countingSource, errorOf } from "./shards.ts";

const folder = "fixtures/npz";
const stored = readFileSync(`${folder}/stored.npz`);
const deflated = readFileSync(`${folder}/deflated.npz`);

/** Fields of headers, by their offset: of local ones, of entries in the directory, of the end record. */
const LOCAL_FLAGS = 6;
const ENTRY_FLAGS = 8;
const ENTRY_SIZE = 24;
const ENTRY_START = 42;
const END_ENTRIES = 10;
const END_BYTES = 12;
const END_START = 16;

function open(bytes: Uint8Array, options?: ReadOptions): ShardReader {
  return npz.open([new MemorySource("a.npz", bytes)], options);
}

/** Copies an archive with one number changed. */
function changed(bytes: Buffer, position: number, length: 2 | 4, value: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUIntLE(value, position, length);
  return copy;
}

function endOf(bytes: Buffer): number {
  return bytes.lastIndexOf("PK\x05\x06", undefined, "latin1");
}

/** The start of the first entry of the directory. */
function entryOf(bytes: Buffer): number {
  return bytes.readUInt32LE(endOf(bytes) + END_START);
}

describe("members that cannot be read", () => {
  test.each([
    ["bzip2", "unsupported", "method 12"],
    ["twice", "format", "twice"],
    ["text", "unsupported", "notes.txt"],
  ])("%s.npz is refused with the reason", (name, code, reason) => {
    const error = errorOf(() => open(readFileSync(`${folder}/refused/${name}.npz`)));
    expect(error).toMatchObject({ code, at: { source: "a.npz" } });
    expect(error.reason).toContain(reason);
  });

  test.each([0x1, 0x40, 0x2000])("encrypted ones (flags %i) are refused", (flags) => {
    const error = errorOf(() => open(changed(stored, entryOf(stored) + ENTRY_FLAGS, 2, flags)));
    expect(error).toMatchObject({ code: "unsupported", at: { source: "a.npz", byte: entryOf(stored) } });
    expect(errorOf(() => open(changed(stored, LOCAL_FLAGS, 2, flags)))).toMatchObject({ code: "format" });
  });

  test("several archives in one are refused", () => {
    const end = endOf(stored);
    expect(errorOf(() => open(changed(stored, end + 4, 2, 1)))).toMatchObject({ code: "unsupported" });
  });
});

describe("a damaged archive", () => {
  test("with another byte in a stored array says which member", () => {
    const at = stored.indexOf("x.npy") + 200;
    const damaged = changed(stored, at, 2, stored.readUInt16LE(at) ^ 1);
    const error = errorOf(() => open(damaged));
    expect(error).toMatchObject({ code: "checksum", at: { source: "a.npz" } });
    expect(error.reason).toContain("x.npy");
  });

  test("with another checksum of a deflated array says which member", () => {
    const at = entryOf(deflated) + 16;
    const local = deflated.readUInt32LE(entryOf(deflated) + ENTRY_START) + 14;
    const both = changed(changed(deflated, at, 4, 1), local, 4, 1);
    expect(errorOf(() => open(changed(deflated, at, 4, 1)))).toMatchObject({ code: "format" });
    expect(errorOf(() => open(both))).toMatchObject({ code: "checksum" });
  });

  test("without its end is truncated", () => {
    const error = errorOf(() => open(stored.subarray(0, stored.length - 1)));
    expect(error).toMatchObject({ code: "truncated", at: { source: "a.npz", byte: stored.length - 1 } });
  });

  test("with something in front, behind or before the directory is refused", () => {
    expect(errorOf(() => open(Buffer.concat([Buffer.from("junk"), stored])))).toMatchObject({ code: "format" });
    expect(errorOf(() => open(Buffer.concat([stored, Buffer.from("junk")])))).toMatchObject({ code: "truncated" });
    const gap = Buffer.concat([stored.subarray(0, endOf(stored)), Buffer.alloc(4), stored.subarray(endOf(stored))]);
    expect(errorOf(() => open(gap))).toMatchObject({ code: "format" });
  });
});

describe("an archive that claims too much is refused before anything is allocated", () => {
  test.each([
    ["entries", END_ENTRIES - 2, 2, 0xfffe],
    ["bytes of the directory", END_BYTES, 4, 0xfffffffe],
    ["the start of the directory", END_START, 4, 0xfffffffe],
  ] as const)("%s", (_, offset, length, value) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(errorOf(() => open(changed(stored, endOf(stored) + offset, length, value))).code).toMatch(
      /format|unsupported/,
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test("the size of a member", () => {
    const before = process.memoryUsage().arrayBuffers;
    const claims = changed(deflated, entryOf(deflated) + ENTRY_SIZE, 4, 0xfffffffe);
    expect(errorOf(() => open(claims))).toMatchObject({ code: "format" });
    const agreed = oneMember(deflateRawSync(Buffer.alloc(10)), 0xfffffffe);
    expect(errorOf(() => open(agreed))).toMatchObject({
      code: "limit",
      hint: expect.stringContaining("inflatedBytes") as string,
    });
    expect(errorOf(() => open(agreed, { limits: { inflatedBytes: 2 ** 40, inflateRatio: 2 ** 40 } }))).toMatchObject({
      code: "format",
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test("a member that inflates to more than it says stops there", () => {
    const bomb = oneMember(deflateRawSync(Buffer.alloc(1 << 26)), 1000);
    const before = process.memoryUsage().arrayBuffers;
    expect(errorOf(() => open(bomb))).toMatchObject({ code: "format" });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 22);
  });

  test("members that lie on each other", () => {
    const first = entryOf(stored);
    const firstBytes =
      46 + stored.readUInt16LE(first + 28) + stored.readUInt16LE(first + 30) + stored.readUInt16LE(first + 32);
    const onFirst = changed(stored, first + firstBytes + ENTRY_START, 4, stored.readUInt32LE(first + ENTRY_START));
    expect(errorOf(() => open(onFirst))).toMatchObject({ code: "format" });
  });

  test("all members together are held to limits.inflatedBytes", () => {
    const bytes = [...open(deflated).samples()].length;
    expect(bytes).toBe(3);
    expect(errorOf(() => open(deflated, { limits: { inflatedBytes: 700 } }))).toMatchObject({ code: "limit" });
  });
});

test("stored members are read where they lie, after one pass over them for their checksums", () => {
  const source = countingSource("a.npz", stored);
  const reader = npz.open([source]);
  const verified = source.bytesRead;
  expect(reader.read(2).key).toBe("k2");
  expect(source.bytesRead).toBeGreaterThan(verified);
});

test("positions in stored members are those of the archive, in deflated ones those of the inflated member", () => {
  const array = Buffer.concat([formatNpyHeader("bool", [2]), Buffer.of(1, 7)]);
  const bytes = oneMember(array, array.length, 0);
  const error = errorOf(() => [...open(bytes).samples()]);
  expect(error).toMatchObject({ code: "format", at: { source: "a.npz", record: 1, byte: bytes.indexOf(array) + 129 } });
  const inflated = errorOf(() => [...open(oneMember(deflateRawSync(array), array.length, 8, crc32(array))).samples()]);
  expect(inflated.at).toEqual({ source: "a.npz/x.npy", record: 1, byte: 129 });
});

/** An archive of one member `x.npy` with these bytes, which claims to have `size` when inflated. */
function oneMember(content: Uint8Array, size: number, method = 8, sum = crc32(content)): Buffer {
  const name = Buffer.from("x.npy");
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(method, 4);
  fields.writeUInt32LE(sum, 10);
  fields.writeUInt32LE(content.length, 14);
  fields.writeUInt32LE(size, 18);
  fields.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, name, content]);
  const entry = Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.of(20, 0), fields, Buffer.alloc(14), name]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(entry.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, entry, Buffer.from("PK\x05\x06"), end]);
}
