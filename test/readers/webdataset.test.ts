import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { copySample } from "../../src/core/sample.ts";
import { encodeTarGlobalHeader, tarEndSize, tarPaddedSize, writeTarMemberHeader } from "../../src/readers/tar.ts";
import { splitMemberPath } from "../../src/readers/webdataset-members.ts";
import { webdataset } from "../../src/readers/webdataset.ts";
import { describeSample, expectedSamples } from "./expected.ts";
import { countingSource, errorOf, openBytes, readBackwards, readInOrder, readStream } from "./shards.ts";

const folder = "fixtures/webdataset";
const files = readdirSync(folder).filter((file) => file.endsWith(".tar"));
const BLOCK = 512;

describe.each(files.map((file) => `${folder}/${file}`))("%s", (path) => {
  const bytes = readFileSync(path);
  const expected = expectedSamples(path) as unknown[];

  test("is detected by its content", () => {
    expect(webdataset.detect(bytes.subarray(0, 4096))).toBe(true);
  });

  test("reads as webdataset reads it, in order and by number", () => {
    expect(readInOrder(webdataset, bytes, path)).toEqual(expected);
    expect(readBackwards(webdataset, bytes, path)).toEqual(expected);
  });

  test.each([100, 10_240])("reads as webdataset reads it from a stream in chunks of %i bytes", async (chunkBytes) => {
    expect(await readStream(webdataset, bytes, path, chunkBytes)).toEqual(expected);
  });

  test("cut before its end is truncated, whether it is read, counted or streamed", async () => {
    const end = endOfMembers(bytes) + 2 * BLOCK;
    for (let cut = 0; cut < bytes.length; cut += cut % BLOCK === 0 || cut % BLOCK === BLOCK - 1 ? 1 : 73) {
      const part = bytes.subarray(0, cut);
      if (cut >= end && cut % BLOCK === 0) {
        expect(openBytes(webdataset, part, path).count()).toBe(expected.length);
        continue;
      }
      const error = errorOf(() => readInOrder(webdataset, part, path));
      expect(error).toMatchObject({ code: "truncated", at: { source: path, byte: cut } });
      expect(error.at?.record).toBeLessThanOrEqual(expected.length);
      expect(errorOf(() => openBytes(webdataset, part, path).count())).toMatchObject({
        code: "truncated",
        at: error.at,
      });
      if (cut % BLOCK === 0) {
        await expect(readStream(webdataset, part, path, 700)).rejects.toMatchObject({ code: "truncated" });
      }
    }
  });

  test("cut inside a block of zeros behind its end is truncated: the end may have been a header", () => {
    const part = bytes.subarray(0, endOfMembers(bytes) + 2 * BLOCK + 100);
    const wanted = { code: "truncated", at: { source: path, byte: part.length } };
    expect(errorOf(() => readInOrder(webdataset, part, path))).toMatchObject(wanted);
    expect(errorOf(() => openBytes(webdataset, part, path).count())).toMatchObject(wanted);
  });

  test("with a bit of a header or of the end flipped never gives other samples", () => {
    const { offsets } = openBytes(webdataset, bytes, path).index()!;
    const headers = [...headerPositions(bytes), endOfMembers(bytes), bytes.length - BLOCK];
    for (const header of headers) {
      const record = offsets.findLastIndex((start) => start <= header);
      for (let bit = 0; bit < 8 * BLOCK; bit += 19) {
        const flipped = Buffer.from(bytes);
        flipped[header + (bit >>> 3)]! ^= 1 << (bit & 7);
        try {
          expect(readInOrder(webdataset, flipped, path)).toEqual(expected);
        } catch (error) {
          expect(error).toMatchObject({ name: "KdataError", at: { source: path, byte: header } });
          if (header < bytes.length - BLOCK && record >= 0) expect(error).toHaveProperty("code", "checksum");
        }
      }
    }
  });
});

test("a flipped bit in a header is reported with file, sample and byte", () => {
  const bytes = archive(["a.txt", "1"], ["a.cls", "1"], ["b.txt", "2"]);
  bytes[2 * BLOCK + 3]! ^= 1;
  expect(errorOf(() => readInOrder(webdataset, bytes, "x.tar")).message).toBe(
    "Cannot read tar: the header checksum does not match (x.tar, record 0, byte 1024)",
  );
});

