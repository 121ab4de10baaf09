import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import type { Sample } from "../../src/core/sample.ts";
import { bytesOf, type Tensor } from "../../src/core/tensor.ts";
import {
  buildTransform,
  cast,
  centerCrop,
  chainTransforms,
  colorJitter,
  decodeImage,
  imagenet,
  layout,
  normalize,
  randomCrop,
  randomFlip,
  randomResizedCrop,
  resize,
  select,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

interface Operation {
  readonly result: string;
  readonly operation: "resize" | "jitter";
  readonly size: [number, number];
  readonly interpolation: "bilinear";
  readonly property: "brightness";
  readonly factor: number;
  readonly source?: string;
}

const FOLDER = "fixtures/images";
const operations = JSON.parse(readFileSync(`${FOLDER}/operations.json`, "utf8")) as Operation[];
/** Rounding to whole hues by float32 here and there. */
const HUE_LEVELS = 2;

function imageOf(file: string): Tensor {
  const bytes = readFileSync(`${FOLDER}/${file}`);
  return apply(decodeImage("x", { channels: "keep" }), sampleOf({ x: bytes })).features["x"] as Tensor;
}

function run(description: TransformDescription, x: Tensor): Tensor {
  return apply(description, sampleOf({ x })).features["x"] as Tensor;
}

function worst(a: Tensor, b: Tensor): number {
  let most = 0;
  for (let i = 0; i < b.data.length; i++) most = Math.max(most, Math.abs(Number(a.data[i]) - Number(b.data[i])));
  return most;
}

/** An image whose every element is its own number. */
function counting(dtype: "uint8" | "float32", shape: readonly number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  const elements = Array.from({ length }, (_, i) => i % 251);
  return tensorOf(dtype, shape, elements);
}

/** What a plain chain of transforms gives, each of which has its own copy of a plain tensor. */
function oneByOne(descriptions: readonly TransformDescription[], seed: number, record: number, x: Tensor): Tensor {
  let sample: Sample = sampleOf({ x });
  for (const [place, description] of descriptions.entries()) {
    const stream = () => new RandomStream(deriveKey(seed, 0, record, place));
    const { dtype, shape, data } = buildTransform(description)(sample, stream)!.features["x"] as Tensor;
    sample = sampleOf({ x: { dtype, shape, data: data.slice() as Tensor["data"] } });
  }
  return sample.features["x"] as Tensor;
}

describe("resize() and colorJitter() give what Pillow gives", () => {
  test.each(operations.filter(({ operation }) => operation === "resize"))("$result", (operation) => {
    const source = imageOf(operation.source ?? "photo.png");
    const wanted = imageOf(operation.result);
    const resized = run(resize("x", operation.size, { interpolation: operation.interpolation }), source);
    expect(resized.shape).toEqual(wanted.shape);
    expect(worst(resized, wanted)).toBeLessThanOrEqual(operation.interpolation === ("bicubic" as string) ? 2 : 1);
    const floats = run(
      resize("x", operation.size, { interpolation: operation.interpolation }),
      run(cast("x", "float32"), source),
    );
    const isOvershooting = operation.interpolation === ("bicubic" as string); // bytes are cut to 0 to 255
    if (!isOvershooting) expect(worst(floats, wanted)).toBeLessThanOrEqual(1.5);
  });

  test.each(operations.filter(({ operation }) => operation === "jitter"))("$result", (operation) => {
    const { property, factor } = operation;
    const jittered = run(colorJitter("x", { [property]: [factor, factor] }), imageOf("photo.png"));
    const levels = property === ("hue" as string) ? HUE_LEVELS : 0;
    expect(worst(jittered, imageOf(operation.result))).toBeLessThanOrEqual(levels);
  });

  test("a number is the length of the shorter side", () => {
    expect(run(resize("x", 10), imageOf("photo.png")).shape).toEqual([10, 12, 3]);
    expect(run(resize("x", 10), counting("uint8", [40, 30])).shape).toEqual([13, 10]);
  });

  test("without antialias only the neighbours count", () => {
    const row = tensorOf("uint8", [1, 8, 1], [0, 0, 0, 200, 100, 0, 0, 0]);
    expect([...run(resize("x", [1, 2], { antialias: false }), row).data]).toEqual([0, 0]);
    expect([...run(resize("x", [1, 2]), row).data].every((value) => Number(value) > 20)).toBe(true);
  });
});

describe.each(["uint8", "float32"] as const)("on %s", (dtype) => {
  test.each([1, 2, 3, 4])("centerCrop() takes the middle of %i channels, and pads what is too small", (channels) => {
    const x = counting(dtype, [3, 3, channels]);
    const middle = run(centerCrop("x", 1), x);
    expect(middle.shape).toEqual([1, 1, channels]);
    expect([...middle.data]).toEqual([...x.data.slice(4 * channels, 5 * channels)]);
    const padded = run(centerCrop("x", [5, 1]), x);
    expect(padded.shape).toEqual([5, 1, channels]);
    expect([...padded.data.slice(0, channels)]).toEqual(Array(channels).fill(0));
  });

  test("randomCrop() takes a part of what is padded, every place in time", () => {
    const x = counting(dtype, [2, 2, 1]);
    const crop = buildTransform(randomCrop("x", 2, { padding: 1 }));
    const seen = new Set<string>();
    for (let record = 0; record < 200; record++) {
      const { data } = crop(sampleOf({ x }), () => new RandomStream(deriveKey(record)))!.features["x"] as Tensor;
      seen.add([...data].join());
    }
    expect(seen.size).toBe(9);
    expect(seen).toContain("0,1,2,3");
    expect(() => run(randomCrop("x", 5), x)).toThrow(expect.objectContaining({ code: "shape" }));
  });

  test("randomFlip() swaps sides and only them", () => {
    const x = tensorOf(dtype, [2, 2, 1], [1, 2, 3, 4]);
    expect([...run(randomFlip("x", { horizontal: 1, vertical: 1 }), x).data]).toEqual([4, 3, 2, 1]);
    expect([...run(randomFlip("x", { horizontal: 0, vertical: 1 }), x).data]).toEqual([3, 4, 1, 2]);
    expect([...run(randomFlip("x", { horizontal: 0 }), x).data]).toEqual([1, 2, 3, 4]);
  });

  test.each([
    [40, 30],
    [3, 200],
    [200, 3],
    [1, 1],
  ])("randomResizedCrop() of %i × %i pixels stays within the image and has the size", (height, width) => {
    const x = tensorOf(dtype, [height, width, 3], Array<number>(height * width * 3).fill(77));
    const crop = buildTransform(randomResizedCrop("x", [5, 7]));
    for (let record = 0; record < 50; record++) {
      const made = crop(sampleOf({ x }), () => new RandomStream(deriveKey(record)))!.features["x"] as Tensor;
      expect(made.shape).toEqual([5, 7, 3]);
      expect([...made.data].every((value) => Math.abs(Number(value) - 77) < 1e-4)).toBe(true);
    }
  });
});

describe("what is done at once is what is done one by one", () => {
  const chains: Readonly<Record<string, readonly TransformDescription[]>> = {
    "crop, flip, normalize, planes": [
      randomResizedCrop("x", 24),
      randomFlip("x", { vertical: 0.5 }),
      normalize("x", imagenet),
      layout("x", "NCHW"),
    ],
    "flip, resize, crop": [randomFlip("x"), resize("x", 20), randomCrop("x", 16, { padding: 2 }), layout("x", "NCHW")],
    "resize twice, jitter, flip": [
      resize("x", 50),
      centerCrop("x", 48),
      resize("x", 9),
      colorJitter("x", { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 }),
      randomFlip("x", { vertical: 0.5 }),
    ],
    "crop, normalize": [centerCrop("x", 8), normalize("x", imagenet)],
    "planes and back": [layout("x", "NCHW"), layout("x", "NHWC"), randomFlip("x")],
  };

  test.each(Object.entries(chains))("%s", (_name, descriptions) => {
    const file = readFileSync(`${FOLDER}/baseline.jpg`);
    const chain = chainTransforms([decodeImage("x"), ...descriptions].map(buildTransform), 3);
    const plain = apply(decodeImage("x"), sampleOf({ x: file })).features["x"] as Tensor;
    for (let record = 0; record < 20; record++) {
      const made = chain(sampleOf({ x: file }), 0, record)!.features["x"] as Tensor;
      // The places of the chain count from decodeImage on.
      const wanted = oneByOne([select(["x"]), ...descriptions], 3, record, plain);
      expect({ dtype: made.dtype, shape: made.shape }).toEqual({ dtype: wanted.dtype, shape: wanted.shape });
      expect(Buffer.compare(bytesOf(made.data), bytesOf(wanted.data))).toBe(0);
    }
  });

  test("two names of one image can be cropped differently, also when its memory grows in between", () => {
    const steps = [
      decodeImage("x"),
      select({ a: "x", b: "x" }),
      centerCrop("a", 10),
      resize("b", 900),
      resize("a", 700),
      centerCrop("b", 880),
    ];
    const file = readFileSync(`${FOLDER}/baseline.jpg`);
    const { a, b } = chainTransforms(steps.map(buildTransform), 0)(sampleOf({ x: file }), 0, 0)!.features;
    const plain = apply(decodeImage("x"), sampleOf({ x: file })).features["x"] as Tensor;
    const early = (a as Tensor).data; // before the other one needs more memory
    expect(worst(b as Tensor, oneByOne([resize("x", 900), centerCrop("x", 880)], 0, 0, plain))).toBe(0);
    const wanted = oneByOne([centerCrop("x", 10), resize("x", 700)], 0, 0, plain);
    expect(Buffer.compare(early as Uint8Array, wanted.data as Uint8Array)).toBe(0);
  });
});

test("normalize() of bytes is bit for bit that of the same numbers in another dtype", () => {
  const x = counting("uint8", [17, 19, 3]);
  const settings = { scale: 1 / 255, mean: [0.1, 0.2, 0.3], std: [0.3, 0.7, 0.9] };
  const wanted = run(normalize("x", settings), run(cast("x", "int32"), x));
  expect([...run(normalize("x", settings), x).data]).toEqual([...wanted.data]);
  expect([...run(normalize("x", { scale: 1 / 3 }), x).data]).toEqual([
    ...run(normalize("x", { scale: 1 / 3 }), run(cast("x", "int32"), x)).data,
  ]);
});

describe("what is no image is refused", () => {
  test.each([
    tensorOf("uint8", [3], [1, 2, 3]),
    tensorOf("uint8", [1, 1, 5], [1, 2, 3, 4, 5]),
    tensorOf("uint8", [0, 2, 3], []),
    tensorOf("int32", [1, 1, 1], [1]),
  ])("$dtype $shape", (x) => {
    expect(() => run(resize("x", 2), x)).toThrow(
      expect.objectContaining({ code: "shape", at: { source: "a.npy", record: 5 } }),
    );
  });

  test("options that there are not, and numbers out of range", () => {
    expect(() => resize("x", 0)).toThrow(RangeError);
    expect(() => resize("x", 2, { interpolation: "lanczos" as "bilinear" })).toThrow(/no interpolation 'lanczos'/);
    expect(() => randomFlip("x", { horizontal: 2 })).toThrow(RangeError);
    expect(() => randomFlip("x", { horisontal: 1 } as object)).toThrow(/no option 'horisontal'/);
    expect(() => randomResizedCrop("x", 2, { scale: [1, 0.5] })).toThrow(RangeError);
    expect(() => colorJitter("x", { hue: 0.7 })).toThrow(RangeError);
    expect(() => layout("x", "CHW" as "NCHW")).toThrow(/no layout 'CHW'/);
    expect(() => run(colorJitter("x", { hue: 0.1 }), counting("float32", [2, 2, 3]))).toThrow(/float32, not uint8/);
  });
});
