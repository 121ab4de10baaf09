// Two classifiers of pictures of 32 x 32 pixels: convolutions, and the vision transformer of ../vit at a small size.

import { layers, type Layer } from "kdata/trainer";
import { vit } from "../vit/model.ts";

/** Pixels of the side of a picture, as the models take it. */
export const IMAGE_SIZE = 32;

/** A model by its name, and the learning rate that suits it. */
export interface Classifier {
  readonly learningRate: number;
  /** Epochs that it takes to learn. */
  readonly epochs: number;
  /** Makes it anew: float32 `[batch, 32, 32, 3]` to logits `[batch, classes]`. */
  readonly make: (classes: number) => Layer;
}

/** Every model. */
export const classifiers: Readonly<Record<string, Classifier>> = {
  cnn: { learningRate: 3e-3, epochs: 12, make: cnn },
  vit: {
    learningRate: 2e-3,
    epochs: 20,
    make: (classes) =>
      vit({
        imageSize: IMAGE_SIZE,
        channels: 3,
        patchSize: 8,
        dim: 64,
        blocks: 3,
        heads: 4,
        mlpUnits: 128,
        classes,
        dropout: 0.1,
      }),
  },
};

function cnn(classes: number): Layer {
  const { batchNormalization, conv2d, dense, dropout, globalAveragePool, maxPool2d, relu, sequential } = layers;
  // Normalization subtracts a bias again, so there is none.
  const stage = (filters: number) => [
    conv2d(filters, 3, { padding: "same", useBias: false }),
    batchNormalization({ momentum: 0.9 }),
    relu(),
  ];
  return sequential([
    ...stage(24),
    maxPool2d(),
    ...stage(48),
    maxPool2d(),
    ...stage(96),
    globalAveragePool(),
    dropout(0.2),
    dense(classes),
  ]);
}
