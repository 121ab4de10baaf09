// Batches in memory for the trainer's tests.
import type { Batch, Column } from "../../src/core/batch.ts";

/** Makes a batch over given columns; `release` and `copy` do what memory of one's own allows. */
export function batch(size: number, features: Record<string, Column>, extra: Partial<Batch> = {}): Batch {
  const made: Batch = {
    size,
    padded: 0,
    features,
    keys: Array.from({ length: size }, (_, i) => `sample-${i}`),
    epoch: 0,
    step: 0,
    release: () => undefined,
    copy: () => made,
    ...extra,
  };
  return made;
}

/** Two blobs in the plane, one per class, cut into batches of `batchSize`. Class and place depend on `i` alone. */
export function blobs(count: number, batchSize: number): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < count; start += batchSize) {
    const size = Math.min(batchSize, count - start);
    const x = new Float32Array(size * 2);
    const y = new Int32Array(size);
    for (let row = 0; row < size; row++) {
      const i = start + row;
      y[row] = i % 2;
      x[row * 2] = (i % 2) * 2 - 1 + Math.sin(i) * 0.3;
      x[row * 2 + 1] = Math.cos(i * 7) * 0.5;
    }
    batches.push(
      batch(
        size,
        { x: { dtype: "float32", shape: [size, 2], data: x }, y: { dtype: "int32", shape: [size], data: y } },
        { step: batches.length },
      ),
    );
  }
  return batches;
}

/** Iterates over batches as a data source does: each iteration is one epoch. */
export function source(batches: readonly Batch[]) {
  return {
    stepsPerEpoch: batches.length,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield* batches;
    },
  };
}
