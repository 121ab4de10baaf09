// Small data that needs no file: points of two classes around two centres, the same at each run.

import { deriveKeyFromName, RandomStream, type Batch } from "kdata/core";

/** Batches of `x` (float32 [32, 2]) and `y` (int32 [32]), as a source that can be iterated again and again. */
export function blobs(steps: number, rows = 32): AsyncIterable<Batch> & { readonly stepsPerEpoch: number } {
  const batches = Array.from({ length: steps }, (_, step) => blob(step, rows));
  return {
    stepsPerEpoch: steps,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield* batches;
    },
  };
}

function blob(step: number, rows: number): Batch {
  const random = new RandomStream(deriveKeyFromName(7, `blob ${step}`));
  const y = Int32Array.from({ length: rows }, () => (random.uniform() < 0.5 ? 0 : 1));
  const x = new Float32Array(rows * 2);
  for (const [row, label] of y.entries()) {
    x[2 * row] = 2 * label - 1 + 0.8 * (random.uniform() - 0.5);
    x[2 * row + 1] = 0.5 * label + 0.8 * (random.uniform() - 0.5);
  }
  const batch: Batch = {
    size: rows,
    padded: 0,
    features: {
      x: { dtype: "float32", shape: [rows, 2], data: x },
      y: { dtype: "int32", shape: [rows], data: y },
    },
    keys: Array.from(y, (_, row) => `${step}/${row}`),
    epoch: 0,
    step,
    release: () => undefined,
    copy: () => batch,
  };
  return batch;
}
