// Distillation: a small student learns what a frozen teacher says of the data. https://arxiv.org/abs/1503.02531
//
//   npm run example:distillation

import { layers, losses, metrics, ops, optimizers, StepTrainer, Trainer, type BatchSource } from "kdata/trainer";
import { blobs } from "./blobs.ts";

const TEMPERATURE = 3; // flattens the teacher's scores, so that the student sees what is nearly right
const TEACHER_SHARE = 0.7; // of the loss; the rest is the labels'

/** The teacher: wider than the student, trained on the labels by an ordinary trainer. */
function teacherModel() {
  return layers.sequential([layers.dense(32, { activation: "relu" }), layers.dropout(0.2), layers.dense(2)]);
}

/** Makes the trainer of the student, whose teacher never changes. */
export function distillationTrainer(backend?: string) {
  const crossEntropy = losses.sparseCategoricalCrossentropy({ fromLogits: true });
  const softCrossEntropy = losses.categoricalCrossentropy({ fromLogits: true });
  return new StepTrainer({
    ...(backend !== undefined && { backend }),
    seed: 5,
    models: {
      teacher: teacherModel(),
      student: layers.sequential([layers.dense(4, { activation: "relu" }), layers.dense(2)]),
    },
    optimizers: { adam: optimizers.adam({ learningRate: 0.01 }) },
    features: ["x", "y"],
    step({ models: { teacher, student }, optimizers: { adam }, batch }) {
      const wanted = ops.stopGradient(teacher.predict(batch.x)); // without dropout
      const scores = student.apply(batch.x);
      const softWanted = ops.softmax(ops.div(wanted, TEMPERATURE));
      const soft = softCrossEntropy.build(softWanted, ops.div(scores, TEMPERATURE));
      const fromTeacher = ops.mul(ops.mean(soft), TEMPERATURE ** 2);
      const fromLabels = ops.mean(crossEntropy.build(batch.y, scores));
      const loss = ops.add(ops.mul(fromTeacher, TEACHER_SHARE), ops.mul(fromLabels, 1 - TEACHER_SHARE));
      adam.minimize(loss, student); // the student alone: the teacher stays as it is, to the bit
      return { loss, fromTeacher, fromLabels };
    },
  });
}

/** Trains the student by a teacher of random weights, and gives the losses of each epoch. */
export async function run(backend?: string, data: BatchSource = blobs(20), epochs = 3) {
  const trainer = distillationTrainer(backend);
  try {
    return await trainer.fit(data, { epochs });
  } finally {
    await trainer.close();
  }
}

/** Trains a teacher, hands its weights over, trains the student. */
export async function main(): Promise<void> {
  const teacher = new Trainer(teacherModel(), {
    optimizer: optimizers.adam({ learningRate: 0.01 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
  });
  const taught = await teacher.fit(blobs(50), { epochs: 2 });
  const trainer = distillationTrainer();
  await trainer.setWeights("teacher", await teacher.weights());
  await teacher.close();
  const { loss } = await trainer.fit(blobs(50), { epochs: 5 });
  await trainer.close();
  process.stdout.write(`teacher's accuracy ${taught["accuracy"]?.at(-1)?.toFixed(3)}\n`);
  process.stdout.write(`student's loss     ${loss?.map((value) => value.toFixed(4)).join(" ")}\n`);
}
