import { describe, expect, test } from "vitest";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as losses from "../../src/trainer/losses.ts";
import type { Loss } from "../../src/trainer/losses/loss.ts";
import * as ops from "../../src/trainer/ops.ts";
import { weightedSum } from "../../src/trainer/targets.ts";
import { elements, float32, int32 } from "./evaluate.ts";
import { expectNear, readCases, tensorOf, type CaseTensor } from "./keras-cases.ts";

interface Case {
  readonly loss: "huber";
  readonly options: object;
  readonly target: CaseTensor;
  readonly prediction: CaseTensor;
  readonly values: CaseTensor;
  readonly weight: CaseTensor;
  readonly weighted: number;
  readonly mean: number;
  readonly nothing: number;
}

const cases = readCases<Case>("losses").map((given) => ({ ...given, title: JSON.stringify(given.options) }));

/** The mean that the training step takes. */
function meanOf(loss: Loss, target: Sym, prediction: Sym, weight: Sym): Sym {
  const { total, weight: divisor } = weightedSum(
    loss.build(target, prediction),
    weight,
    loss.counts?.(target, prediction),
  );
  return ops.div(total, ops.where(ops.greater(divisor, 0), divisor, 1));
}

describe("losses give Keras' values, and its weighted means", () => {
  test.each(cases)("$loss with $title", async ({ loss: name, options, ...given }) => {
    const loss = losses[name](options);
    const graph = new Graph();
    const [target, prediction] = [graph.constant(tensorOf(given.target)), graph.constant(tensorOf(given.prediction))];
    const values = loss.build(target, prediction);
    expect(values.shape).toEqual(given.values.shape);
    expectNear(await elements(values), given.values.data, 1e-5);
    const weight = tensorOf(given.weight);
    for (const [wanted, factor, floor] of [
      [given.weighted, 1, 0],
      [given.mean, 0, 1],
      [given.nothing, 0, 0],
    ] as const) {
      const weights = graph.constant(
        float32(
          weight.shape,
          Array.from(weight.data, (w) => w * factor + floor),
        ),
      );
      expectNear(await elements(meanOf(loss, target, prediction, weights)), [wanted], 1e-5);
    }
  });
});

describe("gradients of losses are the slopes of their values", () => {
  // In float32 a difference of values has few digits, so the step is wide, but for probabilities a small part of them; the
  // losses are summed in float64 here.
  function stepAt(values: ArrayLike<number>, place: number): number {
    const areShares = Array.from(values).every((value) => value > 0 && value < 1);
    return areShares ? Math.min(values[place]!, 1 - values[place]!) / 64 : 1 / 128;
  }

  test.each(cases.filter(({ prediction }) => isInside(prediction)))(
    "$loss with $title",
    async ({ loss: name, options, ...given }) => {
      const loss = losses[name](options);
      const graph = new Graph();
      const { shape, data } = tensorOf(given.prediction);
      const [target, prediction] = [
        graph.constant(tensorOf(given.target)),
        graph.input("prediction", shape, "float32"),
      ];
      const values = loss.build(target, prediction);
      const slope = gradient(ops.sum(values), [prediction])[0]!;
      async function at(place: number, change: number): Promise<number> {
        const moved = Float32Array.from(data, Number);
        moved[place] = moved[place]! + change;
        return (await elements(values, [[prediction, float32(shape, moved)]])).reduce((a, b) => a + b, 0);
      }
      const found = await elements(slope, [[prediction, float32(shape, data as Float32Array)]]);
      for (const place of [0, 5, 10, 15, 23]) {
        const step = stepAt(data, place);
        const [before, after] = [await at(place, -step), await at(place, step)];
        const difference = (after - before) / (2 * step);
        expect(Math.abs(found[place]! - difference), `element ${place}`).toBeLessThan(
          0.02 * Math.max(1, Math.abs(difference)),
        );
      }
    },
  );

  test("binary cross-entropy of the logit 0 has the slope of the sigmoid", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2], [0, 0]));
    const values = losses
      .binaryCrossentropy({ fromLogits: true })
      .build(graph.constant(float32([2], [0, 1])), prediction);
    expect(await elements(gradient(ops.sum(values), [prediction])[0]!)).toEqual([0.5, -0.5]);
  });

  test("logits as large as float32 allows give finite losses and slopes", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2, 2], [1e30, -1e30, -500, 500]));
    const target = graph.constant(float32([2, 2], [1, 0, 0, 1]));
    for (const loss of [
      losses.binaryCrossentropy({ fromLogits: true }),
      losses.binaryFocalCrossentropy({ fromLogits: true }),
      losses.categoricalCrossentropy({ fromLogits: true }),
      losses.categoricalFocalCrossentropy({ fromLogits: true }),
      losses.logCosh(),
    ]) {
      const values = loss.build(target, prediction);
      expect((await elements(values)).every(Number.isFinite), loss.name).toBe(true);
      const slopes = await elements(gradient(ops.sum(values), [prediction])[0]!);
      expect(slopes.every(Number.isFinite), loss.name).toBe(true);
    }
  });
});

/** Says whether a step to either side crosses neither the bounds of probabilities nor, by their choice, a corner. */
function isInside({ data }: CaseTensor): boolean {
  return data.every((value) => Number(value) !== 0 && Number(value) !== 1);
}

