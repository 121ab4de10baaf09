import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { callbacks, layers, losses, metrics, optimizers, Trainer, type Callback } from "../../src/trainer/index.ts";
import { batch, blobs, source } from "./batches.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-fit-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function makeTrainer(overrides: Partial<ConstructorParameters<typeof Trainer>[1]> = {}): Trainer {
  const model = layers.sequential([layers.dense(8, { activation: "relu" }), layers.dropout(0.2), layers.dense(2)]);
  return new Trainer(model, {
    backend: "reference",
    optimizer: optimizers.adam({ learningRate: 0.05 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
    seed: 7,
    ...overrides,
  });
}

const [all] = blobs(40, 40);
const arrays = all!.features as Record<"x" | "y", Extract<Batch["features"][string], { dtype: string }>>;

describe("fit() pipelines", () => {
  test("each batch is released before its step has ended, and the next one is fetched while it computes", async () => {
    await using trainer = makeTrainer();
    const events: string[] = [];
    const data = source(
      blobs(24, 8).map((made, i) =>
        batch(made.size, made.features, { step: i, release: () => events.push(`release ${i}`) }),
      ),
    );
    await trainer.fit(data, {
      callbacks: [{ onTrainBatchEnd: ({ step }) => void events.push(`trained ${step}`) }],
    });
    expect(events.filter((event) => event.startsWith("trained"))).toEqual(["trained 0", "trained 1", "trained 2"]);
    for (const i of [0, 1, 2]) expect(events.indexOf(`release ${i}`)).toBeLessThan(events.indexOf(`trained ${i}`));
    expect(events.filter((event) => event.startsWith("release"))).toHaveLength(3);
  });

  test("a source that reuses its memory trains as one that does not", async () => {
    const memory = blobs(8, 8)[0]!;
    const data = {
      async *[Symbol.asyncIterator]() {
        for (const made of blobs(40, 8)) {
          await Promise.resolve();
          for (const name of ["x", "y"]) {
            const [to, from] = [memory, made].map(({ features }) => features[name] as { data: Float32Array });
            to!.data.set(from!.data);
          }
          yield memory;
        }
      },
    };
    await using reused = makeTrainer();
    await using fresh = makeTrainer();
    expect(await reused.fit(data, { epochs: 2 })).toEqual(await fresh.fit(source(blobs(40, 8)), { epochs: 2 }));
  });

  test("an error of the data behind a fetched batch comes at its place, and the iteration is closed when a callback throws", async () => {
    await using trainer = makeTrainer();
    let steps = 0;
    let closed = 0;
    const broken = {
      async *[Symbol.asyncIterator]() {
        try {
          await Promise.resolve();
          yield* blobs(16, 8);
          throw new RangeError("disk gone");
        } finally {
          closed++;
        }
      },
    };
    await expect(
      trainer.fit(broken, {
        callbacks: [
          {
            onTrainBatchEnd: () => {
              steps++;
            },
          },
        ],
      }),
    ).rejects.toThrow("disk gone");
    expect([steps, closed]).toEqual([2, 1]);
    const throwing: Callback = {
      onTrainBatchEnd() {
        throw new TypeError("enough");
      },
    };
    await expect(trainer.fit(broken, { callbacks: [throwing] })).rejects.toThrow("enough");
    expect(closed).toBe(2);
  });

  test("an abort ends a run that waits for data that never comes", async () => {
    await using trainer = makeTrainer();
    const controller = new AbortController();
    const hanging = {
      async *[Symbol.asyncIterator]() {
        yield* blobs(8, 8);
        await new Promise(() => undefined);
      },
    };
    const fit = trainer.fit(hanging, {
      signal: controller.signal,
      callbacks: [
        {
          onTrainBatchEnd: () =>
            void setImmediate(() => {
              controller.abort();
            }),
        },
      ],
    });
    await expect(fit).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("fit() takes", () => {
  test("arrays, in another seeded order each epoch, the last part held back", async () => {
    const run = async (seed: number): Promise<{ keys: string[]; history: Record<string, number[]> }> => {
      await using trainer = makeTrainer({ seed });
      const keys: string[] = [];
      const history = await trainer.fit(arrays, {
        epochs: 2,
        batchSize: 8,
        validationSplit: 0.2,
        callbacks: [{ onTrainBatchEnd: (logs) => void keys.push(...logs.keys) }],
      });
      return { keys, history };
    };
    const { keys, history } = await run(1);
    expect(keys).toHaveLength(64);
    const epochs = [keys.slice(0, 32), keys.slice(32)];
    for (const epoch of epochs)
      expect(epoch.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => i));
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(history["val_loss"]).toHaveLength(2);
    expect(await run(1)).toEqual({ keys, history });
    expect((await run(2)).keys).not.toEqual(keys);
  });

  test("evaluate() and predict() take arrays in order", async () => {
    await using trainer = makeTrainer();
    expect(await trainer.evaluate(arrays, { batchSize: 16 })).toEqual(await trainer.evaluate(source(blobs(40, 16))));
    expect((await trainer.predict(arrays, { batchSize: 16, steps: 2 })).shape).toEqual([32, 2]);
  });

  test("a list of batches as they are", async () => {
    await using one = makeTrainer();
    await using other = makeTrainer();
    expect(await one.fit(blobs(16, 8), { epochs: 2 })).toEqual(await other.fit(source(blobs(16, 8)), { epochs: 2 }));
  });

  test("stepsPerEpoch goes on where the last epoch stopped, and begins anew at the end of the data", async () => {
    await using trainer = makeTrainer();
    const seen: string[] = [];
    const data = source(
      blobs(24, 8).map(({ size, features }, i) =>
        batch(size, features, { keys: Array.from({ length: 8 }, () => `b${i}`) }),
      ),
    );
    await trainer.fit(data, {
      epochs: 2,
      stepsPerEpoch: 4,
      callbacks: [{ onTrainBatchEnd: ({ keys }) => void seen.push(keys[0]!) }],
    });
    expect(seen.join(" ")).toBe("b0 b1 b2 b0 b1 b2 b0 b1");
  });

  test("initialEpoch with epochs as the end, as Keras has it", async () => {
    await using trainer = makeTrainer();
    const epochs: number[] = [];
    await trainer.fit(blobs(8, 8), {
      initialEpoch: 3,
      epochs: 5,
      callbacks: [{ onEpochBegin: (epoch) => void epochs.push(epoch) }],
    });
    expect(epochs).toEqual([3, 4]);
  });

  test("no part of batches to hold back, and no arrays of different lengths", async () => {
    await using trainer = makeTrainer();
    await expect(trainer.fit(blobs(8, 8), { validationSplit: 0.5 })).rejects.toThrow(
      /validationSplit holds back a part of arrays/,
    );
    const y = { dtype: "int32", shape: [3], data: new Int32Array(3) } as const;
    await expect(trainer.fit({ x: arrays.x, y })).rejects.toThrow("'x' has 40 samples, 'y' 3");
    await expect(trainer.fit(arrays, { validationSplit: 0.5, validation: arrays })).rejects.toThrow(TypeError);
  });
});

describe("callbacks", () => {
  test("all of Keras' moments come in Keras' order", async () => {
    await using trainer = makeTrainer();
    const seen: string[] = [];
    const names = [
      "onTrainBegin", "onEpochBegin", "onTrainBatchBegin", "onTrainBatchEnd", "onTestBegin", "onTestBatchBegin", "onTestBatchEnd",
      "onTestEnd", "onEpochEnd", "onTrainEnd", "onPredictBegin", "onPredictBatchBegin", "onPredictBatchEnd", "onPredictEnd",
    ] as const; // prettier-ignore
    const spy = Object.fromEntries(names.map((name) => [name, () => void seen.push(name)])) as Callback;
    await trainer.fit(blobs(8, 8), { validation: blobs(8, 8), callbacks: [spy] });
    await trainer.predict(blobs(8, 8), { callbacks: [spy] });
    expect(seen).toEqual(names);
  });

  test("earlyStopping ends the run and brings back the best weights", async () => {
    await using trainer = makeTrainer({ optimizer: optimizers.sgd({ learningRate: 0.5 }) });
    const best: unknown[] = [];
    const stopping = callbacks.earlyStopping({ monitor: "loss", patience: 2, minDelta: 100, restoreBestWeights: true });
    const history = await trainer.fit(blobs(16, 8), {
      epochs: 10,
      callbacks: [
        {
          onEpochEnd: async ({ epoch }) => {
            if (epoch === 0) best.push(await trainer.weights());
          },
        },
        stopping,
      ],
    });
    expect(history["loss"]).toHaveLength(3);
    expect([stopping.bestEpoch, stopping.stoppedEpoch]).toEqual([0, 2]);
    expect(await trainer.weights()).toEqual(best[0]);
    await expect(trainer.fit(blobs(8, 8), { callbacks: [callbacks.earlyStopping()] })).rejects.toThrow(
      /'val_loss'.*only loss, accuracy/,
    );
  });

  test("reduceLROnPlateau and learningRateScheduler set the rate", async () => {
    await using trainer = makeTrainer({ optimizer: optimizers.sgd({ learningRate: 1 }) });
    const plateau = callbacks.reduceLROnPlateau({
      monitor: "loss",
      factor: 0.5,
      patience: 1,
      minDelta: 1e9,
      minLearningRate: 0.2,
    });
    await trainer.fit(blobs(8, 8), { epochs: 5, callbacks: [plateau] });
    expect(await trainer.learningRate()).toBeCloseTo(0.2);
    const rates: number[] = [];
    const scheduler = callbacks.learningRateScheduler((epoch, rate) => rate / (epoch === 5 ? 1 : 2));
    await trainer.fit(blobs(8, 8), {
      epochs: 2,
      callbacks: [scheduler, { onTrainBatchEnd: async () => void rates.push(await trainer.learningRate()) }],
    });
    expect(rates[0]).toBeCloseTo(0.2);
    expect(rates[1]).toBeCloseTo(0.1);
  });

  test("terminateOnNaN stops at the step and says which", async () => {
    await using trainer = makeTrainer();
    const [good, bad, never] = blobs(24, 8);
    (bad!.features["x"] as { data: Float32Array }).data.fill(NaN);
    const nan = callbacks.terminateOnNaN();
    await trainer.fit([good!, bad!, never!], { epochs: 3, callbacks: [nan] });
    expect(nan.stoppedAt).toEqual({ epoch: 0, step: 1 });
    expect(trainer.step).toBe(2);
  });

  test("modelCheckpoint fills in names and keeps the best alone", async () => {
    await using trainer = makeTrainer();
    const named = callbacks.modelCheckpoint(join(folder, "m-{epoch:02d}-{loss:.2f}.safetensors"), {
      saveWeightsOnly: true,
    });
    const best = callbacks.modelCheckpoint(join(folder, "best-{epoch}.safetensors"), {
      monitor: "accuracy",
      saveBestOnly: true,
      initialValueThreshold: 2,
    });
    const history = await trainer.fit(blobs(16, 8), { epochs: 2, callbacks: [named, best] });
    expect(readdirSync(folder).sort()).toEqual(
      history["loss"]!.map((loss, i) => `m-0${i + 1}-${loss.toFixed(2)}.safetensors`),
    );
    await using loaded = makeTrainer();
    await loaded.load(join(folder, readdirSync(folder).sort().at(-1)!), { weightsOnly: true });
    expect(await loaded.evaluate(blobs(16, 8))).toEqual(await trainer.evaluate(blobs(16, 8)));
  });

  test("csvLogger writes a line an epoch", async () => {
    await using trainer = makeTrainer();
    const history = await trainer.fit(blobs(16, 8), {
      epochs: 2,
      callbacks: [callbacks.csvLogger(join(folder, "log.csv"))],
    });
    const lines = readFileSync(join(folder, "log.csv"), "utf8").trimEnd().split("\n");
    expect(lines).toEqual([
      "epoch,loss,accuracy",
      ...[0, 1].map((i) => `${i},${history["loss"]![i]},${history["accuracy"]![i]}`),
    ]);
  });
});

describe("checkpoints", () => {
  const data = (): Batch[] => blobs(40, 8);

  /** Trains to the end in a folder, stopped by an error behind each of the given steps. */
  async function interrupted(stops: readonly number[], every: { steps: number } | { epochs: number }) {
    for (const stop of [...stops, Infinity]) {
      await using trainer = makeTrainer();
      const stopping = callbacks.reduceLROnPlateau({ monitor: "loss", factor: 0.5, patience: 1, minDelta: 0.2 });
      const crash: Callback = {
        onTrainBatchEnd() {
          if (trainer.step === stop) throw new Error("crash");
        },
      };
      const run = trainer.fit(data(), {
        epochs: 4,
        checkpoint: folder,
        resume: true,
        every,
        callbacks: [stopping, crash],
      });
      if (stop === Infinity)
        return { history: await run, weights: await trainer.weights(), rate: await trainer.learningRate() };
      await expect(run).rejects.toThrow("crash");
    }
    throw new Error("unreachable");
  }

  test.each([
    [[3, 9, 11, 16], { steps: 1 }],
    [[4, 5, 6, 10], { steps: 2 }],
    [[2, 7, 18], { epochs: 1 }],
  ] as const)("a run stopped at steps %j, saved every %j, ends as one that was not", async (stops, every) => {
    await using whole = makeTrainer();
    const plateau = callbacks.reduceLROnPlateau({ monitor: "loss", factor: 0.5, patience: 1, minDelta: 0.2 });
    const history = await whole.fit(data(), { epochs: 4, callbacks: [plateau] });
    const wanted = { history, weights: await whole.weights(), rate: await whole.learningRate() };
    expect(await interrupted(stops, every)).toEqual(wanted);
  });

  test("a run stopped behind the last batch of an epoch goes on with the order of the next one", async () => {
    const options = { epochs: 2, batchSize: 8, checkpoint: folder, resume: true, every: { steps: 5 } } as const;
    await using whole = makeTrainer();
    await whole.fit(arrays, { epochs: 2, batchSize: 8 });
    await using first = makeTrainer();
    const crash: Callback = {
      onEpochEnd() {
        throw new Error("crash");
      },
    };
    await expect(first.fit(arrays, { ...options, callbacks: [crash] })).rejects.toThrow("crash");
    await using second = makeTrainer();
    await second.fit(arrays, options);
    expect(await second.weights()).toEqual(await whole.weights());
  });

  test("a shuffled run over arrays goes on with the very next samples", async () => {
    const keys: string[] = [];
    const log: Callback = { onTrainBatchEnd: (logs) => void keys.push(...logs.keys) };
    await using whole = makeTrainer();
    await whole.fit(arrays, { epochs: 2, batchSize: 8, callbacks: [log] });
    const wanted = keys.splice(0);
    const controller = new AbortController();
    await using first = makeTrainer();
    const stop: Callback = {
      onTrainBatchEnd: () => {
        if (first.step === 3) controller.abort();
      },
    };
    const options = { epochs: 2, batchSize: 8, checkpoint: folder, resume: true };
    await expect(
      first.fit(arrays, { ...options, signal: controller.signal, callbacks: [log, stop] }),
    ).rejects.toMatchObject({ code: "aborted" });
    await using second = makeTrainer();
    await second.fit(arrays, { ...options, callbacks: [log] });
    expect(keys).toEqual(wanted);
    expect(await second.weights()).toEqual(await whole.weights());
  });

  test("a damaged checkpoint is passed over for the one before it, and said", async () => {
    const options = { checkpoint: folder, resume: true, every: { steps: 5 } } as const;
    await using first = makeTrainer();
    await first.fit(data(), { ...options, epochs: 2 });
    const newest = readdirSync(folder).sort().at(-1)!;
    const path = join(folder, newest, "state.safetensors");
    const bytes = readFileSync(path);
    bytes[bytes.length - 3]! ^= 1;
    writeFileSync(path, bytes);
    await using second = makeTrainer();
    const seen: unknown[] = [];
    await second.fit(data(), {
      ...options,
      epochs: 2,
      callbacks: [{ onTrainBegin: ({ resumed }) => void seen.push(resumed) }],
    });
    expect(seen).toMatchObject([{ step: 5, damaged: [{ path: join(folder, newest) }] }]);
    expect(JSON.stringify(seen)).toMatch(/the checksum does not match/);
    expect(await second.weights()).toEqual(await first.weights());
  });

  test("keep bounds how many there are, best keeps one more, and a folder with checkpoints is refused without resume", async () => {
    await using trainer = makeTrainer();
    const options = { epochs: 5, checkpoint: folder, keep: 2 } as const;
    const history = await trainer.fit(data(), { ...options, best: "loss" });
    const best = history["loss"]!.indexOf(Math.min(...history["loss"]!)) + 1;
    const steps = readdirSync(folder).map((name) => Number(name.slice(5)) / 5);
    expect(steps.sort()).toEqual([...new Set([best, 4, 5])].sort());
    await expect(trainer.fit(data(), options)).rejects.toMatchObject({ code: "exists" });
    await using other = makeTrainer({ seed: 8 });
    await expect(other.fit(data(), { ...options, resume: true })).rejects.toThrow(/seed 7/);
  });

  test("backupAndRestore goes on after a crash and leaves nothing behind", async () => {
    await using whole = makeTrainer();
    await whole.fit(data(), { epochs: 2 });
    await using first = makeTrainer();
    const crash: Callback = {
      onTrainBatchEnd() {
        if (first.step === 4) throw new Error("crash");
      },
    };
    const backup = callbacks.backupAndRestore(folder, { saveFreq: 3 });
    await expect(first.fit(data(), { epochs: 2, callbacks: [backup, crash] })).rejects.toThrow("crash");
    await using second = makeTrainer();
    await second.fit(data(), { epochs: 2, callbacks: [backup] });
    expect(await second.weights()).toEqual(await whole.weights());
    expect(readdirSync(folder)).toEqual([]);
  });
});
