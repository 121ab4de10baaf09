// Small models of the kinds that people train, with data: the parity suite, the export tests and the comparison with torch and
// Keras (test/interop/models.py has the same models) loop over them.

import { RandomStream, deriveKeyFromName } from "../../src/core/random.ts";
import { elementCount, tensor, type Tensor } from "../../src/core/tensor.ts";
import { enableLora, layers, losses, ops, optimizers, type Lora, type Sym } from "../../src/trainer/index.ts";
import type { Layer } from "../../src/trainer/index.ts";

type Optimizer = ReturnType<typeof optimizers.sgd>;

/** A model, how it is trained, and the one batch that it learns. */
export interface ModelCase {
  readonly name: string;
  /** Makes the model anew; of one that is adapted, `lora` as well. */
  readonly make: () => { readonly model: Layer; readonly lora?: Lora };
  readonly optimizer: () => Optimizer;
  /** `[batch, ...]`. */
  readonly x: Tensor<"float32" | "int32">;
  /** Class numbers, `[batch, ...]`. */
  readonly y: Tensor<"int32">;
}

/** The loss of all of them. */
export const classLoss = () => losses.sparseCategoricalCrossentropy({ fromLogits: true });

/** All models. */
export const modelCases: readonly ModelCase[] = [
  {
    name: "MLP",
    make: () => ({ model: mlp() }),
    optimizer: () => optimizers.adam({ learningRate: 0.004 }),
    x: drawn("mlp", [32, 20]),
    y: classes([32], 5, 7),
  },
  {
    name: "CNN with batchNorm",
    make: () => ({ model: cnn() }),
    optimizer: () => optimizers.sgd({ learningRate: 0.01, momentum: 0.9 }),
    x: drawn("cnn", [8, 8, 8, 2]),
    y: classes([8], 4, 3),
  },
  {
    name: "ViT",
    make: () => ({ model: vit() }),
    optimizer: () => optimizers.adamW({ learningRate: 0.001, weightDecay: 0.01 }),
    x: drawn("vit", [8, 8, 8, 2]),
    y: classes([8], 4, 3),
  },
  {
    name: "LM with LoRA",
    make: () => {
      const model = languageModel();
      return { model, lora: enableLora(model, { rank: 2, alpha: 4, targets: ["query", "value", "head"] }) };
    },
    optimizer: () => optimizers.adam({ learningRate: 0.01 }),
    x: classes([4, 12], 11, 5),
    y: classes([4, 12], 11, 3),
  },
];

function mlp(): Layer {
  const { dense, sequential } = layers;
  return sequential([dense(24, { activation: "relu" }), dense(16, { activation: "gelu" }), dense(5)]);
}

function cnn(): Layer {
  return layers.sequential([
    layers.conv2d(4, 3, { padding: "same", name: "conv1" }),
    layers.batchNormalization({ name: "norm1" }),
    layers.relu(),
    layers.maxPool2d(),
    layers.conv2d(8, 3, { strides: 2, padding: "same", useBias: false, name: "conv2" }),
    layers.batchNormalization({ momentum: 0.9, name: "norm2" }),
    layers.relu(),
    layers.globalAveragePool(),
    layers.dense(4, { name: "head" }),
  ]);
}

/** A block of a transformer, the norms before. */
function block(causal: boolean): Layer {
  return layers.model(
    {
      norm1: layers.layerNormalization(),
      attention: layers.multiHeadAttention({ numHeads: 2, keyDim: 8, causal }),
      norm2: layers.layerNormalization(),
      mlp: layers.mlp(32),
    },
    (x: Sym, { norm1, attention, norm2, mlp }) => {
      const attended = ops.add(x, attention.apply(norm1.apply(x)));
      return ops.add(attended, mlp.apply(norm2.apply(attended)));
    },
  );
}

function vit(): Layer {
  return layers.model(
    {
      patches: layers.conv2d(16, 4, { strides: 4 }),
      rows: layers.reshape([4, 16]),
      position: layers.positionEmbedding(4),
      blocks: [block(false), block(false)],
      norm: layers.layerNormalization(),
      head: layers.dense(4),
    },
    (x: Sym, { patches, rows, position, blocks, norm, head }) => {
      const encoded = position.apply(rows.apply(patches.apply(x)));
      const seen = blocks.reduce((value, one) => one.apply(value), encoded);
      return head.apply(ops.mean(norm.apply(seen), { axes: 1 }));
    },
  );
}

function languageModel(): Layer {
  return layers.model(
    {
      tokens: layers.embedding(11, 16),
      position: layers.positionEmbedding(12),
      blocks: [block(true), block(true)],
      norm: layers.layerNormalization(),
      head: layers.dense(11),
    },
    (x: Sym, { tokens, position, blocks, norm, head }) => {
      const seen = blocks.reduce((value, one) => one.apply(value), position.apply(tokens.apply(x)));
      return head.apply(norm.apply(seen));
    },
  );
}

/** Draws float32 from [-1, 1). */
function drawn(name: string, shape: readonly number[]): Tensor<"float32"> {
  const stream = new RandomStream(deriveKeyFromName(7, name));
  return tensor(
    "float32",
    shape,
    Float32Array.from({ length: elementCount(shape) }, () => 2 * stream.uniform() - 1),
  );
}

/** Class numbers, int32, that depend on the place alone. */
function classes(shape: readonly number[], count: number, stride: number): Tensor<"int32"> {
  const at = (_: unknown, place: number) => (place * stride + Math.floor(place / count)) % count;
  return tensor("int32", shape, Int32Array.from({ length: elementCount(shape) }, at));
}
