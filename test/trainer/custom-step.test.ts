// Steps of one's own: the examples on every backend with equal losses, and what a step may and may not do.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import { accumulationTrainer, run as accumulate } from "../../examples/accumulation.ts";
import { distillationTrainer, run as distill } from "../../examples/distillation.ts";
import { ganTrainer, run as gan } from "../../examples/gan.ts";
import { blobs as points } from "../../examples/blobs.ts";
import { layers, losses, ops, optimizers, StepTrainer, Trainer } from "../../src/trainer/index.ts";
import type { StepContext } from "../../src/trainer/index.ts";
import { backendNames } from "../../src/trainer/registry.ts";
import { batch, blobs, source } from "./batches.ts";

/** In units of the whole loss: a part of it may be a small difference of large numbers. */
const LOSS_TOLERANCE = 1e-5;

const examples = [
  { title: "GAN", run: gan },
  { title: "distillation", run: distill },
  { title: "accumulation", run: accumulate },
];

const folder = mkdtempSync(join(tmpdir(), "kdata-steps-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.each(examples)("the example $title", ({ run }) => {
  const expected = run("reference", points(10), 2);

  test.each(backendNames)("has the losses of the reference on %s", async (backend) => {
    const [wanted, found] = [await expected, await run(backend, points(10), 2)];
    expect(Object.keys(found)).toEqual(Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      for (const [epoch, value] of values.entries()) {
        expect(Math.abs(found[name]![epoch]! - value)).toBeLessThan(LOSS_TOLERANCE * wanted["loss"]![epoch]!);
      }
    }
    expect(wanted["loss"]!.at(-1)).not.toBe(wanted["loss"]![0]);
  });
});

