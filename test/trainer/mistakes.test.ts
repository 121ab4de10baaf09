// What people get wrong: each mistake is refused with a message that names the culprit, before the first step where that is possible.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

import type { Column } from "../../src/core/batch.ts";
import { tensor } from "../../src/core/tensor.ts";
import {
  callbacks,
  claim,
  enableLora,
  Layer,
  layers,
  losses,
  metrics,
  ops,
  optimizers,
  Trainer,
  type FitOptions,
  type Sym,
  type TrainerOptions,
} from "../../src/trainer/index.ts";
import { batch, blobs, source } from "./batches.ts";

interface Mistake {
  readonly title: string;
  /** What the message says. */
  readonly says: RegExp;
  /** Steps that are made before it can be seen. Default 0. */
  readonly steps?: number;
  readonly make: (counter: { steps: number }) => unknown;
}

const folder = mkdtempSync(join(tmpdir(), "kdata-mistakes-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Trains on one batch of eight samples in the plane; features, options and model may be other ones. */
async function train(
  counter: { steps: number },
  {
    features,
    model = layers.sequential([layers.dense(3, { name: "hidden" }), layers.dense(2, { name: "head" })]),
    options,
    fit,
    load,
  }: {
    readonly features?: Readonly<Record<string, Column>>;
    readonly model?: Layer;
    readonly options?: object;
    readonly fit?: object;
    readonly load?: string;
  },
): Promise<void> {
  const [one] = blobs(8, 8);
  const given = { ...one!.features, ...features };
  await using trainer = new Trainer(model, { ...basics, ...options });
  if (load !== undefined) await trainer.load(load);
  const count = {
    onTrainBatchEnd() {
      counter.steps++;
    },
  };
  const { callbacks: others = [], ...rest } = (fit ?? {}) as FitOptions;
  await trainer.fit(source([batch(8, given)]), { ...rest, callbacks: [...others, count] });
}

const basics: TrainerOptions = {
  backend: "reference",
  optimizer: optimizers.sgd({ learningRate: 0.1 }),
  loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
};

/** A model of images `[8, 6, 6, 1]` and the images. */
function onImages(...parts: Layer[]): { readonly model: Layer; readonly features: Readonly<Record<string, Column>> } {
  return {
    model: layers.sequential([...parts, layers.flatten(), layers.dense(2)]),
    features: { x: float32([8, 6, 6, 1]) },
  };
}

function float32(shape: readonly number[], fill = 0.5): Column {
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(fill);
  return { dtype: "float32", shape, data };
}

function int32(values: readonly number[], shape: readonly number[] = [values.length]): Column {
  return { dtype: "int32", shape, data: Int32Array.from(values) };
}

/** Writes the weights of a model, trained on the batch. */
async function saved(name: string, model: Layer, options: object = {}): Promise<string> {
  const path = join(folder, `${name}.safetensors`);
  await using trainer = new Trainer(model, { ...basics, ...options });
  await trainer.fit(blobs(8, 8));
  await trainer.save(path);
  return path;
}

class Picky extends Layer {
  call(x: Sym): Sym {
    return ops.matmul(x, this.param("matrix", [3, 2]));
  }
}

const mistakes: readonly Mistake[] = [
  {
    title: "data of another shape than the model's",
    says: /matmul in picky.*\[8, 2\].*\[3, 2\]/,
    make: (counter) => train(counter, { model: layers.sequential([new Picky({ name: "picky" })]) }),
  },
  {
    title: "data of another dtype",
    says: /embedding in words.*int32, not float32 \[8, 2\]/,
    make: (counter) => train(counter, { model: layers.sequential([layers.embedding(9, 4, { name: "words" })]) }),
  },
  {
    title: "a dtype that the graph lacks",
    says: /'x': the graph has no float16/,
    make: (counter) =>
      train(counter, { features: { x: { dtype: "float16", shape: [8, 2], data: new Uint16Array(16) } } }),
  },
  {
    title: "text where numbers should be",
    says: /'x': it is not a tensor/,
    make: (counter) => train(counter, { features: { x: Array.from("abcdefgh") } }),
  },
  {
    title: "a label that is no class",
    says: /'y': 2 is not one of the model's 2 classes, 0 to 1 \(sample sample-5\)/,
    make: (counter) => train(counter, { features: { y: int32([0, 1, 0, 1, 0, 2, 0, 1]) } }),
  },
  {
    title: "a feature that is missing",
    says: /'image': the batch has no such feature \(it has: x, y\)/,
    make: (counter) => train(counter, { options: { input: "image" } }),
  },
  {
    title: "a target that is missing",
    says: /'label': the batch has no such feature \(it has: x, y\)/,
    make: (counter) => train(counter, { options: { target: "label" } }),
  },
  {
    title: "NaN in the data",
    says: /'x': NaN in sample sample-3, and the loss of step 0 is NaN/,
    steps: 1, // a model may be made for it: what counts is the loss
    make: (counter) => {
      const x = float32([8, 2]) as { readonly data: Float32Array } & Column;
      x.data[7] = NaN;
      return train(counter, { features: { x } });
    },
  },
  {
    title: "an unknown option of the trainer",
    says: /no option 'metric'.*did you mean 'metrics'/,
    make: (counter) => train(counter, { options: { metric: [] } }),
  },
  {
    title: "an unknown option of fit",
    says: /no option 'epoch'.*did you mean 'epochs'/,
    make: (counter) => train(counter, { fit: { epoch: 3 } }),
  },
  {
    title: "an unknown option of a layer",
    says: /dense layer: there is no option 'activaton'.*did you mean 'activation'/,
    make: () => layers.dense(2, { activaton: "relu" } as object),
  },
  {
    title: "two layers with one name",
    says: /two layers have the path 'head'/,
    make: (counter) =>
      train(counter, {
        model: layers.sequential([layers.dense(2, { name: "head" }), layers.dense(2, { name: "head" })]),
      }),
  },
  {
    title: "a loss that does not fit the outputs",
    says: /sparseCategoricalCrossentropy.* in loss: target int32 \[8, 3\].*prediction float32 \[8, 2\]/,
    make: (counter) =>
      train(counter, {
        features: {
          y: int32(
            Array.from({ length: 24 }, () => 0),
            [8, 3],
          ),
        },
      }),
  },
  {
    title: "a loss of one-hot targets for class numbers",
    says: /categoricalCrossentropy in loss: target int32 \[8\], prediction float32 \[8, 2\]/,
    make: (counter) => train(counter, { options: { loss: losses.categoricalCrossentropy({ fromLogits: true }) } }),
  },
  {
    title: "the name of a loss for the loss",
    says: /loss is "mse", not one of losses/,
    make: (counter) => train(counter, { options: { loss: "mse" } }),
  },
  {
    title: "the name of an optimizer for the optimizer",
    says: /optimizer is "adam", not one of optimizers/,
    make: (counter) => train(counter, { options: { optimizer: "adam" } }),
  },
  {
    title: "the name of a metric for the metric",
    says: /metric is "accuracy", not one of metrics/,
    make: (counter) => train(counter, { options: { metrics: ["accuracy"] } }),
  },
  {
    title: "the name of a metric for the list of metrics",
    says: /metrics is "accuracy", not a list/,
    make: (counter) => train(counter, { options: { metrics: "accuracy" } }),
  },
  {
    title: "two names of metrics for metrics",
    says: /metric is "accuracy", not one of metrics/,
    make: (counter) => train(counter, { options: { metrics: ["accuracy", "mse"] } }),
  },
  {
    title: "the name of an optimizer for the optimizer, in float16",
    says: /optimizer is "adam"/,
    make: (counter) => train(counter, { options: { optimizer: "adam", precision: "mixed_float16" } }),
  },
  {
    title: "a metric's maker for the metric",
    says: /metric is the function sparseCategoricalAccuracy; call it/,
    make: (counter) => train(counter, { options: { metrics: [metrics.sparseCategoricalAccuracy] } }),
  },
  {
    title: "the name of a callback for the callback",
    says: /callback is "earlyStopping", not one of callbacks/,
    make: (counter) => train(counter, { fit: { callbacks: ["earlyStopping"] } }),
  },
  {
    title: "an unknown backend",
    says: /unknown backend 'onxx'.*did you mean onnx/,
    make: (counter) => train(counter, { options: { backend: "onxx" } }),
  },
  {
    title: "an unknown knob",
    says: /unknown knob 'thread'/,
    make: (counter) => train(counter, { options: { knobs: { thread: 1 } } }),
  },
  {
    title: "a number to monitor that no epoch has",
    says: /'val_acc' in earlyStopping: an epoch has only loss, accuracy/,
    make: (counter) =>
      train(counter, {
        options: { metrics: [metrics.sparseCategoricalAccuracy()] },
        fit: { callbacks: [callbacks.earlyStopping({ monitor: "val_acc" })] },
      }),
  },
  {
    title: "a number for the best checkpoint that no epoch has",
    says: /'accurcy' in the best checkpoint: an epoch has only loss, accuracy; did you mean 'accuracy'/,
    make: (counter) =>
      train(counter, {
        options: { metrics: [metrics.sparseCategoricalAccuracy()] },
        fit: { checkpoint: join(folder, "best"), best: "accurcy" },
      }),
  },
  {
    title: "a batch size of 0",
    says: /batchSize must be a whole number from 1 on, not 0/,
    make: (counter) => train(counter, { fit: { batchSize: 0 } }),
  },
  {
    title: "an input of the wrong rank",
    says: /conv2d in conv .*\[8, 2\]/,
    make: (counter) => train(counter, { model: layers.sequential([layers.conv2d(2, 3, { name: "conv" })]) }),
  },
  {
    title: "a kernel larger than the image",
    says: /conv2d in conv .*window of \[7, 7\] does not fit into float32 \[8, 1, 6, 6\]/,
    make: (counter) => train(counter, onImages(layers.conv2d(2, 7, { name: "conv" }))),
  },
  {
    title: "a checkpoint of another model",
    says: /'model\/head\/kernel' is missing/,
    make: async (counter) =>
      train(counter, { load: await saved("other", layers.sequential([layers.dense(3, { name: "hidden" })])) }),
  },
  {
    title: "weights of other shapes",
    says: /'model\/hidden\/kernel' has the shape \[2, 5\], the model wants \[2, 3\]/,
    make: async (counter) => {
      const wider = layers.sequential([layers.dense(5, { name: "hidden" }), layers.dense(2, { name: "head" })]);
      return train(counter, { load: await saved("wider", wider) });
    },
  },
  {
    title: "a class weight that is none",
    says: /classWeight gives class '1' the weight -2/,
    make: (counter) => train(counter, { fit: { classWeight: { 0: 1, 1: -2 } } }),
  },
  {
    title: "the weight of a class that the model lacks",
    says: /classWeight has class 7, the model's classes are 0 to 1/,
    make: (counter) => train(counter, { fit: { classWeight: { 7: 2 } } }),
  },
  {
    title: "sample weights that do not fit the targets",
    says: /'w': weights \[3\] of a sample do not fit targets \[5\]/,
    make: (counter) =>
      train(counter, {
        features: { x: float32([8, 5, 2]), y: int32(new Array<number>(40).fill(1), [8, 5]), w: float32([8, 3]) },
        options: { sampleWeight: "w" },
        fit: { classWeight: { 1: 2 } },
      }),
  },
  {
    title: "arrays of different lengths",
    says: /'x' has 8 samples, 'y' 7/,
    make: async () => {
      await using trainer = new Trainer(layers.dense(2), basics);
      const x = tensor("float32", [8, 2], new Float32Array(16));
      await trainer.fit({ x, y: tensor("int32", [7], new Int32Array(7)) });
    },
  },
  {
    title: "a validation split out of range",
    says: /validationSplit must be from 0 to below 1, not 20/,
    make: (counter) => train(counter, { fit: { validationSplit: 20 } }),
  },
  {
    title: "a negative learning rate",
    says: /adam: learningRate is -0.1/,
    make: () => optimizers.adam({ learningRate: -0.1 }),
  },
  {
    title: "a learning rate that is no number",
    says: /learning rate: it is NaN/,
    make: async () => {
      await using trainer = new Trainer(layers.dense(2), basics);
      await trainer.setLearningRate(NaN);
    },
  },
  {
    title: "a schedule that warms up longer than it lasts",
    says: /cosineDecay: warmupSteps is 20, steps 10/,
    make: () => optimizers.cosineDecay({ peak: 0.1, warmupSteps: 20, steps: 10 }),
  },
  {
    title: "a schedule with too few values",
    says: /piecewiseConstantDecay: 2 values for the boundaries 10, 20/,
    make: () => optimizers.piecewiseConstantDecay({ boundaries: [10, 20], values: [0.1, 0.01] }),
  },
  {
    title: "a mask that is not bool",
    says: /attention in attend\/attention.*the mask float32 \[8, 4, 4\] is not bool over 4 queries and 4 keys/,
    make: (counter) => {
      const attend = layers.multiHeadAttention({ numHeads: 2, keyDim: 4 });
      const model = layers.model({ attend, head: layers.dense(2) }, (x: Sym, parts) => {
        const mask = ops.matmul(x, x, { transposeB: true });
        return parts.head.apply(ops.mean(parts.attend.apply({ query: x, mask }), { axes: 1 }));
      });
      return train(counter, { model, features: { x: float32([8, 4, 6]) } });
    },
  },
  {
    title: "a word beyond the embedding's table",
    says: /'x': 12 is no row of words, which has 0 to 8 \(sample sample-2\)/,
    make: (counter) =>
      train(counter, {
        model: layers.sequential([layers.embedding(9, 4, { name: "words" }), layers.flatten(), layers.dense(2)]),
        features: { x: int32([1, 2, 12, 3, 4, 5, 6, 7]) },
      }),
  },
  {
    title: "heads that do not share keys evenly",
    says: /6 heads do not share 4 heads of keys evenly/,
    make: () => layers.multiHeadAttention({ numHeads: 6, numKeyValueHeads: 4, keyDim: 8 }),
  },
  {
    title: "a LoRA target that fits no layer",
    says: /no layer fits the target queri \(there are: hidden, head\)/,
    make: () =>
      enableLora(layers.sequential([layers.dense(3, { name: "hidden" }), layers.dense(2, { name: "head" })]), {
        targets: ["queri"],
      }),
  },
  {
    title: "a claim of an unknown composite",
    says: /'atention' \(did you mean attention\?\): it is none of attention, layerNorm, rmsNorm/,
    make: () => claim("atention", { onnx: () => "none" }),
  },
];

test("there are thirty and more", () => {
  expect(mistakes.length).toBeGreaterThanOrEqual(30);
});

test.each(mistakes)("$title", async ({ says, steps = 0, make }) => {
  const counter = { steps: 0 };
  const error: unknown = await Promise.resolve(counter)
    .then(make)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(error).toBeInstanceOf(Error);
  const { message, hint = "" } = error as Error & { readonly hint?: string };
  expect(`${message}; ${hint}`).toMatch(says);
  expect(counter.steps).toBe(steps);
});