test.each<[string, Buffer, Record<string, unknown>]>([
  ["a key that comes again", archive(["a.x", ""], ["b.x", ""], ["a.y", ""]), { code: "format", record: 2, byte: 1024 }],
  ["an extension that comes twice", archive(["a.x", ""], ["a.X", ""]), { code: "format", record: 0, byte: 512 }],
  ["a number that is none", archive(["a.cls", "1_0"]), { code: "format", record: 0, byte: 512 }],
  ["a number over 64 bits", archive(["a.cls", "9223372036854775808"]), { code: "format", record: 0, byte: 512 }],
  ["a number without end", archive(["a.cls", "1".repeat(100_000)]), { code: "format", record: 0, byte: 512 }],
  ["text that is not UTF-8", archive(["a.txt", Buffer.from([0xff])]), { code: "format", record: 0, byte: 512 }],
  ["JSON that is none", archive(["a.json", "NaN"]), { code: "format", record: 0, byte: 512 }],
  [
    "JSON numbers that change",
    archive(["a.json", "[9007199254740993]"]),
    { code: "unsupported", record: 0, byte: 512 },
  ],
  ["an NPY member that is none", archive(["a.npy", "x"]), { code: "format", record: 0, byte: 512 }],
  ["a symbolic link", archive(["a.x", "", "2"]), { code: "unsupported", record: 0, byte: 0 }],
  ["a hard link", archive(["a.x", ""], ["b.x", "", "1"]), { code: "unsupported", record: 0, byte: 512 }],
  ["a device", archive(["a.x", "", "3"]), { code: "unsupported", record: 0, byte: 0 }],
  ["a sparse member", archive(["a.x", "", "S"]), { code: "unsupported", record: 0, byte: 0 }],
  ["a header type of nobody", archive(["a.x", "", "?"]), { code: "unsupported", record: 0, byte: 0 }],
  ["a pax header without member", archive(["p", "9 path=a\n", "x"]), { code: "format", record: 0, byte: 1024 }],
  ["a malformed pax header", archive(["p", "99 path=a.x\n", "x"], ["b.x", ""]), { code: "format", byte: 0 }],
  ["a pax size that is none", archive(["p", "11 size=-1\n", "x"], ["b.x", ""]), { code: "format", byte: 0 }],
  ["a global path", archive(["p", "9 path=a\n", "g"], ["b.x", ""]), { code: "unsupported", byte: 0 }],
  [
    "notes of two names for one feature",
    archive(["p", note('{"x":["f"],"y":["f"]}'), "g"], ["b.x", ""], ["b.y", ""]),
    { code: "format" },
  ],
  ["notes that are none", archive(["p", note('{"x":"f"}'), "g"], ["b.x", ""]), { code: "format", byte: 0 }],
  ["bytes behind the end", Buffer.concat([archive(["a.x", ""]), Buffer.from("x")]), { code: "format", byte: 10_240 }],
  ["a lone block of zeros", Buffer.concat([Buffer.alloc(BLOCK), archive(["a.x", ""])]), { code: "format", byte: 0 }],
  ["a file of nothing", Buffer.alloc(0), { code: "truncated", byte: 0 }],
])("%s is an error, in order and from a stream", async (_what, bytes, { code, ...at }) => {
  const error = { code, at: { source: "x.tar", ...at } };
  expect(errorOf(() => readInOrder(webdataset, bytes, "x.tar"))).toMatchObject(error);
  await expect(readStream(webdataset, bytes, "x.tar", 1000)).rejects.toMatchObject(error);
});

