import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { convert } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";

let root: string;
beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), "kdata-folder-")), "pets");
  put("cat/1.png", "first");
  put("dog/1.png", "second");
});
afterEach(() => {
  rmSync(dirname(root), { recursive: true });
});

function put(path: string, content = "x"): void {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

async function keysOf(spec: string | readonly string[], format?: string): Promise<string[]> {
  const dataset = await findDataset(spec, format === undefined ? {} : { format });
  return dataset.shards.flatMap((shard) => {
    const reader = openShard(dataset.format, shard);
    const keys = Array.from(reader.samples(), ({ key }) => key);
    reader.close();
    return keys;
  });
}

async function refusal(spec: string | readonly string[] = root): Promise<KdataError> {
  try {
    await findDataset(spec);
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new TypeError("Nothing was thrown");
}

describe("a directory of classes", () => {
  test("is recognized whatever way it is named, and is a data set of one shard", async () => {
    const relativeRoot = relative(process.cwd(), root);
    for (const spec of [root, `${root}/`, relativeRoot, join(root, "cat/..")]) {
      const { format, shards } = await findDataset(spec);
      expect([format.name, shards.map(({ name }) => basename(name))]).toEqual(["folder", ["pets"]]);
      expect(await keysOf(spec)).toEqual(["cat/1", "dog/1"]);
    }
  });

  test("is a shard beside others of the kind, but not beside files", async () => {
    expect(await keysOf([root, root])).toEqual(["cat/1", "dog/1", "cat/1", "dog/1"]);
    copyFileSync("fixtures/npy/labels.npy", join(dirname(root), "labels.npy"));
    expect(await refusal([root, join(dirname(root), "labels.npy")])).toMatchObject({ code: "usage" });
  });

  test("that holds shards of a known format is a directory of those", async () => {
    copyFileSync("fixtures/npy/labels.npy", join(root, "labels.npy"));
    expect((await findDataset(root)).format.name).toBe("npy");
    expect(await keysOf(root, "folder")).toEqual(["cat/1", "dog/1"]);
  });

  test("of which no class has a file right in it is none", async () => {
    rmSync(root, { recursive: true });
    put("cat/deep/1.png");
    expect(await refusal()).toMatchObject({ code: "input" });
  });

  test("passes over hidden files and those of other extensions", async () => {
    for (const path of ["cat/.2.png", "cat/2.txt", ".git/2.png", "notes.txt"]) put(path);
    expect(await keysOf(root)).toEqual(["cat/1", "dog/1"]);
  });

  test("converts to other formats", async () => {
    const output = join(dirname(root), "out");
    const report = await convert(root, { to: "tfrecord", output });
    expect([report.records, report.shards[0]?.files[0]?.path]).toEqual([2, join(output, "pets.tfrecord")]);
    expect(await keysOf(join(output, "pets.tfrecord"))).toEqual(["cat/1", "dog/1"]);
  });
});

describe("what cannot be a sample of a class is refused", () => {
  test("a file beside the classes", async () => {
    put("3.png");
    expect(await refusal()).toMatchObject({ code: "input", at: { source: join(root, "3.png") } });
  });

  test("a class without files", async () => {
    put("empty/notes.txt");
    expect(await refusal()).toMatchObject({ code: "input", at: { source: join(root, "empty") } });
  });

  test("images and sounds in one folder", async () => {
    put("cat/2.wav");
    expect((await refusal()).message).toContain("several kinds: image, audio");
  });

  test.each([
    ["to a file under it", "file", "dog/1.png", undefined],
    ["to a file outside", "file", "../outside.png", "unsupported"],
    ["to nothing", "file", "gone.png", "input"],
    ["to a directory", "directory", "dog", "unsupported"],
  ] as const)("a link %s", async (_, kind, target, code) => {
    writeFileSync(join(dirname(root), "outside.png"), "x");
    symlinkSync(join(root, target), join(root, kind === "file" ? "cat/link.png" : "cat/link"));
    if (code === undefined) expect(await keysOf(root)).toEqual(["cat/1", "cat/link", "dog/1"]);
    else expect(await refusal()).toMatchObject({ code, at: { source: expect.stringContaining("link") as string } });
  });
});

describe("a file", () => {
  test("that vanished is an error that names it, and leaves the others readable", async () => {
    const { format, shards } = await findDataset(root);
    const reader = openShard(format, shards[0]!);
    rmSync(join(root, "cat/1.png"));
    expect(() => reader.read(0)).toThrow(
      expect.objectContaining({ code: "input", at: { source: join(root, "cat/1.png") } }) as Error,
    );
    expect(Buffer.from(reader.read(1).features["image"] as Uint8Array).toString()).toBe("second");
    reader.close();
  });

  test("larger than a record may be is refused before it is read", async () => {
    const { format, shards } = await findDataset(root);
    const reader = openShard(format, shards[0]!, { limits: { recordBytes: 5 } });
    expect(reader.read(0).features["image"]).toHaveLength(5);
    expect(() => reader.read(1)).toThrow(expect.objectContaining({ code: "limit" }) as Error);
    reader.close();
  });
});
