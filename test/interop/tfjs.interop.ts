// The real loops of TensorFlow.js, model.fitDataset and tf.data, which are installed in a folder of their own: scripts/interop.mjs.

import { createRequire } from "node:module";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";

import { fromTfDataset, toTfDataset, type ForeignTfDataset } from "../../src/integrations/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { Trainer, layers as kdataLayers, losses, optimizers } from "../../src/trainer/index.ts";
import { cast, normalize, select } from "../../src/transforms/index.ts";
import { mnist } from "../cli/run-kdata.ts";
import { collect } from "../loaders/epochs.ts";

interface Layers {
  sequential(options: { layers: object[] }): Model;
  readonly layers: Record<"flatten" | "dense", (options: object) => object>;
}

interface Model {
  compile(options: object): void;
  fitDataset(dataset: object, options: object): Promise<{ history: Record<string, number[]> }>;
  evaluateDataset(dataset: object, options: object): Promise<{ dataSync(): Float32Array }[]>;
}

interface Data {
  array(items: object[]): { batch(size: number): ForeignTfDataset; map(map: (item: never) => object): never };
}

const folder = process.env["KDATA_TFJS"];

describe.skipIf(folder === undefined)("TensorFlow.js", () => {
  let core: typeof tf;
  let tfLayers: Layers;
  let tfData: Data;
  beforeAll(async () => {
    const required = createRequire(join(folder!, "package.json"));
    core = required("@tensorflow/tfjs-core") as typeof tf;
    required("@tensorflow/tfjs-backend-cpu");
    tfLayers = required("@tensorflow/tfjs-layers") as Layers;
    tfData = required("@tensorflow/tfjs-data") as Data;
    await core.setBackend("cpu");
  });

  const data = (batchSize: number) =>
    loader(join(mnist, "t10k-*"), {
      batchSize,
      shuffle: true,
      seed: 1,
      workers: 1,
      // The sparse losses of tfjs-layers take class numbers as float32 alone.
      transforms: [select({ x: "image", y: "label" }), normalize("x", { scale: 1 / 255 }), cast("y", "float32")],
    });

  function compiled(): Model {
    const { flatten, dense } = tfLayers.layers;
    const layers = [
      flatten({ inputShape: [28, 28] }),
      dense({ units: 32, activation: "relu" }),
      dense({ units: 10, activation: "softmax" }),
    ];
    const model = tfLayers.sequential({ layers });
    model.compile({ optimizer: "adam", loss: "sparseCategoricalCrossentropy", metrics: ["accuracy"] });
    return model;
  }

  it("model.fitDataset trains and validates on loaders, epoch after epoch", async () => {
    const [train, validation] = await Promise.all([data(100), data(500)]);
    const dataset = toTfDataset(train, { tf: core });
    const validationData = toTfDataset(validation, { tf: core });
    const model = compiled();
    const before = core.memory().numTensors;
    const { history } = await model.fitDataset(dataset, { epochs: 2, validationData, verbose: 0 });
    expect(history["acc"]!.at(-1)).toBeGreaterThan(0.8);
    expect(history["val_acc"]!.at(-1)).toBeGreaterThan(0.8);
    expect([train.epoch, validation.epoch]).toEqual([2, 2]);
    const first = core.memory().numTensors;
    await model.fitDataset(dataset, { epochs: 1, verbose: 0 });
    expect(core.memory().numTensors).toBe(first); // the optimizer's own were made before
    expect(first).toBeGreaterThanOrEqual(before);
    const [loss] = await model.evaluateDataset(validationData, { batches: 3 });
    expect(loss!.dataSync()[0]).toBeLessThan(1);
    await Promise.all([dataset.close(), validationData.close()]);
  });

  it("model.fitDataset counts its own epochs over one iterator with `repeat`", async () => {
    const train = await data(1000);
    const dataset = toTfDataset(train, { tf: core, repeat: true });
    const { history } = await compiled().fitDataset(dataset, { epochs: 3, batchesPerEpoch: 7, verbose: 0 });
    expect(history["loss"]).toHaveLength(3);
    expect(train.epoch).toBe(2); // 21 batches of 10 an epoch
    await dataset.close();
  });

  it("a tf.data data set is a source for kdata's trainer", async () => {
    const items = Array.from({ length: 50 }, (_, i) => ({ xs: [Math.sin(i), Math.cos(i)], ys: [Math.sin(i)] }));
    const before = core.memory().numTensors;
    const source = fromTfDataset(tfData.array(items).batch(20));
    expect((await collect(source)).map(({ size }) => size)).toEqual([20, 20, 10]);
    const trainer = new Trainer(kdataLayers.sequential([kdataLayers.dense(1)]), {
      backend: "reference",
      optimizer: optimizers.sgd({ learningRate: 0.5 }),
      loss: losses.meanSquaredError(),
    });
    const { loss } = await trainer.fit(source, { epochs: 20 });
    expect(loss!.at(-1)).toBeLessThan(loss![0]! / 10);
    expect(core.memory().numTensors).toBe(before);
    await trainer.close();
  });
});
