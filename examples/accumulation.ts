// Gradients added up by hand over several batches, one update for all of them.
//
//   npm run example:accumulation
//
// `optimizers.adam({ gradientAccumulationSteps: 4 })` does the same; this is how to write it, and to change it.

import { layers, losses, ops, optimizers, StepTrainer, type BatchSource } from "kdata/trainer";
import { blobs } from "./blobs.ts";

/** Makes the trainer: one update in `every` steps, with the mean of their gradients. */
export function accumulationTrainer(backend?: string, every = 4) {
  const crossEntropy = losses.sparseCategoricalCrossentropy({ fromLogits: true });
  return new StepTrainer({
    ...(backend !== undefined && { backend }),
    seed: 1,
    models: { model: layers.sequential([layers.dense(8, { activation: "tanh" }), layers.dense(2)]) },
    optimizers: { adam: optimizers.adam({ learningRate: 0.02 }) },
    features: ["x", "y"],
    step({ models: { model }, optimizers: { adam }, batch, state, gradients }) {
      const loss = ops.mean(crossEntropy.build(batch.y, model.apply(batch.x)));
      const counted = state("counted", [], { dtype: "int32" });
      const isLast = ops.equal(counted.value, every - 1);
      counted.set(ops.where(isLast, 0, ops.add(counted.value, 1)));

      const means = gradients(loss, model).map(({ path, parameter, gradient }) => {
        const held = state(`sum/${path}`, gradient.shape);
        const sum = ops.add(held.value, gradient);
        held.set(ops.where(isLast, 0, sum));
        return { path, parameter, gradient: ops.div(sum, every) };
      });
      adam.apply(means, { when: isLast });
      return { loss };
    },
  });
}

/** Trains and gives the loss of each epoch. */
export async function run(backend?: string, data: BatchSource = blobs(20), epochs = 3) {
  const trainer = accumulationTrainer(backend);
  try {
    return await trainer.fit(data, { epochs });
  } finally {
    await trainer.close();
  }
}

/** Trains longer and prints the losses. */
export async function main(): Promise<void> {
  const { loss } = await run(undefined, blobs(50), 6);
  process.stdout.write(`loss ${loss?.map((value) => value.toFixed(4)).join(" ")}\n`);
}
