// Timing a model on each backend and with each knob. Nothing here depends on how long anything takes.

import { expect, test } from "vitest";
import {
  formatTrainerBench,
  layers,
  losses,
  optimizers,
  Trainer,
  type TrainerBenchReport,
} from "../../src/trainer/index.ts";
import { openBackend, registerBackend } from "../../src/trainer/registry.ts";
import { KdataError } from "../../src/core/errors.ts";
import type { Optimizer } from "../../src/trainer/optimizers/optimizer.ts";
import { blobs, source } from "./batches.ts";

function trainerOf(backend = "reference"): Trainer {
  return new Trainer(layers.sequential([layers.dense(4, { activation: "relu" }), layers.dense(2)]), {
    backend,
    optimizer: optimizers.sgd(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 1,
  });
}

registerBackend("two-knobs", async () => ({
  ...(await openBackend("reference")),
  name: "two-knobs",
  knobs: {
    pace: { kind: "choice", about: "how fast", default: "walk", choices: ["walk", "run", "fly"] },
    loud: { kind: "flag", about: "how loud", default: false },
  },
  async open(state, knobs = {}) {
    if (knobs["pace"] === "fly") throw new KdataError("package", "Cannot fly: no wings");
    return (await openBackend("reference")).open(state);
  },
}));

test("each backend is timed on the data, one that is absent says why, and the trainer stays as it is", async () => {
  await using trainer = trainerOf();
  registerBackend("absent", () => Promise.reject(new KdataError("package", "Cannot use absent: not installed")));
  const report = await trainer.bench(source(blobs(48, 16)), { backends: ["absent", "reference", "onnx"], steps: 2 });
  expect(report).toMatchObject({ schema: "kdata.bench-train/1", batchSize: 16, steps: 2, knobs: [] });
  const [first, second, last] = report.backends;
  expect([first!.backend, second!.backend].sort()).toEqual(["onnx", "reference"]);
  expect(last).toMatchObject({ backend: "absent", absent: "Cannot use absent: not installed" });
  for (const times of [first!, second!]) {
    expect(times.absent).toBeUndefined();
    expect(times.msPerStep).toBeGreaterThan(0);
    expect(times.samplesPerSecond).toBeGreaterThan(0);
  }
  expect(report.recommendation).toEqual({ backend: first!.backend, knobs: {}, speedup: 1 });
  expect(trainer.step).toBe(0);
});

test("each value of each knob and each precision has a line, with the default that it was measured against", async () => {
  await using trainer = trainerOf("two-knobs");
  const labels: string[] = [];
  const options = {
    backends: ["two-knobs"],
    knobs: true,
    steps: 1,
    rounds: 1,
    onPart: (part: string) => void labels.push(part),
  };
  const { knobs } = await trainer.bench(source(blobs(16, 16)), options);
  const alone = knobs.filter(({ knob }) => knob !== "together");
  expect(alone.map(({ knob, value, default: own }) => [knob, value, own])).toEqual([
    ["pace", "run", "walk"],
    ["pace", "fly", "walk"],
    ["loud", true, false],
    ["precision", "mixed_bfloat16", "float32"],
    ["precision", "mixed_float16", "float32"],
  ]);
  expect(knobs[1]).toMatchObject({ verdict: "not here", absent: "Cannot fly: no wings" });
  expect(knobs[0]!.lossDifference).toBe(0);
  expect(knobs[3]!.lossDifference).toBeGreaterThan(0);
  expect(labels.slice(0, 2)).toEqual(["two-knobs", "two-knobs pace=run"]);
});

test("a knob that is set already is what the others are measured against", async () => {
  await using trainer = new Trainer(layers.dense(2), {
    backend: "two-knobs",
    knobs: { pace: "run" },
    precision: "mixed_bfloat16",
    optimizer: optimizers.sgd(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  const { knobs } = await trainer.bench(source(blobs(16, 16)), {
    backends: ["two-knobs"],
    knobs: true,
    steps: 1,
    rounds: 1,
  });
  expect(knobs.find(({ value }) => value === "walk")).toMatchObject({ knob: "pace", default: "run" });
  expect(knobs.find(({ value }) => value === "float32")).toMatchObject({
    knob: "precision",
    default: "mixed_bfloat16",
  });
});

test("without a batch, with an option that is not there, with no steps: refused", async () => {
  await using trainer = trainerOf();
  const only = { backends: ["reference"] };
  await expect(trainer.bench([], only)).rejects.toMatchObject({ code: "input" });
  await expect(trainer.bench(source(blobs(16, 16)), { ...only, steps: 0 })).rejects.toThrow(RangeError);
  const misspelt = { ...only, round: 1 };
  await expect(trainer.bench(source(blobs(16, 16)), misspelt)).rejects.toMatchObject({ code: "usage" });
});

test("the lines for people say what helps, what is missing and what to take", () => {
  const times = {
    absent: undefined,
    engine: "loops 1",
    device: "cpu",
    firstStepMs: 9,
    samplesPerSecond: 4000,
    dataWait: 0.25,
  };
  const knob = { backend: "a", of: "train", absent: undefined, lossDifference: 0 } as const;
  const report: TrainerBenchReport = {
    schema: "kdata.bench-train/1",
    batchSize: 8,
    steps: 5,
    rounds: 3,
    backends: [
      { backend: "a", msPerStep: 2, memoryBytes: 2 ** 21, ...times },
      { backend: "b", msPerStep: 0, memoryBytes: 0, ...times, absent: "Cannot use b" },
    ],
    knobs: [
      {
        ...knob,
        knob: "pace",
        value: "run",
        default: "walk",
        msPerStep: 1,
        defaultMsPerStep: 2,
        ratio: 0.5,
        verdict: "faster",
      },
    ],
    recommendation: { backend: "a", knobs: { pace: "run" }, speedup: 2 },
  };
  expect(formatTrainerBench(report)).toEqual([
    "batches of 8, 5 steps",
    "backend  ms/step  samples/s  first step  data wait  memory  where",
    "a        2.00     4,000      9 ms        25 %       2 MiB   loops 1, cpu",
    "",
    "one knob at a time, in turn with the default, median of 3 rounds",
    "backend  knob      of     ms/step  default  ratio          loss differs",
    "a        pace=run  train  1.00     2.00     0.50   faster  0",
    "",
    "not here:",
    "  b: Cannot use b",
    "",
    "recommended: a with pace=run (2.00 times as fast)",
  ]);
});

test("a precision that the optimizer cannot do is absent, and the rest is measured", async () => {
  const own: Optimizer = { ...optimizers.sgd() };
  delete own.scaled;
  await using trainer = new Trainer(layers.dense(2), {
    backend: "reference",
    optimizer: own,
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  const options = { backends: ["reference"], knobs: true, steps: 1, rounds: 1 };
  const { knobs } = await trainer.bench(source(blobs(16, 16)), options);
  const reasonOf = (precision: string) => knobs.find(({ value }) => value === precision)?.absent;
  expect(reasonOf("mixed_float16")).toMatch(/does not scale the loss/);
  expect(reasonOf("mixed_bfloat16")).toBeUndefined();
});
