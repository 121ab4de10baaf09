// Precision policies: what is rounded, that every backend rounds alike, and the loss scale of float16.
// https://keras.io/api/mixed_precision/

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  Graph,
  layers,
  Layer,
  losses,
  ops,
  optimizers,
  StepTrainer,
  Trainer,
  type Precision,
} from "../../src/trainer/index.ts";
import { decodeHalf, encodeHalf, type HalfDType } from "../../src/core/half-float.ts";
import { RandomStream, deriveKeyFromName } from "../../src/core/random.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import { resolvePrecision } from "../../src/trainer/precision.ts";
import { openCandidates } from "./backends/candidates.ts";
import { batch, blobs, source } from "./batches.ts";

const backends = (await openCandidates()).flatMap(({ name, backend }) => (backend ? [{ name, backend }] : []));
const trainable = ["reference", "onnx", "tfjs", "jax"];
const formats = { mixed_bfloat16: "bfloat16", mixed_float16: "float16" } as const;
/** Half the spacing of the type's numbers around 1: the most that one rounding changes a number by. */
const unit = { mixed_bfloat16: 2 ** -9, mixed_float16: 2 ** -12 } as const;
type Mixed = keyof typeof formats;
const mixed: readonly Mixed[] = ["mixed_bfloat16", "mixed_float16"];

afterEach(() => {
  vi.unstubAllEnvs();
});

function network({ head }: { readonly head?: Precision } = {}): Layer {
  return layers.sequential([
    layers.dense(16, { activation: "gelu" }),
    layers.layerNormalization(),
    layers.dense(2, { ...(head && { dtype: head }) }),
  ]);
}

