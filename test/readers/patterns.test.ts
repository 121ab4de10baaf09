import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expandSpec } from "../../src/readers/patterns.ts";

const root = mkdtempSync(join(tmpdir(), "kdata-patterns-"));
const files = ["a-0.tar", "a-1.tar", "a-2.tar", "a-10.tar", "B.tar", "x-0.npy", "x-1.npy", "y-0.npy", "y-1.npy"];
const odd = ["with,comma.tar", "with[bracket].tar", "with{brace}.tar"];

beforeAll(() => {
  mkdirSync(join(root, "sub"));
  mkdirSync(join(root, "empty"));
  mkdirSync(join(root, "folder.tar"));
  for (const file of [...files, ...odd, "notes.txt", ".a-3.tar.partial", ".hidden.tar"])
    writeFileSync(join(root, file), "");
  writeFileSync(join(root, "sub", "c.tar"), "");
  symlinkSync(join(root, "sub", "c.tar"), join(root, "sub", "link.tar"));
});

afterAll(() => {
  rmSync(root, { recursive: true });
});

/** Expands a spec under the root into files that are shards of their own; the paths are given without the root. */
async function loose(spec: string): Promise<string[]> {
  const found = await expandSpec(`${root}/${spec}`, (file) => file.endsWith(".tar"));
  expect(found).toMatchObject([{ oneShard: false }]);
  return found[0]!.paths.map((path) => path.slice(root.length + 1));
}

describe("a spec", () => {
  test.each([
    ["a-0.tar", ["a-0.tar"]],
    ["a-{0..2}.tar", ["a-0.tar", "a-1.tar", "a-2.tar"]],
    ["a-{2..0}.tar", ["a-2.tar", "a-1.tar", "a-0.tar"]],
    ["{a-{0,10},B}.tar", ["a-0.tar", "a-10.tar", "B.tar"]],
    ["*.tar", ["B.tar", "a-0.tar", "a-1.tar", "a-10.tar", "a-2.tar", ...odd]],
    ["{x,y}-?.npy", ["x-0.npy", "x-1.npy", "y-0.npy", "y-1.npy"]],
    ["**/c.*", ["sub/c.tar"]],
    ["sub", ["sub/c.tar", "sub/link.tar"]],
    ["sub/", ["sub/c.tar", "sub/link.tar"]],
    ["", ["B.tar", "a-0.tar", "a-1.tar", "a-10.tar", "a-2.tar", ...odd]],
  ])("%j names %j", async (spec, expected) => {
    expect(await loose(spec)).toEqual(expected);
  });

  test.each(odd)("that is the very name of a file is that file: %s", async (file) => {
    const [found] = await expandSpec(join(root, file), () => true);
    expect(found).toEqual({ oneShard: false, paths: [join(root, file)] });
  });

  test("relative to the working directory gives relative paths", async () => {
    const [found] = await expandSpec("fixtures/npz/{stored,deflated}.npz", () => true);
    expect(found!.paths).toEqual(["fixtures/npz/stored.npz", "fixtures/npz/deflated.npz"]);
    const [globbed] = await expandSpec("fixtures/tfrecord/*.tfrecord", () => true);
    expect(globbed!.paths[0]).toBe("fixtures/tfrecord/kinds.tfrecord");
  });

  test("in a list follows the one before", async () => {
    const found = await expandSpec([`${root}/B.tar`, `${root}/a-{0..1}.tar`], () => true);
    expect(found).toEqual([
      { oneShard: false, paths: [join(root, "B.tar")] },
      { oneShard: false, paths: [join(root, "a-0.tar"), join(root, "a-1.tar")] },
    ]);
  });

  test("with commas pairs the files of its parts", async () => {
    expect(await expandSpec(`${root}/x-0.npy,${root}/y-1.npy`, () => true)).toEqual([
      { oneShard: true, paths: [join(root, "x-0.npy"), join(root, "y-1.npy")] },
    ]);
    expect(await expandSpec(`${root}/x-{0..1}.npy,${root}/y-*.npy`, () => true)).toEqual([
      { oneShard: true, paths: [join(root, "x-0.npy"), join(root, "y-0.npy")] },
      { oneShard: true, paths: [join(root, "x-1.npy"), join(root, "y-1.npy")] },
    ]);
  });
});

describe("a spec is refused", () => {
  test.each([
    ["none.tar", "input", "there is no such file"],
    ["a-{0..3}.tar", "input", "a-{0..3}.tar names it"],
    ["none-*.tar", "input", "no file matches"],
    ["empty", "input", "no file with the extension"],
    ["a-{0..100000}.tar", "usage", "more than 100000"],
    ["a-{0..999999999999}.tar", "usage", "more than 100000"],
    ["{0..999}{0..999}{0..999}.tar", "usage", "more than 100000"],
    ["x-0.npy,", "usage", "empty"],
  ])("%j", async (spec, code, reason) => {
    const error: unknown = await expandSpec(`${root}/${spec}`, (file) => file.endsWith(".tar")).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: "KdataError", code, message: expect.stringContaining(reason) as string });
  });

  test("when the parts between commas do not pair up", async () => {
    await expect(expandSpec(`${root}/x-{0..1}.npy,${root}/y-0.npy`, () => true)).rejects.toMatchObject({
      code: "usage",
    });
  });

  test("when there is none", async () => {
    await expect(expandSpec([], () => true)).rejects.toMatchObject({ code: "usage" });
    await expect(expandSpec("", () => true)).rejects.toMatchObject({ code: "usage" });
  });

  test("never passes over a link in a directory that leads nowhere", async () => {
    mkdirSync(join(root, "broken"));
    symlinkSync(join(root, "gone.tar"), join(root, "broken", "a.tar"));
    const [found] = await expandSpec(join(root, "broken"), () => true);
    expect(found!.paths).toEqual([join(root, "broken", "a.tar")]);
  });

  test("with the missing file as the position", async () => {
    const path = join(root, "a-3.tar");
    await expect(expandSpec(`${root}/a-{0..3}.tar`, () => true)).rejects.toMatchObject({ at: { source: path } });
  });
});
