// Losses: what training makes small.

export {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  type BinaryCrossentropyOptions,
  type BinaryFocalCrossentropyOptions,
} from "./losses/binary-crossentropy.ts";
export {
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  type CategoricalCrossentropyOptions,
  type CategoricalFocalCrossentropyOptions,
} from "./losses/categorical-crossentropy.ts";
export { categoricalHinge, hinge, squaredHinge } from "./losses/hinge.ts";
export type { Loss } from "./losses/loss.ts";
export {
  huber,
  logCosh,
  meanAbsoluteError,
  meanSquaredError,
  poisson,
  type HuberOptions,
} from "./losses/regression.ts";
export { cosineSimilarity, klDivergence } from "./losses/similarity.ts";
export { sparseCategoricalCrossentropy, type CrossentropyOptions } from "./losses/sparse-categorical-crossentropy.ts";
