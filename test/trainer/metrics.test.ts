import { beforeAll, describe, expect, test } from "vitest";
import type { Backend, HostTensor } from "../../src/trainer/backend.ts";
import { createReference } from "../../src/trainer/backends/reference.ts";
import { RunningSums } from "../../src/trainer/epoch-meter.ts";
import { Graph } from "../../src/trainer/graph.ts";
import * as losses from "../../src/trainer/losses.ts";
import * as metrics from "../../src/trainer/metrics.ts";
import type { Metric } from "../../src/trainer/metrics/metric.ts";
import { metricOutput } from "../../src/trainer/train-step.ts";
import { openCandidates, type Candidate } from "./backends/candidates.ts";
import { float32, int32 } from "./evaluate.ts";
import { expectNear, readCases, tensorOf, type CaseTensor } from "./keras-cases.ts";

interface Case {
  readonly metric: "auc";
  readonly options: object;
  readonly batches: readonly {
    readonly target: CaseTensor;
    readonly prediction: CaseTensor;
    readonly weight: CaseTensor;
  }[];
  readonly result: number | string | readonly (number | string)[];
}

interface Part {
  readonly target: HostTensor;
  readonly prediction: HostTensor;
  readonly weight: HostTensor;
}

const cases = readCases<Case>("metrics").map((given, i) => ({
  ...given,
  title: `${JSON.stringify(given.options)}${i % 2 ? ", weighted" : ""}`,
}));

/** Adds up batches as the trainer does, each in a graph of its own, and gives the values. */
async function values(metric: Metric, parts: readonly Part[], backend?: Backend): Promise<number[]> {
  const sums = new RunningSums([metric]);
  const engine = backend ?? (await createReference());
  for (const part of parts) {
    const graph = new Graph();
    const target = graph.input("target", part.target.shape, part.target.dtype);
    const prediction = graph.input("prediction", part.prediction.shape, "float32");
    const weight = graph.input("weight", part.weight.shape, "float32");
    const built = Object.entries(metric.build(target, prediction, weight));
    const plan = graph.plan({
      name: "metric",
      feeds: { target, prediction, weight },
      state: {},
      updates: {},
      outputs: Object.fromEntries(built.map(([name, sum]) => [metricOutput(metric.name, name), sum])),
    });
    const session = await engine.open(new Map());
    const outputs = await (await session.compile(plan)).run(new Map(Object.entries(part)));
    await session.close();
    sums.add(new Map([...outputs, ["loss", float32([], [0])], ["weight", float32([], [1])]]), 1);
  }
  return Object.entries(sums.values()).flatMap(([name, value]) => (name === "loss" ? [] : [value]));
}

function partsOf({ batches }: Case): Part[] {
  return batches.map(({ target, prediction, weight }) => ({
    target: tensorOf(target),
    prediction: tensorOf(prediction),
    weight: tensorOf(weight),
  }));
}

function metricOf({ metric, options }: Case): Metric {
  return metrics[metric](options);
}

function expectResult(found: number[], { result }: Case): void {
  expectNear(found, Array.isArray(result) ? (result as number[]) : [result as number], 1e-5);
}

describe("metrics give Keras' results over three batches", () => {
  test.each(cases)("$metric with $title", async (given) => {
    expectResult(await values(metricOf(given), partsOf(given)), given);
  });
});

describe("every backend gives the same", () => {
  let candidates: Candidate[] = [];
  beforeAll(async () => {
    candidates = await openCandidates();
  });

  test.each(
    cases.filter(
      ({ metric }, i) => i % 2 === 1 && cases.findIndex((other) => (other.metric as string) === metric) === i - 1,
    ),
  )("$metric", async (given) => {
    for (const { backend } of candidates) {
      if (backend) expectResult(await values(metricOf(given), partsOf(given), backend), given);
    }
  });
});

