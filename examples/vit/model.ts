// A vision transformer, https://arxiv.org/abs/2010.11929, with the parts and the order of Keras' own example.

import { Layer, layers, ops, type Sym } from "kdata/trainer";

/** The sizes of a model. */
export interface VitConfig {
  readonly imageSize: number;
  readonly channels: number;
  readonly patchSize: number;
  /** The size of a patch's vector. */
  readonly dim: number;
  readonly blocks: number;
  readonly heads: number;
  readonly mlpUnits: number;
  readonly classes: number;
  readonly dropout: number;
}

/** For two cores and MNIST. */
export const tiny: VitConfig = {
  imageSize: 28,
  channels: 1,
  patchSize: 7,
  dim: 32,
  blocks: 2,
  heads: 2,
  mlpUnits: 64,
  classes: 10,
  dropout: 0.1,
};

/** ViT-Base/16. */
export const base: VitConfig = {
  imageSize: 224,
  channels: 3,
  patchSize: 16,
  dim: 768,
  blocks: 12,
  heads: 12,
  mlpUnits: 3072,
  classes: 1000,
  dropout: 0.1,
};

/** Makes the model: float32 `[batch, imageSize, imageSize, channels]` to logits `[batch, classes]`. */
export function vit(config: VitConfig): Layer {
  return new Vit(config);
}

/** Cuts `[batch, height, width, channels]` into `[batch, patches, size * size * channels]`. */
class Patches extends Layer {
  readonly #size: number;

  constructor(size: number) {
    super();
    this.#size = size;
  }

  call(images: Sym): Sym {
    const [batch = 1, height = 1, width = 1, channels = 1] = images.shape;
    const [rows, columns, size] = [height / this.#size, width / this.#size, this.#size];
    const cut = ops.reshape(images, [batch, rows, size, columns, size, channels]);
    return ops.reshape(ops.transpose(cut, [0, 1, 3, 2, 4, 5]), [batch, rows * columns, size * size * channels]);
  }
}

/** Projects patches and adds a learned vector for each place. */
class PatchEncoder extends Layer {
  readonly projection: Layer;
  readonly position: Layer;

  constructor({ dim, imageSize, patchSize }: VitConfig) {
    super();
    this.projection = layers.dense(dim);
    this.position = layers.positionEmbedding((imageSize / patchSize) ** 2);
  }

  call(patches: Sym): Sym {
    return this.position.apply(this.projection.apply(patches));
  }
}

class Block extends Layer {
  readonly attentionNorm = layers.layerNormalization({ epsilon: 1e-6 });
  readonly attention: ReturnType<typeof layers.multiHeadAttention>;
  readonly mlpNorm = layers.layerNormalization({ epsilon: 1e-6 });
  readonly mlp: Layer;

  constructor({ dim, heads, mlpUnits, dropout }: VitConfig) {
    super();
    this.attention = layers.multiHeadAttention({ numHeads: heads, keyDim: dim / heads, dropout });
    this.mlp = layers.mlp(mlpUnits, { dropout });
  }

  call(x: Sym): Sym {
    const attended = ops.add(x, this.attention.apply(this.attentionNorm.apply(x)));
    return ops.add(attended, this.mlp.apply(this.mlpNorm.apply(attended)));
  }
}

class Vit extends Layer {
  readonly patches: Layer;
  readonly encoder: Layer;
  readonly blocks: readonly Layer[];
  readonly norm = layers.layerNormalization({ epsilon: 1e-6 });
  readonly dropout: Layer;
  readonly head: Layer;

  constructor(config: VitConfig) {
    super();
    this.patches = new Patches(config.patchSize);
    this.encoder = new PatchEncoder(config);
    this.blocks = Array.from({ length: config.blocks }, () => new Block(config));
    this.dropout = layers.dropout(config.dropout);
    this.head = layers.dense(config.classes);
  }

  call(images: Sym): Sym {
    let x = this.encoder.apply(this.patches.apply(images));
    for (const block of this.blocks) x = block.apply(x);
    const pooled = ops.mean(this.norm.apply(x), { axes: 1 }); // global average pooling over the patches
    return this.head.apply(this.dropout.apply(pooled));
  }
}
