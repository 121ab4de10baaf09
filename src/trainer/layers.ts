// The layers, and the class to derive one's own from.

export { gelu, relu, type Activation } from "./layers/activation.ts";
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
export { sequential } from "./layers/sequential.ts";
