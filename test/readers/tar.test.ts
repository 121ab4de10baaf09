import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  encodeTarGlobalHeader,
  hasTarHeaderSum,
  isZeroBlock,
  parsePaxRecords,
  parseTarHeader,
  tarEndSize,
  tarMemberHeaderSize,
  tarPaddedSize,
  writeTarMemberHeader,
} from "../../src/readers/tar.ts";
import { errorOf } from "./shards.ts";

const at = { source: "a.tar", record: 2, byte: 512 };
const paths = [
  "a.cls",
  "x".repeat(100),
  "x".repeat(101),
  "folder/".repeat(60) + "name.txt",
  "größe/重み.🙂",
  ...[86, 87, 88, 89, 95, 96, 97, 98, 986, 987].map((length) => "ü".repeat(length)),
];

test.each(paths)("a member header of %s is read back: path and size", (path) => {
  for (const size of [0, 1, 20_000, 8 ** 11 - 1, 8 ** 11, 2 ** 40]) {
    const header = new Uint8Array(tarMemberHeaderSize(path, size) + 4).fill(0xaa);
    const end = writeTarMemberHeader(header, 2, path, size);
    expect(end).toBe(header.length - 2);
    expect([...header.subarray(end)]).toEqual([0xaa, 0xaa]);
    expect(readBack(header.slice(2, end))).toEqual({ type: "0", path, size });
  }
});

test("a target that is too short is a RangeError", () => {
  expect(() => writeTarMemberHeader(new Uint8Array(511), 0, "a.x", 1)).toThrow(RangeError);
});

test("GNU tar lists and verifies what is written, and passes over a global comment", () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-tar-"));
  try {
    const parts = [Buffer.from(encodeTarGlobalHeader({ comment: 'kdata {"cls":["größe"]}' }))];
    for (const path of paths) {
      const header = Buffer.alloc(tarMemberHeaderSize(path, 3));
      writeTarMemberHeader(header, 0, path, 3);
      parts.push(header, Buffer.concat([Buffer.from("abc"), Buffer.alloc(tarPaddedSize(3) - 3)]));
    }
    const members = Buffer.concat(parts);
    const file = join(folder, "a.tar");
    writeFileSync(file, Buffer.concat([members, Buffer.alloc(tarEndSize(members.length))]));
    const listed = execFileSync("tar", ["--quoting-style=literal", "-tf", file], { encoding: "utf8", stdio: "pipe" });
    expect(listed.trimEnd().split("\n")).toEqual(paths);
    const contents = execFileSync("tar", ["-xOf", file], { encoding: "utf8", stdio: "pipe" });
    expect(contents).toBe("abc".repeat(paths.length));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("an archive ends with two blocks of zeros at least, at a whole record", () => {
  for (const size of [0, 512, 9216, 9728, 10_240]) {
    expect(tarEndSize(size)).toBeGreaterThanOrEqual(1024);
    expect((size + tarEndSize(size)) % 10_240).toBe(0);
    expect(tarEndSize(size)).toBeLessThan(1024 + 10_240);
  }
});

test("a header with any bit flipped has a wrong sum or says the same", () => {
  const header = new Uint8Array(512);
  writeTarMemberHeader(header, 0, "a.cls", 77);
  const meant = parseTarHeader(header, 0, at);
  for (let bit = 0; bit < 8 * 512; bit++) {
    const flipped = header.slice();
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    if (hasTarHeaderSum(flipped, 0)) expect(parseTarHeader(flipped, 0, at)).toEqual(meant);
    else expect(errorOf(() => parseTarHeader(flipped, 0, at))).toMatchObject({ code: "checksum", at });
  }
});

test("a sum of signed bytes, as some old programs wrote it, is accepted", () => {
  const header = Buffer.alloc(512);
  writeTarMemberHeader(header, 0, "x", 1);
  header[0] = 0xe4;
  header.fill(0x20, 148, 156);
  const signed = header.reduce((sum, byte) => sum + ((byte << 24) >> 24), 0);
  header.write(`${signed.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  expect(hasTarHeaderSum(header, 0)).toBe(true);
});

test("pax records are taken by their lengths, whatever is in their values", () => {
  const content = Buffer.from("19 a=equals = sign\n14 b=new\nline\n5 c=\n");
  const records = [...parsePaxRecords(content, at)].map(([keyword, value]) => [keyword, Buffer.from(value).toString()]);
  expect(records).toEqual([
    ["a", "equals = sign"],
    ["b", "new\nline"],
    ["c", ""],
  ]);
});

test.each([
  "x",
  "5 a=b",
  "6 a=bc\n",
  "0 a=\n",
  "-5 a=\n",
  "5 abc\n",
  "99999999999999999999 a=\n",
  " 5 a=\n",
  "5 a=\n\0",
])("the pax record %j is malformed", (text) => {
  expect(errorOf(() => parsePaxRecords(Buffer.from(text), at))).toMatchObject({ code: "format", at });
});

/** Applies the pax header in front, if there is one, as readers do. */
function readBack(header: Uint8Array): unknown {
  const first = parseTarHeader(header, 0, at);
  if (first.type === "0") return first;
  expect(first.type).toBe("x");
  const records = parsePaxRecords(header.subarray(512, 512 + first.size), at);
  const memberAt = 512 + tarPaddedSize(first.size);
  expect(isZeroBlock(header, 512 + first.size, memberAt - 512 - first.size)).toBe(true);
  const member = parseTarHeader(header, memberAt, at);
  const path = records.get("path");
  const size = records.get("size");
  return {
    type: member.type,
    path: path === undefined ? member.path : Buffer.from(path).toString(),
    size: size === undefined ? member.size : Number(Buffer.from(size).toString()),
  };
}
