// The models of bench/trainer.mjs, as kdata writes them, with the batch that each is trained on. bench/peers/trainer_torch.py and
// trainer_keras.py have the same ones under the same names, and start from the same weights.

import { Layer, Trainer, enableLora, layers, losses, ops, optimizers } from "kdata/trainer";

export const LEARNING_RATE = 1e-4; // small, so that rounding stays small over the first steps
const NORM_EPSILON = 1e-6;
const IMAGE_CLASSES = 10;
const mlp = { kind: "mlp", inputs: 784, hidden: 512, classes: 10, batch: 128 };
const vit = { kind: "vit", size: 32, patch: 4, dim: 64, blocks: 2, heads: 4, classes: IMAGE_CLASSES, batch: 16 };
const wide = { kind: "vit", size: 224, patch: 16, dim: 768, blocks: 2, heads: 12, classes: 1000, batch: 8 };

/**
 * Every model: `title` is how its rows begin, `spec` what a peer needs to make the same one, `steps` how many are timed at a time (in
 * a quick run, in a full one), `isLarge` what only a full run measures.
 */
export const models = [
  { name: "mlp", title: "MLP 784-512-512-10, batch 128", spec: mlp, steps: [40, 100] },
  {
    name: "cnn",
    title: "small CNN",
    spec: { kind: "cnn", size: 28, channels: 1, filters: [16, 32], units: 128, classes: IMAGE_CLASSES, batch: 64 },
    steps: [8, 20],
  },
  { name: "vit", title: "ViT 32²/4, dim 64, 2 blocks, batch 16", spec: vit, steps: [10, 30] },
  { name: "wide", title: "ViT-Base width, 2 blocks, 224², batch 8", spec: wide, steps: [2, 4] },
  {
    name: "lm",
    title: "LM with LoRA",
    spec: { kind: "lm", vocabulary: 512, length: 128, dim: 128, blocks: 2, heads: 4, rank: 4, batch: 8 },
    steps: [8, 20],
  },
  { name: "base", title: "ViT-Base, 224², 12 blocks, batch 8", spec: { ...wide, blocks: 12 }, isLarge: true },
];

/** Makes a trainer of a model, with its initial weights. */
export function trainerOf(model) {
  return new Trainer(modelOf(model), {
    backend: "onnx",
    optimizer: optimizers.adam({ learningRate: LEARNING_RATE }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
}

/** Makes a model's layers. */
export function modelOf({ spec }) {
  const model = makers[spec.kind](spec);
  if (spec.rank !== undefined) enableLora(model, { rank: spec.rank });
  return model;
}

/** Makes the tensors of a model's batch: whole numbers, or parts of one, that every language computes alike. */
export function featuresOf({ spec }) {
  const { batch } = spec;
  if (spec.kind === "lm") {
    const shape = [batch, spec.length];
    const token = (i) => (i * 7919 + 13) % spec.vocabulary;
    return { x: integers(shape, token), y: integers(shape, (i) => token(i + 1)) };
  }
  const shape = spec.kind === "mlp" ? [batch, spec.inputs] : [batch, spec.size, spec.size, spec.channels ?? 3];
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5);
  return { x: { dtype: "float32", shape, data }, y: integers([batch], (i) => i % spec.classes) };
}

function integers(shape, elementOf) {
  const data = Int32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => elementOf(i));
  return { dtype: "int32", shape, data };
}

const makers = {
  mlp: ({ hidden, classes }) =>
    layers.sequential([
      layers.dense(hidden, { activation: "relu", name: "first" }),
      layers.dense(hidden, { activation: "relu", name: "second" }),
      layers.dense(classes, { name: "head" }),
    ]),
  cnn: ({ filters: [first, second], units, classes }) =>
    layers.sequential([
      layers.conv2d(first, 3, { padding: "same", activation: "relu", name: "first" }),
      layers.maxPool2d(),
      layers.conv2d(second, 3, { padding: "same", activation: "relu", name: "second" }),
      layers.maxPool2d(),
      layers.flatten(),
      layers.dense(units, { activation: "relu", name: "units" }),
      layers.dense(classes, { name: "head" }),
    ]),
  vit: (spec) => new Vit(spec),
  lm: (spec) => new Lm(spec),
};

/** Attention and two dense layers, each behind a normalization and beside a shortcut. */
class Block extends Layer {
  attentionNorm = layers.layerNormalization({ epsilon: NORM_EPSILON });
  mlpNorm = layers.layerNormalization({ epsilon: NORM_EPSILON });

  constructor({ dim, heads }, causal) {
    super();
    this.attention = layers.multiHeadAttention({ numHeads: heads, keyDim: dim / heads, causal });
    this.up = layers.dense(4 * dim, { activation: "gelu" });
    this.down = layers.dense(dim);
  }

  call(x) {
    const attended = ops.add(x, this.attention.apply(this.attentionNorm.apply(x)));
    return ops.add(attended, this.down.apply(this.up.apply(this.mlpNorm.apply(attended))));
  }
}

class Vit extends Layer {
  norm = layers.layerNormalization({ epsilon: NORM_EPSILON });

  constructor(spec) {
    super();
    this.patch = spec.patch;
    this.projection = layers.dense(spec.dim);
    this.position = layers.positionEmbedding((spec.size / spec.patch) ** 2);
    this.blocks = Array.from({ length: spec.blocks }, () => new Block(spec, false));
    this.head = layers.dense(spec.classes);
  }

  call(images) {
    const [batch, height, width, channels] = images.shape;
    const [rows, columns, size] = [height / this.patch, width / this.patch, this.patch];
    const cut = ops.transpose(ops.reshape(images, [batch, rows, size, columns, size, channels]), [0, 1, 3, 2, 4, 5]);
    let x = this.position.apply(
      this.projection.apply(ops.reshape(cut, [batch, rows * columns, size * size * channels])),
    );
    for (const block of this.blocks) x = block.apply(x);
    return this.head.apply(ops.mean(this.norm.apply(x), { axes: 1 }));
  }
}

class Lm extends Layer {
  norm = layers.layerNormalization({ epsilon: NORM_EPSILON });

  constructor(spec) {
    super();
    this.embedding = layers.embedding(spec.vocabulary, spec.dim);
    this.position = layers.positionEmbedding(spec.length);
    this.blocks = Array.from({ length: spec.blocks }, () => new Block(spec, true));
    this.head = layers.dense(spec.vocabulary);
  }

  call(tokens) {
    let x = this.position.apply(this.embedding.apply(tokens));
    for (const block of this.blocks) x = block.apply(x);
    return this.head.apply(this.norm.apply(x));
  }
}
