import { describe, expect, test } from "vitest";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { copyTensor } from "../../src/core/tensor.ts";
import { buildCutmix } from "../../src/transforms/cutmix.ts";
import { cutmix, mixup, padBatch, splitChain, select } from "../../src/transforms/index.ts";
import { drawShare, mixRows } from "../../src/transforms/mix-rows.ts";
import { buildMixup } from "../../src/transforms/mixup.ts";
import { buildPadBatch } from "../../src/transforms/pad-batch.ts";
import { sampleOf, tensorOf } from "./samples.ts";

/** Numbers that a stream gives in turn, whatever is asked for. */
function scripted(...numbers: readonly number[]): RandomStream {
  const left = [...numbers];
  const next = () => left.shift() as number;
  return Object.assign(new RandomStream(deriveKey(0)), { uniform: next, normal: next, below: next });
}

// What drawShare makes 0.5 of: twice the same Gamma variable.
const HALF = [0, 0, 0.5, 0, 0.5];

describe("mixup()", () => {
  test("mixes each row with the one before and the first with the last: lambda of its own, 1 - lambda of the other", () => {
    const x = tensorOf("float32", [3, 2], [1, 2, 10, 20, 100, 200]) as Tensor<"float32">;
    mixRows(x, 0.75);
    // torch: x.roll(1, 0).mul(1 - 0.75).add(x.mul(0.75))
    expect([...x.data]).toEqual([25.75, 51.5, 7.75, 15.5, 77.5, 155]);
  });

  test("rounds each product and sum to float32", () => {
    const x = tensorOf("float32", [2, 1], [0.1, 0.7]) as Tensor<"float32">;
    const [a, b] = [Math.fround(0.1), Math.fround(0.7)];
    const [own, rest] = [Math.fround(0.3), Math.fround(1 - 0.3)];
    mixRows(x, 0.3);
    expect([...x.data]).toEqual([
      Math.fround(Math.fround(a * own) + Math.fround(b * rest)),
      Math.fround(Math.fround(b * own) + Math.fround(a * rest)),
    ]);
  });

  test("mixes features and labels by one share", () => {
    const x = tensorOf("float32", [2, 1], [2, 4]);
    const y = tensorOf("float32", [2, 2], [1, 0, 0, 1]);
    buildMixup(mixup("x", "y", { alpha: 1 }))({ x, y }, () => scripted(...HALF));
    expect([x, y]).toEqual([tensorOf("float32", [2, 1], [3, 3]), tensorOf("float32", [2, 2], [0.5, 0.5, 0.5, 0.5])]);
  });

  test("leaves batches alone with the probability that is left", () => {
    const x = tensorOf("float32", [2, 1], [2, 4]);
    buildMixup(mixup("x", "x", { probability: 0.25 }))({ x }, () => scripted(0.25));
    expect(x).toEqual(tensorOf("float32", [2, 1], [2, 4]));
  });

  test("refuses what is not float32, misspelt options and numbers out of range", () => {
    const y = tensorOf("int64", [1], [1]);
    for (const features of [{ y }, { x: y, y }, { x: ["text"], y }]) {
      expect(() => {
        buildMixup(mixup("x", "y"))(features, () => scripted());
      }).toThrow(expect.objectContaining({ code: "shape" }));
    }
    expect(() => mixup("x", "y", { alpha: 0 })).toThrow(RangeError);
    expect(() => mixup("x", "y", { probability: 2 })).toThrow(RangeError);
    expect(() => mixup("x", "y", { alph: 1 } as unknown as { alpha: number })).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'alpha'?" }),
    );
  });
});

test.each([0.01, 0.2, 1, 2, 8])("the share is drawn from Beta(%f, %f): mean and variance", (alpha) => {
  const stream = new RandomStream(deriveKey(1, 2));
  const shares = Array.from({ length: 20_000 }, () => drawShare(stream, alpha));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
  expect(shares.every((share) => share >= 0 && share <= 1)).toBe(true);
  expect(mean).toBeCloseTo(0.5, 1);
  expect(variance / (1 / (4 * (2 * alpha + 1)))).toBeCloseTo(1, 1);
});

