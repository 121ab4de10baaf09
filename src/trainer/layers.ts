// The layers, and the class to derive one's own from.

export { activation, gelu, relu, softmax, type Activation, type SoftmaxOptions } from "./layers/activation.ts";
export { batchNormalization, type BatchNormalizationOptions } from "./layers/batch-normalization.ts";
export {
  conv1d,
  conv2d,
  conv2dTranspose,
  depthwiseConv2d,
  type Conv1dOptions,
  type Conv2dLayerOptions,
  type Conv2dTransposeOptions,
  type DepthwiseConv2dOptions,
} from "./layers/convolution.ts";
export { dense, type DenseOptions } from "./layers/dense.ts";
export { dropout, type DropoutOptions } from "./layers/dropout.ts";
export { einsumDense, type EinsumDense, type EinsumDenseOptions } from "./layers/einsum-dense.ts";
export { embedding, type Embedding, type EmbeddingOptions } from "./layers/embedding.ts";
export { flatten } from "./layers/flatten.ts";
export {
  Layer,
  parametersSoFar,
  traceModel,
  withoutTraining,
  type AnyLayer,
  type LayerOptions,
  type Model,
  type Parameter,
  type ParameterOptions,
  type StateOptions,
  type SymRecord,
  type TracedLayer,
  type TracedModel,
} from "./layers/layer.ts";
export type { DataFormat, OneOrTwo, Padding } from "./layers/planes.ts";
export {
  avgPool2d,
  globalAveragePool,
  globalMaxPool,
  maxPool2d,
  type GlobalPoolOptions,
  type Pool2dOptions,
} from "./layers/pooling.ts";
export { upSampling2d, zeroPadding2d, type UpSampling2dOptions, type ZeroPadding2dOptions } from "./layers/resizing.ts";
export {
  groupNormalization,
  layerNormalization,
  rmsNormalization,
  type GroupNormalizationOptions,
  type LayerNormalizationOptions,
  type RmsNormalizationOptions,
} from "./layers/layer-normalization.ts";
export { add, concatenate, residual, type ConcatenateOptions } from "./layers/merge.ts";
export { mlp, type MlpOptions } from "./layers/mlp.ts";
export { model, type Parts } from "./layers/model.ts";
export {
  multiHeadAttention,
  type AttentionInputs,
  type MultiHeadAttentionOptions,
} from "./layers/multi-head-attention.ts";
export {
  positionEmbedding,
  sinePositionEncoding,
  type PositionEmbeddingOptions,
  type SinePositionOptions,
} from "./layers/position.ts";
export { sequential } from "./layers/sequential.ts";
export { identity, permute, repeatVector, reshape } from "./layers/shape.ts";
