// The operations of a model: functions over values of the graph.

export { gelu, logSoftmax, relu, sigmoid, softmax } from "./ops/activation.ts";
export {
  abs,
  add,
  cast,
  div,
  equal,
  erf,
  exp,
  greater,
  greaterEqual,
  log,
  max,
  min,
  mul,
  neg,
  sqrt,
  square,
  stopGradient,
  sub,
  tanh,
  where,
} from "./ops/elementwise.ts";
export { argmax, matmul, mean, reduceMax, sum, type MatmulOptions, type ReductionOptions } from "./ops/reduction.ts";
export { broadcastTo, concat, gather, iota, oneHot, pad, reshape, scatterAdd, slice, transpose } from "./ops/shape.ts";
export type { Operand } from "./ops/value.ts";
