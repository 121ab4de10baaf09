// The operations of a model: functions over values of the graph.

export {
  elu,
  gelu,
  geluTanh,
  hardSigmoid,
  hardSilu,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
} from "./ops/activation.ts";
export { causalMask, expandDims, repeat, split, squeeze, stack, swapAxes, takeAlongAxis } from "./ops/arrange.ts";
export { attention, type AttentionOptions } from "./ops/attention.ts";
export { dropout } from "./ops/dropout.ts";
export { einsum } from "./ops/einsum.ts";
export {
  abs,
  add,
  cast,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  greaterEqual,
  log,
  max,
  min,
  mul,
  neg,
  roundTo,
  sign,
  sin,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
  where,
} from "./ops/elementwise.ts";
export { clip, less, lessEqual, logicalAnd, logicalNot, pow, rsqrt } from "./ops/math.ts";
export { layerNorm, rmsNorm, type NormOptions } from "./ops/normalization.ts";
export {
  bernoulli,
  randomNormal,
  randomUniform,
  type RandomNormalOptions,
  type RandomUniformOptions,
} from "./ops/random.ts";
export {
  argmax,
  cumsum,
  matmul,
  mean,
  reduceMax,
  sum,
  type CumsumOptions,
  type MatmulOptions,
  type ReductionOptions,
} from "./ops/reduction.ts";
export { rotaryEmbedding, type RotaryOptions } from "./ops/rotary.ts";
export { broadcastTo, concat, gather, iota, oneHot, pad, reshape, scatterAdd, slice, transpose } from "./ops/shape.ts";
export { logSumExp, variance } from "./ops/statistics.ts";
export type { Operand } from "./ops/value.ts";
export {
  conv2d,
  conv2dInputGradient,
  conv2dKernelGradient,
  maxPool2d,
  maxPool2dGradient,
  avgPool2d,
  avgPool2dGradient,
} from "./ops/window.ts";