test.each(["README", "x/README", "x.y/c", "__a", "long/".repeat(40) + "name"])(
  "a file without an extension is never lost in silence: %s",
  async (stray) => {
    const pax = `path=${stray}\n`;
    const bytes = archive(
      ["a.cls", "1"],
      ["p", `${pax.length + (pax.length > 95 ? 4 : 3)} ${pax}`, "x"],
      ["b", "data"],
      ["a.txt", "one"],
      ["b.cls", "2"],
    );
    const error = {
      code: "format",
      reason: `Cannot read webdataset: "${stray}" has no extension, so it is of no sample`,
      at: { source: "x.tar", record: 0, byte: 2 * BLOCK },
      hint: expect.stringContaining('strayMembers: "skip"') as string,
    };
    expect(errorOf(() => readInOrder(webdataset, bytes, "x.tar"))).toMatchObject(error);
    expect(errorOf(() => openBytes(webdataset, bytes, "x.tar").count())).toMatchObject(error);
    await expect(readStream(webdataset, bytes, "x.tar", 1000)).rejects.toMatchObject(error);

    const skip = { strayMembers: "skip" } as const;
    const without = archive(["a.cls", "1"], ["a.txt", "one"], ["b.cls", "2"]);
    const expected = readInOrder(webdataset, without, "x.tar");
    expect(expected).toHaveLength(2);
    expect(readInOrder(webdataset, bytes, "x.tar", skip)).toEqual(expected);
    expect(readBackwards(webdataset, bytes, "x.tar", skip)).toEqual(expected);
    expect(await readStream(webdataset, bytes, "x.tar", 1000, skip)).toEqual(expected);
  },
);

test.each([".DS_Store", "._a.cls", "x.y/._a.cls", "./.hidden.txt", "__meta__", "__meta__/README"])(
  "metadata by its name is passed over: %s",
  (path) => {
    const bytes = archive(["a.cls", "1"], [path, "metadata"], ["a.txt", "one"]);
    const without = archive(["a.cls", "1"], ["a.txt", "one"]);
    expect(readInOrder(webdataset, bytes, "x.tar")).toEqual(readInOrder(webdataset, without, "x.tar"));
  },
);

test("sizes that are declared are held to the limits and to the file before they are believed", () => {
  const header = Buffer.alloc(BLOCK);
  writeTarMemberHeader(header, 0, "a.x", 8 ** 11 - 1);
  const bytes = Buffer.concat([header, Buffer.alloc(10 * BLOCK)]);
  expect(errorOf(() => readInOrder(webdataset, bytes, "x.tar"))).toMatchObject({ code: "truncated" });
  const large = archive(["a.x", Buffer.alloc(2000)], ["b.x", ""]);
  const limits = { recordBytes: 2500 };
  expect(errorOf(() => openBytes(webdataset, large, "x.tar", { limits }).count())).toMatchObject({ code: "limit" });
  const pax = archive(["p", `30 path=${"a".repeat(19)}.x\n`, "x"], ["b.x", ""]);
  expect(openBytes(webdataset, pax, "x.tar").read(0).key).toBe("a".repeat(19));
  expect(errorOf(() => readInOrder(webdataset, pax, "x.tar", { limits: { headerBytes: 29 } }))).toMatchObject({
    code: "limit",
  });
});

test("sizes in base 256 and in pax headers are read", () => {
  const base256 = archive(["a.x", "12345"]);
  base256.fill(0, 124, 136);
  base256[124] = 0x80;
  base256[135] = 5;
  writeSum(base256, 0);
  expect(readInOrder(webdataset, base256, "x.tar")).toEqual(
    readInOrder(webdataset, archive(["a.x", "12345"]), "x.tar"),
  );
  const pax = archive(["p", "10 size=5\n", "x"], ["a.x", "12345"]);
  pax.fill(0x30, 2 * BLOCK + 124, 2 * BLOCK + 135);
  writeSum(pax, 2 * BLOCK);
  expect(readInOrder(webdataset, pax, "x.tar")).toEqual(readInOrder(webdataset, archive(["a.x", "12345"]), "x.tar"));
});

