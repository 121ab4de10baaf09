import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { layers, losses, metrics, optimizers, progressBar, Trainer, type StepLogs } from "../../src/trainer/index.ts";
import { batch, blobs, source } from "./batches.ts";

function makeTrainer(overrides: Partial<ConstructorParameters<typeof Trainer>[1]> = {}): Trainer {
  const model = layers.sequential([layers.dense(8, { activation: "relu" }), layers.dense(2)]);
  return new Trainer(model, {
    backend: "reference",
    optimizer: optimizers.adam({ learningRate: 0.05 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
    seed: 7,
    ...overrides,
  });
}

describe("Trainer", () => {
  test("fit() learns two blobs, and evaluate() agrees with predict()", async () => {
    await using trainer = makeTrainer();
    const data = source(blobs(64, 16));
    const history = await trainer.fit(data, { epochs: 8, validation: data });
    expect(history["loss"]).toHaveLength(8);
    expect(history["loss"]![7]).toBeLessThan(history["loss"]![0]! / 3);
    expect(history["val_accuracy"]!.at(-1)).toBe(1);

    const logits = await trainer.predict(data);
    expect(logits.shape).toEqual([64, 2]);
    const right = Array.from({ length: 64 }, (_, i) => logits.data[2 * i + 1]! > logits.data[2 * i]! === (i % 2 === 1));
    expect(right.filter(Boolean)).toHaveLength(64);
  });

  test("the same seed gives the same losses, another seed others", async () => {
    const run = async (seed: number): Promise<number[]> => {
      await using trainer = makeTrainer({ seed });
      const history = await trainer.fit(source(blobs(32, 8)), { epochs: 3 });
      return history["loss"]!;
    };
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  test("evaluate() over uneven batches is the mean over samples", async () => {
    await using trainer = makeTrainer();
    const whole = await trainer.evaluate(source(blobs(50, 50)));
    const uneven = await trainer.evaluate(source(blobs(50, 16)));
    expect(uneven["loss"]).toBeCloseTo(whole["loss"]!, 5);
    expect(uneven["accuracy"]).toBe(whole["accuracy"]);
  });

  test("padded rows count neither in the loss nor in the predictions", async () => {
    await using trainer = makeTrainer();
    const [whole] = blobs(6, 6);
    const padded = batch(6, whole!.features, { padded: 2 });
    const [part] = blobs(4, 4);
    expect((await trainer.evaluate(source([padded])))["loss"]).toBeCloseTo(
      (await trainer.evaluate(source([part!])))["loss"]!,
      6,
    );
    expect((await trainer.predict(source([padded]))).shape).toEqual([4, 2]);
  });

  test("a batch of nothing but padding changes neither losses nor weights", async () => {
    const [whole] = blobs(6, 6);
    const filling = batch(6, whole!.features, { padded: 6, step: 1 });
    const sgd = { optimizer: optimizers.sgd({ learningRate: 0.1 }) };
    await using plain = makeTrainer(sgd);
    await using filled = makeTrainer(sgd);
    const history = await plain.fit(source([whole!]));
    expect(await filled.fit(source([whole!, filling]))).toEqual(history);
    expect(await filled.weights()).toEqual(await plain.weights());
    expect(await filled.evaluate(source([whole!, filling]))).toEqual(await plain.evaluate(source([whole!])));
  });

  test("callbacks see every step in order, and the bar shows loss, metric, pace and data wait", async () => {
    await using trainer = makeTrainer();
    const steps: StepLogs[] = [];
    let text = "";
    await trainer.fit(source(blobs(40, 16)), {
      epochs: 2,
      callbacks: [{ onTrainBatchEnd: (logs) => void steps.push(logs) }, progressBar({ write: (s) => (text += s) })],
    });
    expect(steps.map(({ epoch, step, samples }) => [epoch, step, samples])).toEqual([
      [0, 0, 16],
      [0, 1, 16],
      [0, 2, 8],
      [1, 0, 16],
      [1, 1, 16],
      [1, 2, 8],
    ]);
    expect(text.split("\n")).toHaveLength(3);
    expect(text).toMatch(
      /^epoch 1\/2 ━+ 3\/3 {2}loss \d\.\d{4} {2}acc \d\.\d{3} {2}\d+\.\d s \(\d+\.\d ms\/step, [\d,]+ smp\/s, data wait \d+%\)\n/,
    );
  });

  test("save() and load() go on as if never stopped, optimizer state included", async () => {
    await withFolder(async (folder) => {
      const data = source(blobs(32, 8));
      await using whole = makeTrainer();
      const uninterrupted = await whole.fit(data, { epochs: 4 });

      const path = join(folder, "half.safetensors");
      await using before = makeTrainer();
      await before.fit(data, { epochs: 2 });
      await before.save(path);
      await using after = makeTrainer({ seed: 99 });
      await after.load(path);
      const rest = await after.fit(data, { epochs: 2 });
      expect(after.epoch).toBe(4);
      expect(rest["loss"]).toEqual(uninterrupted["loss"]!.slice(2));
    });
  });

  test("exportOnnx() predicts as predict() does, in plain ONNX Runtime and at any batch size", async () => {
    await using trainer = makeTrainer();
    await trainer.fit(source(blobs(16, 8)));
    const ort = await import("onnxruntime-node");
    const served = await ort.InferenceSession.create(await trainer.exportOnnx());
    for (const size of [1, 3, 50]) {
      const [all] = blobs(size, size);
      const predicted = await trainer.predict(source([all!]));
      const x = all!.features["x"] as { data: Float32Array };
      const outputs = await served.run({ input: new ort.Tensor("float32", x.data, [size, 2]) });
      expect(outputs["prediction"]!.dims).toEqual([size, 2]);
      (outputs["prediction"]!.data as Float32Array).forEach((value, i) => {
        expect(value).toBeCloseTo(predicted.data[i]!, 5);
      });
    }
    await served.release();
  });

  test("load() refuses the weights of another model and names the tensor", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "w.safetensors");
      await using small = makeTrainer();
      await small.fit(source(blobs(8, 8)));
      await small.save(path);
      await using other = new Trainer(layers.sequential([layers.dense(9), layers.dense(2)]), {
        backend: "reference",
        optimizer: optimizers.adam(),
        loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      });
      await other.load(path);
      await expect(other.fit(source(blobs(8, 8)))).rejects.toThrow(
        /'model\/dense\/kernel' has the shape \[2, 8\], the model wants \[2, 9\]/,
      );
    });
  });

  test("load() keeps this trainer's own learning rate", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "w.safetensors");
      await using first = makeTrainer();
      await first.fit(source(blobs(16, 8)));
      await first.save(path);
      await using frozen = makeTrainer({ optimizer: optimizers.adam({ learningRate: 0 }) });
      await frozen.load(path);
      await frozen.fit(source(blobs(16, 8)));
      expect(await frozen.weights()).toEqual(await first.weights());
    });
  });

  test("load() into another optimizer is refused, and takes the weights alone when asked to", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "w.safetensors");
      await using first = makeTrainer();
      await first.fit(source(blobs(16, 8)));
      await first.save(path);
      const expected = await first.evaluate(source(blobs(16, 8)));

      await using other = makeTrainer({ optimizer: optimizers.sgd() });
      await other.evaluate(source(blobs(16, 8)));
      await expect(other.load(path)).rejects.toMatchObject({
        code: "state",
        hint: expect.stringMatching("weightsOnly") as string,
      });
      expect(other.epoch).toBe(0);
      await other.load(path, { weightsOnly: true });
      expect(await other.evaluate(source(blobs(16, 8)))).toEqual(expected);
    });
  });

  test("a load that failed is not forgotten: the trainer never goes on with random weights", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "w.safetensors");
      await using first = makeTrainer();
      await first.fit(source(blobs(8, 8)));
      await first.save(path);
      await using wider = new Trainer(layers.sequential([layers.dense(9), layers.dense(2)]), {
        backend: "reference",
        optimizer: optimizers.adam(),
        loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      });
      await wider.load(path);
      await expect(wider.evaluate(source(blobs(8, 8)))).rejects.toMatchObject({ code: "state" });
      await expect(wider.evaluate(source(blobs(8, 8)))).rejects.toMatchObject({ code: "state" });
    });
  });

  test("a closed trainer refuses to go on", async () => {
    const trainer = makeTrainer();
    await trainer.fit(source(blobs(8, 8)));
    await trainer.close();
    await expect(trainer.evaluate(source(blobs(8, 8)))).rejects.toThrow(/closed/);
    await expect(trainer.weights()).rejects.toThrow(/closed/);
  });

  test("a label outside the classes stops before the step and names the sample", async () => {
    await using trainer = makeTrainer();
    const [good] = blobs(4, 4);
    const labels = { dtype: "int32", shape: [4], data: Int32Array.of(0, 1, 2, 0) } as const;
    const bad = batch(4, { ...good!.features, y: labels });
    await expect(trainer.fit(source([bad]))).rejects.toThrow(
      /2 is not one of the model's 2 classes, 0 to 1 \(sample sample-2\)/,
    );
  });

  test("misspelt options and impossible numbers are refused", async () => {
    expect(() => makeTrainer({ metrcis: [] } as object)).toThrow(
      expect.objectContaining({ hint: "did you mean 'metrics'?" }),
    );
    expect(() => makeTrainer({ seed: -1 })).toThrow(RangeError);
    await using trainer = makeTrainer();
    await expect(trainer.fit(source(blobs(8, 8)), { epoch: 3 } as object)).rejects.toThrow(/no option 'epoch'/);
    await expect(trainer.fit(source(blobs(8, 8)), { epochs: 1.5 })).rejects.toThrow(RangeError);
  });

  test("timers and signals are heard while a backend computes without ever giving way", async () => {
    await using trainer = makeTrainer();
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort();
    }, 30);
    const endless = Array.from({ length: 100_000 }, () => blobs(8, 8)[0]!);
    const fit = trainer.fit(source(endless), { signal: controller.signal });
    await expect(fit).rejects.toMatchObject({ code: "aborted" });
    clearTimeout(timer);
  });

  test("an abort during the validation is not taken for success", async () => {
    await using trainer = makeTrainer();
    const controller = new AbortController();
    const validation = {
      async *[Symbol.asyncIterator]() {
        await Promise.resolve();
        for (const made of blobs(32, 8)) {
          controller.abort();
          yield made;
        }
      },
    };
    const fit = trainer.fit(source(blobs(8, 8)), { validation, signal: controller.signal });
    await expect(fit).rejects.toMatchObject({ code: "aborted" });
  });

  test("an aborted signal stops after the running step", async () => {
    await using trainer = makeTrainer();
    const controller = new AbortController();
    let steps = 0;
    const fit = trainer.fit(source(blobs(64, 8)), {
      signal: controller.signal,
      callbacks: [
        {
          onTrainBatchEnd() {
            steps++;
            if (steps === 2) controller.abort();
          },
        },
      ],
    });
    await expect(fit).rejects.toMatchObject({ code: "aborted" });
    expect(steps).toBe(2);
  });

  test("data without batches is an error, not an epoch of nothing", async () => {
    await using trainer = makeTrainer();
    await expect(trainer.fit(source([]))).rejects.toMatchObject({ code: "input" });
    await expect(trainer.evaluate(source([]))).rejects.toMatchObject({ code: "input" });
  });

  test("summary() lists layers, output shapes and parameters", async () => {
    await using trainer = makeTrainer();
    const table = trainer.summary([2]);
    expect(table).toMatch(/dense\s+Dense\s+\[B, 8\]\s+24\s+48\n/);
    expect(table).toMatch(/dense_1\s+Dense\s+\[B, 2\]\s+18/);
    expect(table).toMatch(/FLOPs and \d+ bytes of activations at most, forward, a sample$/);
    expect(table).toMatch(/total 42 parameters \(0\.00 MB\), 42 trainable/);
  });

  test("an unknown backend is refused with the known ones when the trainer is made", () => {
    expect(() => makeTrainer({ backend: "onxx" })).toThrow(/unknown backend 'onxx'.*did you mean onnx/);
  });
});

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "kdata-trainer-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("weights, classes and rates in training", () => {
  const sgd = { optimizer: optimizers.sgd({ learningRate: 0.5 }) };
  const [whole] = blobs(8, 8);

  /** The batch with weights, and the batch that holds each sample as often as it weighs. */
  function weightedAndRepeated(weights: readonly number[]) {
    const { x, y } = whole!.features as unknown as Record<"x" | "y", { data: Float32Array }>;
    const rows = weights.flatMap((weight, row) => Array.from({ length: weight }, () => row));
    const size = rows.length;
    const repeated = batch(size, {
      x: {
        dtype: "float32",
        shape: [size, 2],
        data: Float32Array.from(rows.flatMap((r) => [x.data[2 * r]!, x.data[2 * r + 1]!])),
      },
      y: { dtype: "int32", shape: [size], data: Int32Array.from(rows.map((r) => y.data[r]!)) },
    });
    const w = { dtype: "float32", shape: [8], data: Float32Array.from(weights) } as const;
    return { weighted: batch(8, { ...whole!.features, w }), repeated };
  }

  test("a sample that weighs 3 is as three samples, one that weighs 0 as none", async () => {
    const { weighted, repeated } = weightedAndRepeated([3, 0, 1, 2, 1, 1, 0, 4]);
    await using one = makeTrainer({ ...sgd, sampleWeight: "w" });
    await using other = makeTrainer(sgd);
    const [found, wanted] = [
      await one.fit(source([weighted]), { epochs: 3 }),
      await other.fit(source([repeated]), { epochs: 3 }),
    ];
    for (const name of ["loss", "accuracy"]) {
      for (const [i, value] of wanted[name]!.entries()) expect(found[name]![i]).toBeCloseTo(value, 5);
    }
  });

  test("classWeight is the weight of each sample of the class, in training only", async () => {
    const { weighted } = weightedAndRepeated([2, 5, 2, 5, 2, 5, 2, 5]);
    await using one = makeTrainer({ ...sgd, sampleWeight: "w" });
    await using other = makeTrainer(sgd);
    await using plain = makeTrainer(sgd);
    const wanted = await one.fit(source([weighted]), { epochs: 2 });
    const data = source([whole!]);
    expect(await plain.evaluate(data)).toEqual(await other.evaluate(data));
    expect(await other.fit(data, { epochs: 2, classWeight: { 0: 2, 1: 5 } })).toEqual(wanted);
    await expect(other.fit(data, { classWeight: { 0: -1 } })).rejects.toThrow(RangeError);
  });

  test("weights of places [batch, time] weigh tokens, with and without classWeight", async () => {
    const shape = [2, 3];
    const tokens = batch(2, {
      x: { dtype: "float32", shape: [2, 3, 2], data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) },
      y: { dtype: "int32", shape, data: Int32Array.from([0, 1, 0, 1, 1, 0]) },
      w: { dtype: "uint8", shape, data: Uint8Array.from([1, 1, 0, 1, 0, 0]) },
    });
    const kept = batch(3, {
      x: { dtype: "float32", shape: [3, 2], data: Float32Array.from([1, 2, 3, 4, 7, 8]) },
      y: { dtype: "int32", shape: [3], data: Int32Array.from([0, 1, 1]) },
    });
    for (const classWeight of [undefined, { 1: 3 }]) {
      await using one = makeTrainer({ ...sgd, sampleWeight: "w" });
      await using other = makeTrainer(sgd);
      const options = { epochs: 2, ...(classWeight && { classWeight }) };
      const [found, wanted] = [await one.fit(source([tokens]), options), await other.fit(source([kept]), options)];
      for (const name of ["loss", "accuracy"]) {
        for (const [i, value] of wanted[name]!.entries()) expect(found[name]![i]).toBeCloseTo(value, 4);
      }
    }
  });

  test("a weight that is none, and one that does not fit the targets, are refused by name", async () => {
    await using trainer = makeTrainer({ ...sgd, sampleWeight: "w" });
    function withWeights(shape: readonly number[], data: Float32Array) {
      return source([batch(8, { ...whole!.features, w: { dtype: "float32", shape, data } })]);
    }
    await expect(trainer.fit(withWeights([8], new Float32Array(8).fill(-1)))).rejects.toThrow(/'w': -1 .*sample-0/);
    await expect(trainer.fit(withWeights([8, 3], new Float32Array(24)))).rejects.toMatchObject({ code: "shape" });
  });

  test("the learning rate is read and set between steps, and stays when weights are loaded", async () => {
    await using trainer = makeTrainer({ optimizer: optimizers.sgd({ learningRate: 0.5 }) });
    expect(await trainer.learningRate()).toBe(0.5);
    await trainer.setLearningRate(0);
    await trainer.fit(source([whole!]));
    const before = await trainer.weights();
    await trainer.fit(source([whole!]));
    expect(await trainer.weights()).toEqual(before);
    await trainer.setLearningRate(0.25);
    await trainer.fit(source([whole!]));
    expect(await trainer.learningRate()).toBe(0.25);
    expect(await trainer.weights()).not.toEqual(before);
  });

  test("a schedule goes on exactly where a saved run stopped", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kdata-schedule-"));
    try {
      const learningRate = optimizers.cosineDecay({ peak: 0.1, warmupSteps: 3, steps: 20 });
      const options = { optimizer: optimizers.adamW({ learningRate, gradientAccumulationSteps: 2, useEma: true }) };
      const data = source(blobs(24, 8));
      await using whole = makeTrainer(options);
      await whole.fit(data, { epochs: 4 });
      await using first = makeTrainer(options);
      await first.fit(data, { epochs: 2 });
      await first.save(join(folder, "run.safetensors"));
      await using second = makeTrainer(options);
      await second.load(join(folder, "run.safetensors"));
      await second.fit(data, { epochs: 2 });
      expect(await second.weights()).toEqual(await whole.weights());
      expect(await second.averagedWeights()).toEqual(await whole.averagedWeights());
      expect((await second.averagedWeights()).size).toBe(4);
      expect(await second.learningRate()).toBe(await whole.learningRate());
      await expect(second.setLearningRate(1)).rejects.toThrow(TypeError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("two metrics of one name are refused before anything runs", () => {
    const twice = [metrics.sparseCategoricalAccuracy(), metrics.sparseCategoricalAccuracy()];
    expect(() => makeTrainer({ metrics: twice })).toThrow(/'accuracy'/);
  });

  test("a metric with a result a class is logged class by class", async () => {
    const y = { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) } as const;
    const x = { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } as const;
    await using trainer = makeTrainer({
      loss: losses.categoricalCrossentropy({ fromLogits: true }),
      metrics: [metrics.f1Score()],
    });
    const values = await trainer.evaluate(source([batch(2, { x, y })]));
    expect(Object.keys(values)).toEqual(["loss", "f1Score/0", "f1Score/1"]);
  });
});