describe("a step of one's own", () => {
  test("accumulates by hand what the optimizer accumulates by itself", async () => {
    const crossEntropy = losses.sparseCategoricalCrossentropy({ fromLogits: true });
    await using byHand = accumulationTrainer("reference", 3);
    await using byItself = new StepTrainer({
      backend: "reference",
      seed: 1,
      models: { model: layers.sequential([layers.dense(8, { activation: "tanh" }), layers.dense(2)]) },
      optimizers: { adam: optimizers.adam({ learningRate: 0.02, gradientAccumulationSteps: 3 }) },
      features: ["x", "y"],
      step({ models: { model }, optimizers: { adam }, batch }) {
        const loss = ops.mean(crossEntropy.build(batch.y, model.apply(batch.x)));
        adam.minimize(loss, model);
        return { loss };
      },
    });
    const [a, b] = [await byHand.fit(points(8), { epochs: 2 }), await byItself.fit(points(8), { epochs: 2 })];
    for (const [epoch, loss] of a["loss"]!.entries()) expect(loss).toBeCloseTo(b["loss"]![epoch]!, 6);
  });

  test("does what Trainer.fit does, callbacks and history included", async () => {
    const data = source(blobs(40, 10));
    const crossEntropy = losses.sparseCategoricalCrossentropy({ fromLogits: true });
    const seen: string[] = [];
    const callbacks = [
      {
        onTrainBegin: ({ epochs }: { epochs: number }) => void seen.push(`begin ${epochs}`),
        onTrainBatchEnd: ({ step, steps }: { step: number; steps: number | undefined }) =>
          void seen.push(`${step} of ${steps}`),
        onEpochEnd: ({ samples }: { samples: number }) => void seen.push(`${samples} samples`),
        onTrainEnd: () => void seen.push("end"),
      },
    ];
    await using own = new StepTrainer({
      backend: "reference",
      models: { m: layers.dense(2) },
      optimizers: { sgd: optimizers.sgd({ learningRate: 0.1 }) },
      features: ["x", "y"],
      step({ models, optimizers: { sgd }, batch }) {
        const loss = ops.mean(crossEntropy.build(batch.y, models.m.apply(batch.x)));
        sgd.minimize(loss, models.m);
        return { loss };
      },
    });
    await using ordinary = new Trainer(layers.dense(2), {
      backend: "reference",
      optimizer: optimizers.sgd({ learningRate: 0.1 }),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    });
    const start = await ordinary.evaluate(data);
    expect(start["loss"]).toBeGreaterThan(0);
    await own.setWeights("m", await ordinary.weights());
    expect(await own.fit(data, { epochs: 2, callbacks })).toEqual(await ordinary.fit(data, { epochs: 2 }));
    expect(seen.slice(0, 6)).toEqual(["begin 2", "0 of 4", "1 of 4", "2 of 4", "3 of 4", "40 samples"]);
    expect(seen.at(-1)).toBe("end");
  });

  test("changes no bit of a teacher that no optimizer is given", async () => {
    await using trainer = distillationTrainer("reference");
    await trainer.trainStep((await first(points(1)))!);
    const before = await trainer.weights();
    await trainer.fit(points(3));
    const after = await trainer.weights();
    const changed = [...before].filter(([path, { data }]) =>
      after.get(path)!.data.some((value, i) => value !== data[i]),
    );
    expect([...before.keys()].filter((path) => path.startsWith("teacher/"))).toHaveLength(4);
    expect(changed.map(([path]) => path.split("/")[0])).toEqual(["student", "student", "student", "student"]);
  });

  test("goes on after save and load as if it had not stopped", async () => {
    const path = join(folder, "gan.safetensors");
    await using whole = ganTrainer("reference");
    await whole.fit(points(5), { epochs: 2 });
    await using begun = ganTrainer("reference");
    await begun.fit(points(5));
    await begun.save(path);
    await using resumed = ganTrainer("reference");
    await resumed.load(path);
    await resumed.fit(points(5));
    expect([resumed.epoch, resumed.step]).toEqual([2, 10]);
    expect(await resumed.weights()).toEqual(await whole.weights());
  });

  test("gives back what it returns, and predicts with one of its models", async () => {
    await using trainer = ganTrainer("reference");
    const outputs = await trainer.trainStep((await first(points(1)))!);
    expect([...outputs.keys()]).toEqual(["loss", "discriminatorLoss", "generatorLoss"]);
    const noise = { dtype: "float32" as const, shape: [3, 4], data: new Float32Array(12) };
    expect((await trainer.predict("generator", noise)).shape).toEqual([3, 2]);
  });

  test("takes batches of several sizes, and gives samples that only fill one the weight 0", async () => {
    await using trainer = linear(({ batch, weight }) => ({ loss: ops.mean(batch.x), weights: weight }));
    const x = (rows: number) => ({
      x: { dtype: "float32" as const, shape: [rows, 2], data: new Float32Array(rows * 2) },
    });
    const one = await trainer.trainStep(batch(3, x(3), { padded: 1 }));
    const two = await trainer.trainStep(batch(2, x(2)));
    expect([one, two].map((outputs) => [...outputs.get("weights")!.data])).toEqual([
      [1, 1, 0],
      [1, 1],
    ]);
  });

  test.each([
    ["no loss", () => ({}) as never, "Cannot trace step: it returns no 'loss'; return a float32 scalar of that name"],
    [
      "a loss that is no scalar",
      ({ batch }: Context) => ({ loss: batch.x }),
      "Cannot trace step: its 'loss' is float32 [2, 2]",
    ],
    [
      "a model that is not applied",
      ({ batch, models, optimizers: { sgd } }: Context) => {
        sgd.minimize(ops.mean(batch.x), models.m);
        return { loss: ops.mean(batch.x) };
      },
      "Cannot differentiate by 'm': it has no parameter to train, or is not applied yet",
    ],
    [
      "an optimizer twice",
      ({ batch, models, optimizers: { sgd } }: Context) => {
        const loss = ops.mean(models.m.apply(batch.x));
        sgd.minimize(loss, models.m);
        sgd.minimize(loss, models.m);
        return { loss };
      },
      "Cannot apply optimizer 'sgd' twice in one step",
    ],
    [
      "a parameter twice",
      ({ batch, models, optimizers: { sgd, other } }: Context) => {
        const loss = ops.mean(models.m.apply(batch.x));
        sgd.minimize(loss, models.m);
        other.minimize(loss, models.m);
        return { loss };
      },
      "Cannot change 'm/kernel' twice in one step (optimizer 'other')",
    ],
    [
      "state of one name twice",
      ({ batch, state }: Context) => {
        state("count", []);
        state("count", []);
        return { loss: ops.mean(batch.x) };
      },
      "Cannot keep state 'count': the step has state of that name",
    ],
    [
      "given gradients where the loss would have to be scaled",
      ({ batch, models, optimizers: { other }, gradients }: Context) => {
        const loss = ops.mean(models.m.apply(batch.x));
        other.apply(gradients(loss, models.m));
        return { loss };
      },
      "Cannot apply gradients by optimizer 'other': it scales the loss; use minimize",
    ],
  ] as const)("refuses %s", async (_title, step, message) => {
    await using trainer = linear(step);
    const x = { dtype: "float32" as const, shape: [2, 2], data: new Float32Array(4) };
    await expect(trainer.trainStep(batch(2, { x }))).rejects.toThrow(message);
  });
});

type Context = StepContext<"m", "sgd" | "other", "x">;
type StepResult = ReturnType<ConstructorParameters<typeof StepTrainer<"m", "sgd" | "other", "x">>[0]["step"]>;

function linear(step: (context: Context) => StepResult) {
  return new StepTrainer({
    backend: "reference",
    models: { m: layers.dense(1) },
    optimizers: { sgd: optimizers.sgd(), other: optimizers.sgd({ lossScale: 8 }) },
    features: ["x"],
    step,
  });
}

async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}