describe("sparseCategoricalCrossentropy", () => {
  const scores = [2, 1, 0.1, -1, 3, 0.5];

  test("takes targets [batch] and [batch, 1] of any dtype", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2, 3], scores));
    const loss = losses.sparseCategoricalCrossentropy({ fromLogits: true });
    const second = -Math.log(Math.exp(0.5) / (Math.exp(-1) + Math.exp(3) + Math.exp(0.5)));
    for (const target of [int32([2], [1, 2]), int32([2, 1], [1, 2]), float32([2], [1, 2])]) {
      const values = loss.build(graph.constant(target), prediction);
      expect(values).toMatchObject({ shape: [2], dtype: "float32" });
      expect((await elements(values))[1]).toBeCloseTo(second, 6);
    }
  });

  test("of a sequence is one number a place", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([1, 2, 3], scores));
    const loss = losses.sparseCategoricalCrossentropy({ fromLogits: true });
    const places = await elements(loss.build(graph.constant(int32([1, 2], [1, 2])), prediction));
    const rows = await elements(loss.build(graph.constant(int32([2], [1, 2])), ops.reshape(prediction, [2, 3])));
    expect(places).toEqual(rows);
  });

  test("is NaN for a label that is no class, and gives that sample no gradient", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([3, 2], [1, 2, 3, 4, 5, 6]));
    const target = graph.constant(int32([3], [0, 2, -1]));
    const values = losses.sparseCategoricalCrossentropy({ fromLogits: true }).build(target, prediction);
    const found = await elements(values);
    expect(found.map(Number.isNaN)).toEqual([false, true, true]);
    const slope = await elements(gradient(ops.sum(values), [prediction])[0]!);
    expect(slope.slice(2).every((value) => value === 0)).toBe(true);
    expect(slope[0]).toBeLessThan(0);
  });

  test("does not look at the scores of a place it ignores", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2, 2], [NaN, Infinity, 1, 2]));
    const loss = losses.sparseCategoricalCrossentropy({ fromLogits: true, ignoreClass: 255 });
    const target = graph.constant(int32([2], [255, 0]));
    const mean = meanOf(loss, target, prediction, graph.constant(float32([2], [1, 1])));
    expect((await elements(mean))[0]).toBeCloseTo(Math.log(1 + Math.E), 5);
    const slope = await elements(gradient(mean, [prediction])[0]!);
    expect(slope.slice(0, 2)).toEqual([0, 0]);
  });

  test("refuses targets that do not number the classes", () => {
    const graph = new Graph();
    const prediction = graph.input("p", [4, 3], "float32");
    for (const shape of [[3], [4, 3], [4, 1, 1], []]) {
      const target = graph.constant(int32(shape, new Int32Array(shape.reduce((a, b) => a * b, 1))));
      expect(() => losses.sparseCategoricalCrossentropy().build(target, prediction)).toThrow(
        expect.objectContaining({ code: "shape" }),
      );
    }
  });
});

describe("numbers", () => {
  test("[batch] meets [batch, 1] without broadcasting", async () => {
    const graph = new Graph();
    const loss = losses.meanSquaredError();
    const column = loss.build(graph.constant(float32([3], [1, 2, 3])), graph.constant(float32([3, 1], [2, 2, 5])));
    expect(await elements(column)).toEqual([1, 0, 4]);
    expect(() => loss.build(graph.constant(float32([2], [1, 2])), graph.constant(float32([1, 2], [1, 2])))).toThrow(
      expect.objectContaining({ code: "shape" }),
    );
  });
});

describe("weights", () => {
  const graph = new Graph();
  const values = graph.constant(float32([2, 3], [1, 2, 3, 4, 5, NaN]));

  test("of samples weigh the mean of a sample's places, weights of places each place", async () => {
    const bySample = weightedSum(ops.slice(values, [0, 0], [2, 2]), graph.constant(float32([2], [1, 3])));
    expect(await elements(bySample.total)).toEqual([1.5 + 3 * 4.5]);
    expect(await elements(bySample.weight)).toEqual([4]);
    const byPlace = weightedSum(values, graph.constant(float32([2, 3], [1, 0, 0, 2, 0, 0])));
    expect(await elements(byPlace.total)).toEqual([9]); // the NaN weighs nothing
    expect(await elements(byPlace.weight)).toEqual([3]);
  });

  test("that do not begin as the values do are refused", () => {
    for (const shape of [[3], [2, 2], [2, 3, 1]]) {
      expect(() => weightedSum(values, graph.input(`w${shape.join("x")}`, shape, "float32"))).toThrow(
        expect.objectContaining({ code: "shape" }),
      );
    }
  });
});

describe("losses refuse settings out of range", () => {
  test.each<[string, () => unknown]>([
    ["a smoothing above 1", () => losses.categoricalCrossentropy({ labelSmoothing: 1.5 })],
    ["a smoothing that is not a number", () => losses.binaryCrossentropy({ labelSmoothing: NaN })],
    ["a delta of 0", () => losses.huber({ delta: 0 })],
    ["a negative gamma", () => losses.binaryFocalCrossentropy({ gamma: -1 })],
    ["a class that is no whole number", () => losses.sparseCategoricalCrossentropy({ ignoreClass: 0.5 })],
  ])("%s", (_, make) => {
    expect(make).toThrow(RangeError);
  });

  test("and options that do not exist", () => {
    expect(() => losses.sparseCategoricalCrossentropy({ fromLogit: true } as object)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'fromLogits'?" }),
    );
  });
});
