// What each format writes and refuses, beyond the round trips of test/convert/round-trip.test.ts.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { KdataError } from "../../src/core/errors.ts";
import type { Feature, Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { FileSource } from "../../src/readers/source-file.ts";
import { readZipMembers } from "../../src/readers/zip.ts";
import { writableFormatByName, writableFormats, type ShardWriter } from "../../src/writers/index.ts";
import { sampleOf } from "./samples.ts";

const byte = (value: number) => tensor("uint8", [], Uint8Array.of(value));
const long = (value: bigint) => tensor("int64", [], BigInt64Array.of(value));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kdata-formats-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function create(format: string, name = "shard"): ShardWriter {
  return writableFormatByName(format).create(join(directory, name));
}

/** Why a format does not take the last of some samples. */
function refusal(format: string, ...samples: readonly Sample[]): string {
  const writer = create(format);
  try {
    for (const sample of samples.slice(0, -1)) writer.write(sample);
    writer.write(samples.at(-1)!);
  } catch (error) {
    if (!(error instanceof KdataError) || error.code !== "shape") throw error;
    return error.reason;
  } finally {
    writer.abort();
  }
  throw new Error("expected a refusal, but nothing was thrown");
}

describe.each(writableFormats)("$name", (format) => {
  const sample = sampleOf("shard/0", { x: byte(1), y: tensor("float32", [2], Float32Array.of(1, 2)) });

  it("has no final name before finish() and no partial one after it", () => {
    const writer = format.create(join(directory, "deep", "shard"));
    writer.write(sample);
    expect(readdirSync(join(directory, "deep")).every((name) => /^\..*\.partial$/.test(name))).toBe(true);
    expect(format.existing(join(directory, "deep", "shard"))).toEqual([]);
    const { files, records } = writer.finish();
    writer.abort();
    expect(records).toBe(1);
    expect(readdirSync(join(directory, "deep")).map((name) => join(directory, "deep", name))).toEqual(
      files.map(({ path }) => path),
    );
    for (const { path, bytes } of files) expect(readFileSync(path).length).toBe(bytes);
    expect(format.existing(join(directory, "deep", "shard"))).toEqual(files.map(({ path }) => path));
    expect(format.existing(join(directory, "other"))).toEqual([]);
  });

  it("leaves nothing after abort(), with samples and without", () => {
    const empty = format.create(join(directory, "empty"));
    empty.abort();
    const writer = format.create(join(directory, "shard"));
    writer.write(sample);
    writer.write(sampleOf("other key", sample.features));
    writer.abort();
    writer.abort();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("writes equal samples as equal bytes, in whichever order their features come", () => {
    const { x, y } = sample.features as { x: Feature; y: Feature };
    const [first, second] = [
      { x, y },
      { y, x },
    ].map((features, folder) => {
      const writer = format.create(join(directory, String(folder), "shard"));
      writer.write(sampleOf("shard/0", features));
      return writer.finish().files.map(({ path }) => readFileSync(path).toString("hex"));
    });
    expect(first).toEqual(second);
  });

  it("copies what it takes: the memory may be reused at once", () => {
    const reused = Uint8Array.of(1, 2, 3);
    const written = [true, false].map((isReused) => {
      const writer = format.create(join(directory, String(isReused), "shard"));
      for (let record = 0; record < 3; record++) {
        const memory = isReused ? reused : new Uint8Array(3);
        memory.fill(record);
        writer.write(sampleOf(`shard/${record}`, { x: tensor("uint8", [3], memory) }));
      }
      return writer.finish().files.map(({ path }) => readFileSync(path).toString("hex"));
    });
    expect(written[0]).toEqual(written[1]);
  });

  it("counts the bytes and records it has taken", () => {
    const writer = format.create(join(directory, "shard"));
    expect(writer.records).toBe(0);
    let before = writer.bytes;
    for (let record = 0; record < 3; record++) {
      writer.write(sampleOf(`shard/${record}`, { x: byte(record) }));
      expect(writer.records).toBe(record + 1);
      expect(writer.bytes).toBeGreaterThan(before);
      before = writer.bytes;
    }
    writer.abort();
  });
});

describe("tfrecord", () => {
  it("keeps a key only when the shard's name and the record's number do not give it", () => {
    const text = (key: string) => {
      const writer = create("tfrecord", key.replace(/\W/g, ""));
      writer.write(sampleOf(key, { x: byte(1) }));
      return readFileSync(writer.finish().files[0]!.path, "latin1");
    };
    expect(text("ab/0")).toContain("__key__");
    expect(text("ab0/0")).toContain("__key__"); // its shard is named ab00
    const writer = create("tfrecord", "ab");
    writer.write(sampleOf("ab/0", { x: byte(1) }));
    expect(readFileSync(writer.finish().files[0]!.path, "latin1")).not.toContain("__key__");
  });

  it("refuses reserved names and text that UTF-8 cannot hold", () => {
    expect(refusal("tfrecord", sampleOf("k", { __key__: "x" }))).toContain("reserved");
    expect(refusal("tfrecord", sampleOf("k", { x: "\ud800" }))).toContain("surrogate");
  });
});

describe("webdataset", () => {
  const membersOf = (features: Readonly<Record<string, Feature>>, key = "k") => {
    const writer = create("webdataset");
    writer.write(sampleOf(key, features));
    return memberNames(readFileSync(writer.finish().files[0]!.path));
  };

  it("names members after their features where webdataset's table gives the feature back", () => {
    expect(membersOf({ jpg: Uint8Array.of(1), cls: long(1n), txt: "t", json: { json: 1 }, "x.npy": byte(1) })).toEqual([
      "k.cls",
      "k.jpg",
      "k.json",
      "k.txt",
      "k.x.npy",
    ]);
    expect(membersOf({ image: Uint8Array.of(1) }, "dir/k")).toEqual(["dir/k.image"]);
  });

  it("adds an extension that gives the feature back where the name does not, and notes what is missing", () => {
    const features = {
      label: byte(7),
      pixels: tensor("uint8", [1], Uint8Array.of(1)),
      ratio: tensor("float64", [], Float64Array.of(1)),
      caption: "t",
      Meta: { json: 1 },
      "image/encoded": Uint8Array.of(0xff, 0xd8, 0xff, 0xe0),
      txt: Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
      "": Uint8Array.of(1),
    };
    expect(membersOf(features)).toEqual([
      `g ${noteRecord('kdata {"_.bin":[""],"meta.json":["Meta"],"caption.txt":["caption"],"image_encoded.jpg":["image/encoded"],"label.cls":["label","uint8"],"pixels.npy":["pixels"],"ratio.npy":["ratio"],"txt.png":["txt"]}')}`,
      "k._.bin",
      "k.meta.json",
      "k.caption.txt",
      "k.image_encoded.jpg",
      "k.label.cls",
      "k.pixels.npy",
      "k.ratio.npy",
      "k.txt.png",
    ]);
  });

  it("repeats its notes, complete, before the first sample that needs another one", () => {
    const writer = create("webdataset");
    for (const [key, features] of [
      ["a", { x: byte(1) }],
      ["b", { x: byte(2) }],
      ["c", { x: byte(3), y: byte(4) }],
    ] as const) {
      writer.write(sampleOf(key, features));
    }
    expect(memberNames(readFileSync(writer.finish().files[0]!.path))).toEqual([
      `g ${noteRecord('kdata {"x.cls":["x","uint8"]}')}`,
      "a.x.cls",
      "b.x.cls",
      `g ${noteRecord('kdata {"x.cls":["x","uint8"],"y.cls":["y","uint8"]}')}`,
      "c.x.cls",
      "c.y.cls",
    ]);
  });

  it("refuses keys that are no file names below a directory, with a hint", () => {
    for (const key of ["", "a.b", "dir/a.b", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "a\0b", "__meta__/a"]) {
      expect(refusal("webdataset", sampleOf(key, { x: byte(1) }))).toMatch(/key/);
    }
  });

  it("refuses a key for the second time, members of one name, and an extension that changes its meaning", () => {
    const a = sampleOf("a", { x: byte(1) });
    expect(refusal("webdataset", a, a)).toContain("in this shard already");
    expect(refusal("webdataset", sampleOf("a", { "x/y": byte(1), "x y": byte(1) }))).toContain(
      'features "x y" and "x/y" would both be the member ".x_y.cls"',
    );
    expect(refusal("webdataset", a, sampleOf("b", { x: long(1n) }))).toContain("in an earlier sample");
  });

  it("refuses lists, bfloat16, and samples without features", () => {
    expect(refusal("webdataset", sampleOf("a", { x: [] }))).toContain("a list");
    expect(refusal("webdataset", sampleOf("a", { x: tensor("bfloat16", [], Uint16Array.of(1)) }))).toContain(
      "bfloat16",
    );
    expect(refusal("webdataset", sampleOf("a", {}))).toContain("without features");
  });
});

describe("npy", () => {
  it("names files after shard and feature, percent-encoded where a path or the dot would break", () => {
    const writer = create("npy", "train-000");
    writer.write(sampleOf("train-000/0", { image: byte(1), "a/b.c": byte(2), 图: byte(3) }));
    expect(writer.finish().files.map(({ path }) => path)).toEqual(
      ["a%2Fb%2Ec", "image", "%E5%9B%BE"].map((name) => join(directory, `train-000.${name}.npy`)),
    );
  });

  it("writes keys from the first one on that is not the default, those before it too", () => {
    const writer = create("npy", "s");
    for (const key of ["s/0", "s/1", "other"]) writer.write(sampleOf(key, { x: byte(1) }));
    const keys = readFileSync(writer.finish().files[1]!.path);
    expect(keys.toString("latin1")).toContain("'<U5'");
    expect(keys.subarray(-60).toString("utf16le").replace(/\0/g, "")).toBe("s/0s/1other");
  });

  it("pads strings to the longest, across the blocks of its spool", () => {
    const texts = ["", "a", "𝔘".repeat(3), "x".repeat(200_000), "end"];
    const writer = create("npy", "s");
    texts.forEach((text, record) => {
      writer.write(sampleOf(`s/${record}`, { text }));
    });
    const file = readFileSync(writer.finish().files[0]!.path);
    const width = 200_000 * 4;
    const rows = texts.map((_, row) => file.subarray(file.length - (texts.length - row) * width).subarray(0, width));
    expect(rows.map((row) => decodeUtf32(row))).toEqual(texts);
    expect(readdirSync(directory)).toEqual(["s.text.npy"]);
  });

  it("names both samples when rows differ in dtype, shape, length, kind or features", () => {
    const first = sampleOf("a", { x: tensor("uint8", [2], Uint8Array.of(1, 2)), raw: Uint8Array.of(1) });
    const differing: readonly (readonly [Readonly<Record<string, Feature>>, string])[] = [
      [
        { ...first.features, x: tensor("uint8", [1, 2], Uint8Array.of(1, 2)) },
        '"x" is uint8 [1, 2], but uint8 [2] in sample "a"',
      ],
      [
        { ...first.features, x: tensor("int8", [2], Int8Array.of(1, 2)) },
        '"x" is int8 [2], but uint8 [2] in sample "a"',
      ],
      [{ ...first.features, x: "text" }, '"x" is a string, but uint8 [2] in sample "a"'],
      [{ ...first.features, raw: Uint8Array.of(1, 2) }, '"raw" is 2 bytes, but 1 bytes in sample "a"'],
      [{ x: first.features["x"]! }, '"raw" of sample "a" is missing'],
      [{ ...first.features, y: byte(1) }, '"y" is not in sample "a"'],
    ];
    for (const [features, reason] of differing) {
      const message = refusal("npy", first, sampleOf("b", features));
      expect(message).toContain('sample "b"');
      expect(message).toContain(reason);
    }
  });

  it("refuses lists, JSON, bfloat16, strings that end in NUL, reserved names and samples without features", () => {
    expect(refusal("npy", sampleOf("a", { x: [] }))).toContain("a list");
    expect(refusal("npy", sampleOf("a", { x: { json: 1 } }))).toContain("a json");
    expect(refusal("npy", sampleOf("a", { x: tensor("bfloat16", [], Uint16Array.of(1)) }))).toContain("bfloat16");
    expect(refusal("npy", sampleOf("a", { x: "end\0" }))).toContain("ends in NUL");
    expect(refusal("npy", sampleOf("a\0", { x: byte(1) }))).toContain("the key ends in NUL");
    expect(refusal("npy", sampleOf("a", { __key__: "x" }))).toContain('"__key__" cannot be named so');
    expect(refusal("npy", sampleOf("a", {}))).toContain("without features");
  });
});

describe("npz", () => {
  const write = (...samples: readonly Sample[]) => {
    const writer = create("npz");
    for (const sample of samples) writer.write(sample);
    const path = writer.finish().files[0]!.path;
    return { path, members: readZipMembers(new FileSource(path), { headerBytes: 1 << 20 }) };
  };

  it("stores a member for each feature and for the keys, where their rows can be mapped into memory", () => {
    const { path, members } = write(sampleOf("k", { "b/c": "text", a: byte(1), 图: Uint8Array.of(1) }));
    expect(path).toBe(join(directory, "shard.npz"));
    expect(members.map(({ name, deflated, start }) => [name, deflated, start % 64])).toEqual([
      ["a.npy", false, 0],
      ["b/c.npy", false, 0],
      ["图.npy", false, 0],
      ["__key__.npy", false, 0],
    ]);
    expect(readdirSync(directory)).toEqual(["shard.npz"]);
  });

  it("refuses names that would leave a directory, or that no archive can have", () => {
    for (const name of [
      "../a",
      "a/../../b",
      "/a",
      "C:/a",
      "\\a",
      "a\\..\\b",
      "..",
      "a\0",
      "\ud800",
      "x".repeat(1025),
    ]) {
      expect(refusal("npz", sampleOf("a", { [name]: byte(1) }))).toContain("cannot be named so");
    }
    expect(write(sampleOf("k", { "": byte(1), "...": byte(1), "a/..b": byte(1) })).members).toHaveLength(4);
  });
});

/** Lists an archive: the names of its members, and `g` with the content of global headers. */
function memberNames(archive: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; archive[at] !== 0;) {
    const size = parseInt(archive.toString("latin1", at + 124, at + 135), 8);
    const isGlobal = archive.toString("latin1", at + 156, at + 157) === "g";
    const content = archive.toString("utf8", at + 512, at + 512 + size);
    names.push(isGlobal ? `g ${content}` : archive.toString("utf8", at, archive.indexOf(0, at)));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return names;
}

function noteRecord(comment: string): string {
  const rest = ` comment=${comment}\n`;
  const length = [2, 3].find((digits) => String(rest.length + digits).length === digits)!;
  return `${rest.length + length}${rest}`;
}

function decodeUtf32(row: Buffer): string {
  const codes = new Uint32Array(new Uint8Array(row).buffer);
  return Array.from(
    codes.filter((code) => code !== 0),
    (code) => String.fromCodePoint(code),
  ).join("");
}