function trainerOf(backend: string, precision: Precision, model = network(), learningRate = 0.1): Trainer {
  return new Trainer(model, {
    backend,
    precision,
    computeThread: false,
    optimizer: optimizers.sgd({ learningRate, momentum: 0.9 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 3,
  });
}

function isOf(format: HalfDType, values: ArrayLike<number>): boolean {
  return Array.from(values).every((value) => Object.is(value, decodeHalf(format, encodeHalf(format, value))));
}

async function lossesOf(trainer: Trainer, epochs = 2): Promise<number[]> {
  const found: number[] = [];
  await trainer.fit(source(blobs(48, 16)), {
    epochs,
    callbacks: [{ onTrainBatchEnd: ({ loss }) => void found.push(loss) }],
  });
  return found;
}

describe.each(["float16", "bfloat16"] as const)("roundTo %s", (format) => {
  const random = new RandomStream(deriveKeyFromName(1, format));
  const values = Float32Array.from([
    ...[0, 1, -1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -11, 65504, 65519, 65520, -65520, Infinity, -Infinity, NaN],
    ...[2 ** -14, 2 ** -15, 2 ** -24, 2 ** -25, 3 * 2 ** -25, -3 * 2 ** -25, 1e-10, 3e38, -3.4e38, 1e-40],
    ...Array.from({ length: 400 }, () => random.normal() * 10 ** (random.uniform() * 14 - 8)),
  ]);

  test.each(backends)("$name rounds to nearest, ties to even", async ({ backend }) => {
    const graph = new Graph();
    const x = graph.input("x", [values.length], "float32");
    const rounded = ops.roundTo(ops.mul(x, 1), format);
    const plan = graph.plan({ name: "predict", feeds: { x }, state: {}, updates: {}, outputs: { rounded } });
    const session = await backend.open(new Map());
    try {
      const program = await session.compile(plan);
      const outputs = await program.run(new Map([["x", { dtype: "float32", shape: [values.length], data: values }]]));
      const wanted = Float32Array.from(values, (value) => decodeHalf(format, encodeHalf(format, value)));
      // + 0: of a zero the sign is not promised
      expect(Array.from(outputs.get("rounded")!.data as Float32Array, (value) => value + 0)).toEqual(
        Array.from(wanted, (value) => value + 0),
      );
    } finally {
      await session.close();
    }
  });

  test("rounding what is rounded, or only moved since, makes no node", () => {
    const graph = new Graph();
    const rounded = ops.roundTo(graph.input("x", [2, 3], "float32"), format);
    const moved = ops.relu(ops.transpose(ops.reshape(rounded, [3, 2]), [1, 0]));
    expect(ops.roundTo(rounded, format)).toBe(rounded);
    expect(ops.roundTo(ops.neg(ops.reshape(rounded, [6])), format).op.kind).toBe("neg");
    expect(ops.roundTo(moved, format).op.kind).toBe("roundTo"); // relu takes the greater of it and a constant
    expect(ops.roundTo(ops.add(rounded, 1), format).op.kind).toBe("roundTo");
  });
});

describe.each(trainable)("%s", (backend) => {
  test.each(mixed)("%s: what a model predicts is of the type, its weights are not", async (precision) => {
    await using trainer = trainerOf(backend, precision);
    await lossesOf(trainer, 1);
    const { data } = await trainer.predict(source(blobs(48, 16)));
    expect(isOf(formats[precision], data)).toBe(true);
    const kernel = (await trainer.weights()).get("dense/kernel")!;
    expect(isOf(formats[precision], kernel.data as Float32Array)).toBe(false);
    expect(trainer.explain()).toMatchObject({ precision, store: "weights and optimizer float32" });
  });

  test.each(mixed)(
    "%s: the losses are those of the reference within the type's tolerance, and not those of float32",
    async (precision) => {
      await using trainer = trainerOf(backend, precision);
      await using reference = trainerOf("reference", precision);
      await using whole = trainerOf("reference", "float32");
      const [found, wanted, exact] = [await lossesOf(trainer), await lossesOf(reference), await lossesOf(whole)];
      for (const [step, loss] of found.entries()) {
        expect(Math.abs(loss - wanted[step]!)).toBeLessThan(16 * unit[precision] * Math.max(0.1, wanted[step]!));
        expect(Math.abs(loss - exact[step]!)).toBeLessThan(32 * unit[precision] * Math.max(0.1, exact[step]!));
      }
      expect(found.some((loss, step) => Math.abs(loss - exact[step]!) > 1e-5 * exact[step]!)).toBe(true);
    },
  );

  test.each(mixed)(
    "%s: a layer with dtype float32 keeps all digits, through the layers around it",
    async (precision) => {
      await using trainer = trainerOf(backend, precision, network({ head: "float32" }));
      await lossesOf(trainer, 1);
      const { data } = await trainer.predict(source(blobs(48, 16)));
      expect(isOf(formats[precision], data)).toBe(false);
    },
  );

  test("mixed_float16: a step whose gradient overflows is passed over, halves the scale, and the next ones go on", async () => {
    await using trainer = trainerOf(backend, "mixed_float16");
    const [good] = blobs(16, 16);
    const wild = batch(16, {
      ...good!.features,
      x: { dtype: "float32", shape: [16, 2], data: new Float32Array(32).fill(1e6) },
    });
    await trainer.fit(source([good!]));
    const before = await trainer.weights();
    await trainer.fit(source([wild]));
    expect(await trainer.weights()).toEqual(before);
    const folder = mkdtempSync(join(tmpdir(), "kdata-"));
    try {
      await trainer.save(join(folder, "state.safetensors"));
      await using resumed = trainerOf(backend, "mixed_float16");
      await resumed.load(join(folder, "state.safetensors"));
      for (const one of [trainer, resumed]) await one.fit(source([good!, good!]));
      expect(await resumed.weights()).toEqual(await trainer.weights());
      expect(await resumed.weights()).not.toEqual(before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test.each(mixed)("%s: the gradient is that of float32 within the type's tolerance", async (precision) => {
  const after: Float32Array[] = [];
  for (const one of [precision, "float32"] as const) {
    await using trainer = trainerOf("reference", one, network(), 1);
    await trainer.fit(source(blobs(16, 16)));
    const weights = await trainer.weights();
    after.push(Float32Array.from([...weights.values()].flatMap(({ data }) => [...(data as Float32Array)])));
  }
  const [rounded, exact] = [after[0]!, after[1]!];
  const greatest = Math.max(...exact.map(Math.abs));
  rounded.forEach((value, i) => {
    expect(Math.abs(value - exact[i]!)).toBeLessThan(16 * unit[precision] * greatest);
  });
  expect([...rounded]).not.toEqual([...exact]);
});

test("gradients cross a border in the type: too great ones become infinite, too small ones vanish", async () => {
  const { gradient } = await import("../../src/trainer/index.ts");
  const graph = new Graph();
  const x = graph.input("x", [3], "float32");
  const factors = graph.constant({ dtype: "float32", shape: [3], data: Float32Array.of(1e5, 1 + 2 ** -12, 1e-9) });
  const [slope] = gradient(ops.sum(ops.mul(ops.roundTo(x, "float16"), factors)), [x]);
  const plan = graph.plan({ name: "train", feeds: { x }, state: {}, updates: {}, outputs: { slope: slope! } });
  const session = await backends[0]!.backend.open(new Map());
  const program = await session.compile(plan);
  const outputs = await program.run(new Map([["x", { dtype: "float32", shape: [3], data: new Float32Array(3) }]]));
  expect([...outputs.get("slope")!.data]).toEqual([Infinity, 1, 0]);
  await session.close();
});

test("the loss scale of float16 starts at 2^15, doubles after 2000 good steps and halves at a bad one", async () => {
  const optimizer = optimizers.sgd().scaled!();
  expect(optimizer.scalars).toMatchObject({ lossScale: { initial: 32768 }, finiteSteps: { initial: 0 } });
  expect(optimizer.scaled!()).toBe(optimizer);
  const graph = new Graph();
  const parameter = graph.input("p", [], "float32");
  const slope = graph.input("g", [], "float32");
  const scalars = Object.fromEntries(
    Object.entries(optimizer.scalars).map(([name, { dtype }]) => [name, graph.input(name, [], dtype)]),
  );
  const step = { path: "p", shape: [], parameter, gradient: slope, slots: {} };
  const next = optimizer.update([step], scalars).scalars;
  const plan = graph.plan({
    name: "train",
    feeds: { p: parameter, g: slope, ...scalars },
    state: {},
    updates: {},
    outputs: next,
  });
  const session = await backends[0]!.backend.open(new Map());
  const program = await session.compile(plan);
  async function after(finiteSteps: number, gradient: number): Promise<number[]> {
    const scalar = (value: number) => ({ dtype: "float32" as const, shape: [], data: Float32Array.of(value) });
    const count = (value: number) => ({ dtype: "int32" as const, shape: [], data: Int32Array.of(value) });
    const outputs = await program.run(
      new Map(
        Object.entries({
          ...{ p: scalar(1), g: scalar(gradient), learningRate: scalar(0.1), steps: count(7) },
          ...{ lossScale: scalar(1024), finiteSteps: count(finiteSteps) },
        }),
      ),
    );
    return [outputs.get("lossScale")!.data[0]!, outputs.get("finiteSteps")!.data[0]!].map(Number);
  }
  expect(await after(5, 1)).toEqual([1024, 6]);
  expect(await after(1999, 1)).toEqual([2048, 0]);
  expect(await after(1999, Infinity)).toEqual([512, 0]);
  expect(await after(5, NaN)).toEqual([512, 0]);
  await session.close();
});

test.each(["float32", "mixed_bfloat16", "mixed_float16"] as const)(
  "%s scales the loss by itself in float16 alone",
  async (precision) => {
    await using trainer = trainerOf("reference", precision);
    await lossesOf(trainer, 1);
    expect("lossScale" in trainer.explain()).toBe(precision === "mixed_float16");
  },
);

test("state of layers stays float32: the averages of batchNormalization have digits that the type has not", async () => {
  const model = layers.sequential([layers.dense(4), layers.batchNormalization(), layers.dense(2)]);
  await using trainer = trainerOf("onnx", "mixed_bfloat16", model);
  await lossesOf(trainer, 1);
  const averages = (await trainer.weights()).get("batch_normalization/movingVariance")!;
  expect(isOf("bfloat16", averages.data as Float32Array)).toBe(false);
});

test("the exported ONNX model computes what predict computes", async () => {
  await using trainer = trainerOf("onnx", "mixed_bfloat16");
  await lossesOf(trainer, 1);
  const [one] = blobs(16, 16);
  const wanted = await trainer.predict(source([one!]));
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const session = await InferenceSession.create(await trainer.exportOnnx());
  const { prediction } = await session.run({
    input: new Tensor("float32", (one!.features["x"] as Tensor<"float32">).data, [16, 2]),
  });
  expect([...(prediction!.data as Float32Array)]).toEqual([...wanted.data]);
});

test("in a step of one's own the models round and the step does not", async () => {
  await using trainer = new StepTrainer({
    backend: "reference",
    precision: "mixed_float16",
    models: { line: layers.dense(1) },
    optimizers: { sgd: optimizers.sgd({ learningRate: 0.1 }) },
    features: ["x"],
    step({ models: { line }, optimizers: { sgd }, batch: { x } }) {
      const scores = line.apply(x);
      const loss = ops.mul(ops.mean(ops.square(ops.sub(scores, 1))), 1 / 3);
      sgd.minimize(loss, line);
      return { loss, scores };
    },
  });
  const outputs = await trainer.trainStep(blobs(16, 16)[0]!);
  expect(isOf("float16", outputs.get("scores")!.data as Float32Array)).toBe(true);
  expect(isOf("float16", outputs.get("loss")!.data as Float32Array)).toBe(false);
  expect(trainer.explain()).toMatchObject({ precision: "mixed_float16", lossScale: "dynamic, from 32768" });
});

test("the precision is the option's, else the environment's, else float32; a misspelt one is refused", () => {
  expect(resolvePrecision()).toBe("float32");
  vi.stubEnv("KDATA_PRECISION", "mixed_float16");
  expect(resolvePrecision()).toBe("mixed_float16");
  expect(resolvePrecision("float32")).toBe("float32");
  vi.stubEnv("KDATA_PRECISION", "");
  expect(resolvePrecision()).toBe("float32");
  expect(() => resolvePrecision("mixed_bfloat6")).toThrow(/unknown precision.*did you mean mixed_bfloat16/);
  expect(() => layers.dense(1, { dtype: "half" as Precision })).toThrow(/unknown precision 'half'/);
});

test("an optimizer of one's own that cannot scale the loss is refused in float16 alone", () => {
  const own = { ...optimizers.sgd() };
  delete own.scaled;
  const options = { backend: "reference", optimizer: own, loss: losses.meanSquaredError() };
  expect(() => new Trainer(network(), { ...options, precision: "mixed_float16" })).toThrow(/does not scale the loss/);
  expect(() => new Trainer(network(), { ...options, precision: "mixed_bfloat16" })).not.toThrow();
});