test("a note holds from its header on, and an index carries it to where a single sample is read", () => {
  const bytes = archive(
    ["a.cls", "1"],
    ["p", note('{"cls":["Ä","uint8"]}'), "g"],
    ["b.cls", "255"],
    ["p", note("{}"), "g"],
    ["c.cls", "3"],
  );
  const { header } = openBytes(webdataset, bytes, "x.tar").index()!;
  expect(header).toEqual([
    [1, 'kdata {"cls":["Ä","uint8"]}'],
    [2, "kdata {}"],
  ]);
  const reader = openBytes(webdataset, bytes, "x.tar", { index: openBytes(webdataset, bytes, "x.tar").index()! });
  expect(reader.read(1).features).toEqual({ Ä: { dtype: "uint8", shape: [], data: Uint8Array.of(255) } });
  expect(reader.read(2).features).toEqual({ cls: { dtype: "int64", shape: [], data: BigInt64Array.of(3n) } });
  expect(reader.read(0).features).toEqual({ cls: { dtype: "int64", shape: [], data: BigInt64Array.of(1n) } });
  const over = archive(["p", note('{"cls":["x","uint8"]}'), "g"], ["b.cls", "256"]);
  expect(errorOf(() => readInOrder(webdataset, over, "x.tar"))).toMatchObject({ code: "format", at: { record: 0 } });
});

test("members larger than the buffer are read whole, and counting jumps over them", async () => {
  const content = Buffer.alloc(1_500_000, "0123456789");
  const bytes = archive(["a.txt", "small"], ["b.bin", content], ["b.cls", "7"], ["c.bin", content], ["d.txt", "last"]);
  const samples = Array.from(openBytes(webdataset, bytes, "x.tar").samples(), copySample);
  expect(samples.map(({ key }) => key)).toEqual(["a", "b", "c", "d"]);
  expect(Buffer.compare(samples[1]!.features["bin"] as Uint8Array, content)).toBe(0);
  expect(await readStream(webdataset, bytes, "x.tar", 65_536)).toEqual(samples.map(describeSample));
  expect(readBackwards(webdataset, bytes, "x.tar")).toEqual(samples.map(describeSample));
  const source = countingSource("x.tar", bytes);
  expect(webdataset.open([source]).count()).toBe(4);
  expect(source.bytesRead).toBeLessThan(600_000);
});

test("splitMemberPath() splits as webdataset's base_plus_ext", () => {
  const split = (path: string): string | undefined => {
    const parts = splitMemberPath(path);
    return parts && `${parts.key} ${parts.ext}`;
  };
  expect(split("a.b.C")).toBe("a b.c");
  expect(split("x.y/a.b")).toBe("x.y/a b");
  expect(split("./a.b")).toBe("./a b");
  expect(split("a.")).toBe("a ");
  expect(split("x/.hidden")).toBe("x/ hidden");
  expect(split("__a.b")).toBe("__a b");
  for (const path of ["a", ".hidden", "x.y/.hidden", "./.hidden", "x/a", "__a__", "__a__/b.c"])
    expect(split(path)).toBe(undefined);
});

/** Puts an archive together from names, contents and type flags. */
function archive(...members: [name: string, content: string | Uint8Array, type?: string][]): Buffer {
  const parts = members.map(([name, content, type]) => {
    const data = Buffer.from(content);
    const bytes = Buffer.alloc(BLOCK + tarPaddedSize(data.length));
    writeTarMemberHeader(bytes, 0, name, data.length);
    data.copy(bytes, BLOCK);
    if (type !== undefined) {
      bytes.write(type, 156, "latin1");
      writeSum(bytes, 0);
    }
    return bytes;
  });
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, Buffer.alloc(tarEndSize(size))]);
}

function note(json: string): Uint8Array {
  const header = encodeTarGlobalHeader({ comment: `kdata ${json}` });
  return header.subarray(BLOCK, BLOCK + Number.parseInt(Buffer.from(header.subarray(124, 135)).toString(), 8));
}

function writeSum(bytes: Buffer, header: number): void {
  bytes.fill(0x20, header + 148, header + 156);
  const sum = bytes.subarray(header, header + BLOCK).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, header + 148, "latin1");
}

/** Every header of an archive, found by hand. */
function headerPositions(bytes: Buffer): number[] {
  const positions: number[] = [];
  for (let at = 0; bytes[at] !== 0;) {
    positions.push(at);
    at += BLOCK + tarPaddedSize(Number.parseInt(bytes.toString("latin1", at + 124, at + 135), 8));
  }
  return positions;
}

function endOfMembers(bytes: Buffer): number {
  const last = headerPositions(bytes).at(-1);
  if (last === undefined) return 0;
  return last + BLOCK + tarPaddedSize(Number.parseInt(bytes.toString("latin1", last + 124, last + 135), 8));
}
