// Dropout: https://jmlr.org/papers/v15/srivastava14a.html

import type { Sym } from "../graph.ts";
import { cast, mul } from "./elementwise.ts";
import { bernoulli } from "./random.ts";

/**
 * Sets elements to 0 with probability `rate` and divides the others by `1 - rate`, so that the expected value stays. What
 * falls out is drawn anew at each step; call it only where a training step is traced.
 *
 * @param x - float32
 * @param rate - in [0, 1)
 * @param noiseShape - the shape of what is drawn, which broadcasts to that of `x`: axes of size 1 fall out as a whole
 */
export function dropout(x: Sym, rate: number, noiseShape: readonly number[] = x.shape): Sym {
  if (rate === 0) return x;
  // A bool mask is a quarter of the bytes of a float one. A product took a third of the time of `where` on ONNX Runtime
  // (bench/random.mjs), and its derivative is a product with the same factors.
  const kept = cast(bernoulli(x.graph, noiseShape, 1 - rate), "float32");
  return mul(x, mul(kept, 1 / (1 - rate)));
}
