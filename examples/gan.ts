// A GAN: two models and two optimizers in one step. https://arxiv.org/abs/1406.2661
//
//   npm run example:gan
//
// The step is written with `ops`, traced once, and runs on every backend with the same numbers.

import { layers, losses, ops, optimizers, StepTrainer, type BatchSource } from "kdata/trainer";
import { blobs } from "./blobs.ts";

const NOISE = 4; // numbers that the generator makes a point of

/** Makes the trainer: the generator learns to make points that the discriminator takes for real ones. */
export function ganTrainer(backend?: string) {
  const { dense, sequential } = layers;
  const crossEntropy = losses.binaryCrossentropy({ fromLogits: true });
  return new StepTrainer({
    ...(backend !== undefined && { backend }),
    seed: 3,
    models: {
      generator: sequential([dense(16, { activation: "relu" }), dense(2)]),
      discriminator: sequential([dense(16, { activation: "leakyRelu" }), layers.dropout(0.1), dense(1)]),
    },
    optimizers: {
      generator: optimizers.adam({ learningRate: 2e-3, beta1: 0.5 }),
      discriminator: optimizers.adam({ learningRate: 4e-3, beta1: 0.5 }),
    },
    features: ["x"],
    step({ graph, models, optimizers: { generator, discriminator }, batch }) {
      const rows = batch.x.shape[0] ?? 1;
      const noise = ops.randomNormal(graph, [rows, NOISE]);
      const made = models.generator.apply(noise);
      const ones = ops.broadcastTo(graph.constant(1), [rows, 1]);
      const zeros = ops.broadcastTo(graph.constant(0), [rows, 1]);

      const onReal = models.discriminator.apply(batch.x);
      const onMade = models.discriminator.apply(ops.stopGradient(made)); // its loss does not reach the generator
      const discriminatorLoss = ops.mean(ops.add(crossEntropy.build(ones, onReal), crossEntropy.build(zeros, onMade)));
      discriminator.minimize(discriminatorLoss, models.discriminator);

      const generatorLoss = ops.mean(crossEntropy.build(ones, models.discriminator.apply(made)));
      generator.minimize(generatorLoss, models.generator); // and this one changes the generator alone
      return { loss: ops.add(discriminatorLoss, generatorLoss), discriminatorLoss, generatorLoss };
    },
  });
}

/** Trains and gives the losses of each epoch. */
export async function run(backend?: string, data: BatchSource = blobs(20), epochs = 3) {
  const trainer = ganTrainer(backend);
  try {
    return await trainer.fit(data, { epochs });
  } finally {
    await trainer.close();
  }
}

/** Trains longer, and looks at what the generator makes. */
export async function main(): Promise<void> {
  const trainer = ganTrainer();
  const history = await trainer.fit(blobs(50), { epochs: 20 });
  const noise = {
    dtype: "float32" as const,
    shape: [3, NOISE],
    data: Float32Array.from({ length: 3 * NOISE }, (_, i) => Math.sin(i)),
  };
  const { data } = await trainer.predict("generator", noise);
  await trainer.close();
  process.stdout.write(`discriminator ${history["discriminatorLoss"]?.map((loss) => loss.toFixed(3)).join(" ")}\n`);
  process.stdout.write(`generator     ${history["generatorLoss"]?.map((loss) => loss.toFixed(3)).join(" ")}\n`);
  process.stdout.write(`points        ${Array.from(data, (value) => value.toFixed(2)).join(" ")}\n`);
}
