// Whole models on every backend: equal losses step by step, dropout and moving averages included; and resuming is exact.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import type { Batch } from "../../../src/core/batch.ts";
import { elementCount, tensor } from "../../../src/core/tensor.ts";
import { initializers, layers, losses, ops, optimizers, Trainer, type Sym } from "../../../src/trainer/index.ts";
import { backendNames } from "../../../src/trainer/registry.ts";
import { batch } from "../batches.ts";

const STEPS = 20;
const LOSS_TOLERANCE = 1e-5; // relative
const ROWS = 4;

/** A model, how to feed it, and what its features are. */
interface Composition {
  readonly title: string;
  readonly make: () => layers.Model;
  readonly input?: readonly string[];
  readonly features: (step: number) => Batch["features"];
}

const [SIDE, PATCH, DIM, CLASSES] = [8, 4, 12, 3];
const [VOCABULARY, LENGTH] = [11, 6];

function encoderBlock(): layers.Layer {
  const { layerNormalization, multiHeadAttention, mlp } = layers;
  const attend = multiHeadAttention({ numHeads: 2, keyDim: 6, dropout: 0.1 });
  return layers.sequential([
    layers.residual(layers.sequential([layerNormalization(), attend])),
    layers.residual(layers.sequential([layerNormalization(), mlp(24, { dropout: 0.1 })])),
  ]);
}

/** Images `[batch, 8, 8, 3]` by patches of 4 x 4. */
function vit(): layers.Model {
  const count = SIDE / PATCH;
  return layers.model(
    {
      patches: layers.sequential([
        layers.reshape([count, PATCH, count, PATCH * 3]),
        layers.permute([1, 3, 2, 4]),
        layers.reshape([count * count, -1]),
        layers.dense(DIM),
        layers.positionEmbedding(count * count),
      ]),
      blocks: [encoderBlock(), encoderBlock()],
      norm: layers.layerNormalization(),
      head: layers.dense(CLASSES),
    },
    (x: Sym, { patches, blocks, norm, head }) => {
      const tokens = blocks.reduce((value, block) => block.apply(value), patches.apply(x));
      return head.apply(ops.mean(norm.apply(tokens), { axes: 1 }));
    },
  );
}

/** Words `[batch, 6]` to scores of the next word: rotary, grouped queries, SwiGLU, tied embeddings. */
function languageModel(): layers.Model {
  const attention = layers.multiHeadAttention({
    numHeads: 4,
    numKeyValueHeads: 2,
    keyDim: 4,
    causal: true,
    rotary: true,
    useBias: false,
  });
  return layers.model(
    {
      words: layers.embedding(VOCABULARY, DIM, { embeddingsInitializer: initializers.randomNormal({ stddev: 0.3 }) }),
      norms: [layers.rmsNormalization(), layers.rmsNormalization(), layers.rmsNormalization()],
      attention,
      mlp: layers.mlp(16, { activation: "silu", gated: true, useBias: false, dropout: 0.2 }),
    },
    (x: Sym, { words, norms: [before, between, after], attention, mlp }) => {
      const start = words.apply(x);
      const attended = ops.add(start, attention.apply(before.apply(start)));
      return words.attend(after.apply(ops.add(attended, mlp.apply(between.apply(attended)))));
    },
  );
}

/** Two inputs of one batch, statistics of the batch, a shared layer, groups. */
function twoTowers(): layers.Model {
  return layers.model(
    {
      shared: layers.dense(8, { activation: "silu" }),
      norm: layers.batchNormalization({ momentum: 0.8 }),
      groups: layers.groupNormalization({ groups: 2 }),
      join: layers.concatenate(),
      drop: layers.dropout(0.3),
      head: layers.dense(CLASSES),
    },
    (x: { left: Sym; right: Sym }, { shared, norm, groups, join, drop, head }) => {
      const left = norm.apply(shared.apply(x.left));
      return head.apply(drop.apply(join.apply({ left, right: groups.apply(shared.apply(x.right)) })));
    },
  );
}

const compositions: readonly Composition[] = [
  {
    title: "ViT",
    make: vit,
    features: (step) => ({ x: floats([ROWS, SIDE, SIDE, 3], step), y: classes([ROWS], CLASSES, step) }),
  },
  {
    title: "language model",
    make: languageModel,
    features: (step) => ({
      x: classes([ROWS, LENGTH], VOCABULARY, step),
      y: classes([ROWS, LENGTH], VOCABULARY, step + 1),
    }),
  },
  {
    title: "two towers",
    make: twoTowers,
    input: ["left", "right"],
    features: (step) => ({
      left: floats([ROWS, 5], step),
      right: floats([ROWS, 5], step + 100),
      y: classes([ROWS], CLASSES, step),
    }),
  },
];

const reference = new Map(
  await Promise.all(
    compositions.map(async (one) => [one.title, await train(makeTrainer(one, "reference"), one)] as const),
  ),
);

describe.each(backendNames)("%s", (name) => {
  test.each(compositions)(`trains a $title with the same losses for ${STEPS} steps`, async (one) => {
    await using trainer = makeTrainer(one, name);
    const found = await train(trainer, one);
    const wanted = reference.get(one.title)!;
    expect(wanted).toHaveLength(STEPS);
    for (const [step, loss] of wanted.entries()) {
      expect(Math.abs(found[step]! - loss) / loss).toBeLessThan(LOSS_TOLERANCE);
    }
    expect(Math.min(...wanted)).toBeLessThan(wanted[0]! * 0.9);
  });

  test.each(compositions)("goes on with a $title as if it had not stopped", async (one) => {
    const folder = mkdtempSync(join(tmpdir(), "kdata-compositions-"));
    try {
      const path = join(folder, "half.safetensors");
      await using whole = makeTrainer(one, name);
      const losses = await train(whole, one);
      await using half = makeTrainer(one, name);
      await train(half, one, 0, STEPS / 2);
      await half.save(path);
      await using rest = makeTrainer(one, name);
      await rest.load(path);
      expect(rest.step).toBe(STEPS / 2);
      expect(await train(rest, one, STEPS / 2, STEPS)).toEqual(losses.slice(STEPS / 2));
      expect(await rest.weights()).toEqual(await whole.weights());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function makeTrainer({ make, input }: Composition, backend: string): Trainer {
  return new Trainer(make(), {
    backend,
    ...(backend === "onnx" && { knobs: { threads: 1 } }),
    ...(input && { input }),
    optimizer: optimizers.adam({ learningRate: 0.005 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 3,
  });
}

/** Trains on the steps of `[start, end)`, one epoch, and gives the loss of each. */
async function train(trainer: Trainer, { features }: Composition, start = 0, end = STEPS): Promise<number[]> {
  const found: number[] = [];
  async function* data(): AsyncGenerator<Batch> {
    for (let step = start; step < end; step++) yield await Promise.resolve(batch(ROWS, features(step), { step }));
  }
  const source = { [Symbol.asyncIterator]: data };
  await trainer.fit(source, { callbacks: [{ onTrainBatchEnd: ({ loss }) => void found.push(loss) }] });
  return found;
}

function floats(shape: readonly number[], seed: number) {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin((i + 1) * (1.7 + (seed % 5))));
  return tensor("float32", shape, data);
}

function classes(shape: readonly number[], count: number, seed: number) {
  const data = Int32Array.from({ length: elementCount(shape) }, (_, i) => (i * 7 + (seed % 5) * 3) % count);
  return tensor("int32", shape, data);
}
