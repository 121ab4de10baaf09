import { describe, expect, test } from "vitest";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph } from "../../src/trainer/graph.ts";
import { meanSquaredError, sparseCategoricalCrossentropy } from "../../src/trainer/losses.ts";
import { sparseCategoricalAccuracy } from "../../src/trainer/metrics.ts";
import * as ops from "../../src/trainer/ops.ts";
import { elements, float32, int32 } from "./evaluate.ts";

describe("sparseCategoricalCrossentropy", () => {
  const scores = [2, 1, 0.1, -1, 3, 0.5];
  const probabilities = [2, 1, 0.1].map((score) => Math.exp(score) / (Math.exp(2) + Math.exp(1) + Math.exp(0.1)));

  test("of logits is minus the log of the right class's softmax, for targets [batch] and [batch, 1] of any dtype", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2, 3], scores));
    const loss = sparseCategoricalCrossentropy({ fromLogits: true });
    const second = -Math.log(Math.exp(0.5) / (Math.exp(-1) + Math.exp(3) + Math.exp(0.5)));
    for (const target of [int32([2], [1, 2]), int32([2, 1], [1, 2]), float32([2], [1, 2])]) {
      const values = loss.build(graph.constant(target), prediction);
      expect(values).toMatchObject({ shape: [2], dtype: "float32" });
      const found = await elements(values);
      expect(found[0]).toBeCloseTo(-Math.log(probabilities[1]!), 6);
      expect(found[1]).toBeCloseTo(second, 6);
    }
  });

  test("has the gradient softmax - one-hot", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([1, 3], scores.slice(0, 3)));
    const values = sparseCategoricalCrossentropy({ fromLogits: true }).build(
      graph.constant(int32([1], [1])),
      prediction,
    );
    const found = await elements(gradient(ops.sum(values), [prediction])[0]!);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(probabilities[i]! - (i === 1 ? 1 : 0), 6);
  });

  test("of probabilities divides by their sum and keeps off 0, as Keras does", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([2, 2], [1, 3, 0, 1]));
    const values = sparseCategoricalCrossentropy().build(graph.constant(int32([2], [1, 0])), prediction);
    const found = await elements(values);
    expect(found[0]).toBeCloseTo(-Math.log(0.75), 6);
    expect(found[1]).toBeCloseTo(-Math.log(1e-7), 4);
  });

  test("of a sequence is the mean over its places", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([1, 2, 3], scores));
    const loss = sparseCategoricalCrossentropy({ fromLogits: true });
    const [whole] = await elements(loss.build(graph.constant(int32([1, 2], [1, 2])), prediction));
    const rows = await elements(loss.build(graph.constant(int32([2], [1, 2])), ops.reshape(prediction, [2, 3])));
    expect(whole).toBeCloseTo((rows[0]! + rows[1]!) / 2, 6);
  });

  test("is NaN for a label that is no class, and gives that sample no gradient", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([3, 2], [1, 2, 3, 4, 5, 6]));
    const target = graph.constant(int32([3], [0, 2, -1]));
    const values = sparseCategoricalCrossentropy({ fromLogits: true }).build(target, prediction);
    const found = await elements(values);
    expect(found.map(Number.isNaN)).toEqual([false, true, true]);
    const slope = await elements(gradient(ops.sum(values), [prediction])[0]!);
    expect(slope.slice(2).every((value) => value === 0)).toBe(true);
    expect(slope[0]).toBeLessThan(0);
  });

  test("refuses targets that do not number the classes", () => {
    const graph = new Graph();
    const prediction = graph.input("p", [4, 3], "float32");
    for (const shape of [[3], [4, 3], [4, 1, 1], []]) {
      const target = graph.constant(int32(shape, new Int32Array(shape.reduce((a, b) => a * b, 1))));
      expect(() => sparseCategoricalCrossentropy().build(target, prediction)).toThrow(
        expect.objectContaining({ code: "shape" }),
      );
    }
  });
});

describe("meanSquaredError", () => {
  test("is the mean over a sample's elements, and takes [batch] against [batch, 1] without broadcasting", async () => {
    const graph = new Graph();
    const loss = meanSquaredError();
    const matrix = loss.build(
      graph.constant(float32([2, 2], [1, 2, 3, 4])),
      graph.constant(float32([2, 2], [1, 4, 0, 0])),
    );
    expect(await elements(matrix)).toEqual([2, 12.5]);
    const column = loss.build(graph.constant(float32([3], [1, 2, 3])), graph.constant(float32([3, 1], [2, 2, 5])));
    expect(await elements(column)).toEqual([1, 0, 4]);
    expect(() => loss.build(graph.constant(float32([2], [1, 2])), graph.constant(float32([1, 2], [1, 2])))).toThrow(
      expect.objectContaining({ code: "shape" }),
    );
  });
});

describe("sparseCategoricalAccuracy", () => {
  test("is 1 where the greatest score is the label's, the first of equal ones counts", async () => {
    const graph = new Graph();
    const prediction = graph.constant(float32([4, 2], [1, 2, 5, 3, 7, 7, 7, 7]));
    const metric = sparseCategoricalAccuracy();
    expect(metric.name).toBe("accuracy");
    const values = metric.build(graph.constant(int32([4, 1], [1, 1, 0, 1])), prediction);
    expect(values).toMatchObject({ shape: [4], dtype: "float32" });
    expect(await elements(values)).toEqual([1, 0, 1, 0]);
    const sequence = metric.build(graph.constant(int32([2, 2], [1, 1, 0, 1])), ops.reshape(prediction, [2, 2, 2]));
    expect(await elements(sequence)).toEqual([0.5, 0.5]);
  });
});