describe("weights of places", () => {
  const prediction = float32([1, 3, 2], [2, 0, 0, 2, 5, 1]); // classes 0, 1, 0
  const target = int32([1, 3], [0, 0, 0]);

  test("weigh each place of a sequence", async () => {
    const weight = float32([1, 3], [1, 2, 0]);
    expect(await values(metrics.sparseCategoricalAccuracy(), [{ target, prediction, weight }])).toEqual([1 / 3]);
    const bySample = float32([1], [7]);
    const [found] = await values(metrics.sparseCategoricalAccuracy(), [{ target, prediction, weight: bySample }]);
    expect(found).toBeCloseTo(2 / 3, 6);
  });

  test("perplexity is e to the mean cross-entropy of the places that count, over all batches", async () => {
    const cross = [Math.log1p(Math.exp(-2)), Math.log1p(Math.exp(2))];
    const weight = float32([1], [1]);
    const [found] = await values(metrics.perplexity({ fromLogits: true, ignoreClass: 1 }), [
      { target: int32([1, 3], [0, 0, 1]), prediction, weight },
      { target: int32([1, 3], [0, 1, 1]), prediction, weight },
    ]);
    expect(found).toBeCloseTo(Math.exp((cross[0]! + cross[1]! + cross[0]!) / 3), 4);
  });
});

describe("metrics where there is nothing to measure", () => {
  const nothing = {
    target: float32([2, 3], [0, 1, 0, 0, 0, 0]),
    prediction: float32([2, 3], [NaN, 1, 1, 1, 1, 1]),
    weight: float32([2], [0, 0]),
  };

  test.each<[string, Metric, number]>([
    ["precision", metrics.precision(), 0],
    ["recall", metrics.recall(), 0],
    ["auc", metrics.auc(), 0],
    ["f1Score", metrics.f1Score({ average: "macro" }), 0],
    ["mean of a loss", metrics.meanOf(losses.meanSquaredError()), 0],
    ["categoricalAccuracy", metrics.categoricalAccuracy(), 0],
  ])("%s of weights that are all 0 is 0, whatever is predicted", async (_, metric, wanted) => {
    expect(await values(metric, [nothing])).toEqual([wanted]);
  });

  test("a prediction that is NaN makes the area NaN, and is not in the top k", async () => {
    const part = { ...nothing, weight: float32([2], [1, 1]) };
    expect(await values(metrics.auc(), [part])).toEqual([NaN]);
    const target = int32([1], [0]);
    const topOne = { target, prediction: float32([1, 3], [NaN, 1, 2]), weight: float32([1], [1]) };
    expect(await values(metrics.sparseTopKCategoricalAccuracy({ k: 2 }), [topOne])).toEqual([0]);
  });

  test("the first of equal greatest classes counts for accuracy", async () => {
    const prediction = float32([4, 2], [1, 2, 5, 3, 7, 7, 7, 7]);
    const part = { target: int32([4, 1], [1, 1, 0, 1]), prediction, weight: float32([4], [1, 1, 1, 1]) };
    const metric = metrics.sparseCategoricalAccuracy();
    expect(metric.name).toBe("accuracy");
    expect(await values(metric, [part])).toEqual([0.5]);
  });
});

describe("metrics refuse settings out of range", () => {
  test.each<[string, () => unknown]>([
    ["no threshold", () => metrics.precision({ thresholds: [] })],
    ["one threshold for an area", () => metrics.auc({ numThresholds: 1 })],
    ["a curve that does not exist", () => metrics.auc({ curve: "roc" as "ROC" })],
    ["a beta of 0", () => metrics.fBetaScore({ beta: 0 })],
    ["an average that does not exist", () => metrics.f1Score({ average: "mean" as "macro" })],
    ["no classes", () => metrics.meanIoU({ numClasses: 0 })],
    ["the top 0", () => metrics.topKCategoricalAccuracy({ k: 0 })],
  ])("%s", (_, make) => {
    expect(make).toThrow(RangeError);
  });

  test("and options that do not exist", () => {
    expect(() => metrics.recall({ threshold: 0.5 } as object)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'thresholds'?" }),
    );
  });
});
