// The operations of a model: functions over values of the graph.

export { gelu, logSoftmax, relu, sigmoid, softmax } from "./ops/activation.ts";
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
  pow,
  sign,
  sin,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
  where,
} from "./ops/elementwise.ts";
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
export { broadcastTo, concat, gather, iota, oneHot, pad, reshape, scatterAdd, slice, transpose } from "./ops/shape.ts";
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
