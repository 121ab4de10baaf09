// The layers, and the class to derive one's own from.

export { gelu, relu, type Activation } from "./layers/activation.ts";
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
export { flatten } from "./layers/flatten.ts";
export {
  Layer,
  traceModel,
  type Parameter,
  type ParameterOptions,
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
export { sequential } from "./layers/sequential.ts";