describe("cutmix()", () => {
  const images = (layout: "NCHW" | "NHWC") =>
    tensorOf(
      "float32",
      layout === "NCHW" ? [2, 1, 4, 4] : [2, 4, 4, 1],
      Array.from({ length: 32 }, (_, i) => i),
    ) as Tensor<"float32">;
  const labels = () => tensorOf("float32", [2, 2], [1, 0, 0, 1]);

  test.each(["NCHW", "NHWC"] as const)("puts a box of the row before into each image, in %s", (layout) => {
    const [x, y] = [images(layout), labels()];
    // Lambda 0.5: half a side is floor(0.5 * sqrt(0.5) * 4) = 1; the middle (x 3, y 1) gives columns 2 to 3 and rows 0 to 1.
    buildCutmix(cutmix("x", "y", { layout }))({ x, y }, () => scripted(...HALF, 3, 1));
    const expected = images(layout);
    for (const at of [2, 3, 6, 7]) [expected.data[at], expected.data[16 + at]] = [16 + at, at];
    expect(x).toEqual(expected);
    expect(y).toEqual(tensorOf("float32", [2, 2], [0.75, 0.25, 0.25, 0.75]));
  });

  test("cuts the box where it leaves the image, and mixes labels by what is left of it", () => {
    const [x, y] = [images("NCHW"), labels()];
    buildCutmix(cutmix("x", "y"))({ x, y }, () => scripted(...HALF, 0, 0));
    expect([x.data[0], x.data[1], x.data[4], x.data[16]]).toEqual([16, 1, 4, 0]);
    expect(y).toEqual(tensorOf("float32", [2, 2], [15 / 16, 1 / 16, 1 / 16, 15 / 16]));
  });

  test("leaves one row as it is", () => {
    const x = tensorOf("float32", [1, 1, 4, 4], [...images("NCHW").data.subarray(0, 16)]);
    const before = copyTensor(x);
    buildCutmix(cutmix("x", "y"))({ x, y: tensorOf("float32", [1, 1], [1]) }, () => scripted(...HALF, 2, 2));
    expect(x).toEqual(before);
  });

  test("refuses what are no images", () => {
    const features = { x: tensorOf("float32", [1, 2, 2], [1, 2, 3, 4]), y: tensorOf("float32", [1, 1], [1]) };
    expect(() => {
      buildCutmix(cutmix("x", "y"))(features, () => scripted());
    }).toThrow(expect.objectContaining({ code: "shape" }));
    expect(() => cutmix("x", "y", { layout: "HWC" as "NHWC" })).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("padBatch()", () => {
  const samples = [sampleOf({ x: tensorOf("int32", [2], [1, 2]) }), sampleOf({ x: tensorOf("int32", [3], [3, 4, 5]) })];

  test("fills up to the longest of the batch, or to a multiple", () => {
    const padded = buildPadBatch(padBatch("x", { multipleOf: 2, value: -1, lengths: "n", mask: "m" }))(samples);
    expect(padded.map(({ features }) => features)).toEqual([
      sampleOf({
        x: tensorOf("int32", [4], [1, 2, -1, -1]),
        n: tensorOf("int32", [], [2]),
        m: tensorOf("int32", [4], [1, 1, 0, 0]),
      }).features,
      sampleOf({
        x: tensorOf("int32", [4], [3, 4, 5, -1]),
        n: tensorOf("int32", [], [3]),
        m: tensorOf("int32", [4], [1, 1, 1, 0]),
      }).features,
    ]);
    const [first] = buildPadBatch(padBatch("x", { side: "left" }))(samples);
    expect(first?.features["x"]).toEqual(tensorOf("int32", [3], [0, 1, 2]));
    expect(buildPadBatch(padBatch("x"))([])).toEqual([]);
  });

  test("refuses names that come twice", () => {
    expect(() => padBatch("x", { mask: "x" })).toThrow(RangeError);
    expect(() => padBatch("x", { mask: "n", lengths: "n" })).toThrow(RangeError);
  });
});

test("transforms of batches come after those of samples, padBatch before those of the stack", () => {
  expect(() => splitChain([mixup("x", "y"), select(["x"])])).toThrow(
    expect.objectContaining({
      code: "usage",
      message: "Cannot apply select after mixup: select works on samples, mixup on a stacked batch",
      hint: "put select before mixup",
    }),
  );
  expect(() => splitChain([cutmix("x", "y"), padBatch("x")])).toThrow(expect.objectContaining({ code: "usage" }));
  const chain = splitChain([select(["x", "y"]), padBatch("x"), mixup("x", "y")]);
  expect([chain.ofSamples.length, chain.ofBatches.length]).toEqual([1, 2]);
});
