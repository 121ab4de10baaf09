// Contact sheets, as `kdata inspect --sheet` draws them: their pixels are those of the images, at their places.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, expect, test } from "vitest";
import { drawSheet } from "../../src/cli/inspect.ts";
import { fixture, kdata, mnist } from "./run-kdata.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-sheet-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("shows 64 digits of MNIST with their labels", async () => {
  const path = join(folder, "sheet.png");
  const report = await drawSheet(join(mnist, "t10k-*"), path);
  expect(report).toEqual({ path, images: 64, image: "image", label: "label" });
  const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([968, 1112, 3]);
  const at = (x: number, y: number) => [...data.subarray(3 * (y * info.width + x), 3 * (y * info.width + x) + 3)];
  expect(at(2, 2)).toEqual([255, 255, 255]); // the margin
  expect(at(10, 10)).toEqual([0, 0, 0]); // the corner of the first digit
  let [ink, text] = [0, 0];
  for (let x = 8; x < 120; x++) {
    for (let y = 8; y < 120; y++) if (at(x, y)[0]! > 128) ink++;
    for (let y = 121; y < 138; y++) if (at(x, y)[0]! < 128) text++;
  }
  expect(ink).toBeGreaterThan(500);
  expect(text).toBeGreaterThan(5);
});

test("shows encoded images, and labels them by the feature that is named", async () => {
  const path = join(folder, "pets.png");
  const { code, stdout } = await kdata(["inspect", fixture("folder/pets"), "--sheet", path, "--label", "class"]);
  expect([code, stdout]).toEqual([0, `drew 6 images (image with class) -> ${path}\n`]);
  expect(await sharp(path).metadata()).toMatchObject({ format: "png", width: 728, height: 146 });
});

test("refuses data without images, and names that are none", async () => {
  const path = join(folder, "none.png");
  await expect(drawSheet(fixture("tfrecord/rows.tfrecord"), path)).rejects.toMatchObject({ code: "shape" });
  await expect(drawSheet(fixture("folder/pets"), path, { image: "label" })).rejects.toMatchObject({ code: "usage" });
  await expect(drawSheet(fixture("folder/pets"), path, { label: "breed" })).rejects.toMatchObject({ code: "usage" });
  const { code, stderr } = await kdata(["inspect", fixture("folder/pets"), "--image", "image"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--image and --label go with --sheet")]);
});
