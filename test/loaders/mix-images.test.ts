import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isTensorColumn, type Batch } from "../../src/core/batch.ts";
import { bytesOf } from "../../src/core/tensor.ts";
import { mix, type Loader, type LoaderState, type MixOptions } from "../../src/loaders/index.ts";
import {
  colorJitter,
  decodeImage,
  imagenet,
  layout,
  normalize,
  randomFlip,
  randomResizedCrop,
  select,
} from "../../src/transforms/index.ts";
import { collect, digest } from "./epochs.ts";

const IMAGES = "fixtures/images";
const FILES = {
  png: ["photo.png", "gray.png", "palette-8.png", "interlaced.png", "alpha.png", "hue-0.1.png", "contrast-1.4.png"],
  jpg: ["baseline.jpg", "progressive.jpg", "full-chroma.jpg"],
};
const SIZE = 12;

let folder: string;
const opened: Loader[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-mix-images-"));
  for (const [kind, files] of Object.entries(FILES)) {
    mkdirSync(join(folder, kind, "class"), { recursive: true });
    for (const file of files) copyFileSync(join(IMAGES, file), join(folder, kind, "class", file));
  }
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** PNGs, and fewer JPEGs, which therefore come twice: each with an augmentation of its own, and one for all. */
async function open(options: Partial<MixOptions>): Promise<Loader> {
  const chosen = [select({ x: "image" }), decodeImage("x")];
  const made = await mix(
    [
      { source: join(folder, "png"), transforms: [...chosen, randomFlip("x")] },
      { source: join(folder, "jpg"), transforms: [...chosen, colorJitter("x", { brightness: 0.4, hue: 0.1 })] },
    ],
    {
      batchSize: 4,
      shuffle: true,
      seed: 11,
      stop: "all-exhausted",
      transforms: [randomResizedCrop("x", SIZE), normalize("x", imagenet), layout("x", "NCHW")],
      ...options,
    },
  );
  opened.push(made);
  return made;
}

/** Each sample by itself: its key, and the bytes of its image. */
function rowsOf(batches: readonly Batch[]): string[] {
  return batches.flatMap(({ keys, features }) => {
    const x = features["x"]!;
    if (!isTensorColumn(x)) throw new TypeError("x is no tensor");
    const bytes = Buffer.from(bytesOf(x.data));
    const each = bytes.length / keys.length;
    return keys.map((key, row) => `${key} ${bytes.subarray(row * each, (row + 1) * each).toString("base64")}`);
  });
}

test("a mixture of images with random augmentation resumes bit-equal over other workers and batch sizes", async () => {
  const whole = await open({ workers: 0 });
  const batches = await collect(whole);
  const next = digest(await collect(whole));
  const rows = rowsOf(batches);
  expect(batches[0]!.features["x"]).toMatchObject({ dtype: "float32", shape: [4, 3, SIZE, SIZE] });
  for (const [cut, from, to] of [
    [1, 0, 2],
    [2, 2, 0],
    [2, 1, 3],
  ] as const) {
    const train = await open({ workers: from });
    expect(digest(await collect(train, cut))).toBe(digest(batches.slice(0, cut)));
    const state = JSON.parse(JSON.stringify(train.state())) as LoaderState;
    const resumed = await open({ workers: to, state });
    expect(digest(await collect(resumed))).toBe(digest(batches.slice(cut)));
    expect(digest(await collect(resumed))).toBe(next);
    const divided = await open({ workers: to, batchSize: 3, state });
    expect(rowsOf(await collect(divided))).toEqual(rows.slice(4 * cut));
  }
});

test("an image that comes twice in an epoch of a mixture is another one each time", async () => {
  const rows = rowsOf(await collect(await open({ workers: 0 })));
  const keys = rows.map((row) => row.split(" ")[0]);
  expect(rows.length).toBeGreaterThan(new Set(keys).size);
  expect(new Set(rows).size).toBe(rows.length);
});

test("stats() times the transforms of each source beside those of all", async () => {
  const train = await open({ workers: 0, batchSize: 1 });
  await collect(train);
  const [png, jpg] = [join(folder, "png"), join(folder, "jpg")];
  const { transforms, samples } = train.stats();
  expect(transforms.map(({ name }) => name)).toEqual([
    `select of ${png}`,
    `decodeImage of ${png}`,
    `randomFlip of ${png}`,
    `select of ${jpg}`,
    `decodeImage of ${jpg}`,
    `colorJitter of ${jpg}`,
    "randomResizedCrop",
    "normalize",
    "layout",
  ]);
  expect(samples).toBe(train.sampleCount);
  const decoding = transforms.filter(({ name }) => name.startsWith("decodeImage"));
  for (const { ms } of decoding) expect(ms).toBeGreaterThan(0);
});
