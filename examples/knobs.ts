// What each switch of each backend does to one model: `npm run example:knobs`.
//
//   npm run example:knobs                              a small transformer on onnx, tfjs and jax
//   npm run example:knobs -- --backends onnx --steps 20
//
// The same for a model of yours: `npx kdata bench --backends all --knobs model.ts`, or `trainer.bench(data, { knobs: true })`.

import { parseArgs } from "node:util";
import { fakeData, loader } from "kdata";
import { claim, formatTrainerBench, layers, losses, ops, optimizers, Trainer, type Sym } from "kdata/trainer";
import { onnxAttention } from "./custom-attention.ts";

const CLASSES = 10;
const SEED = 42;

/** An encoder of two blocks over `[batch, 32, 32]`. */
function encoder() {
  const block = () => [
    layers.residual(
      layers.sequential([layers.layerNormalization(), layers.multiHeadAttention({ numHeads: 2, keyDim: 16 })]),
    ),
    layers.residual(layers.sequential([layers.layerNormalization(), layers.mlp(64)])),
  ];
  return layers.model({ blocks: [...block(), ...block()], head: layers.dense(CLASSES) }, (x: Sym, { blocks, head }) =>
    head.apply(
      ops.mean(
        blocks.reduce((value, one) => one.apply(value), x),
        { axes: 1 },
      ),
    ),
  );
}

/** Measures and prints the tables. */
export async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      backends: { type: "string", default: process.env["KDATA_BACKEND"] ?? "onnx,tfjs,jax" },
      steps: { type: "string", default: "5" },
      rounds: { type: "string", default: "5" },
      "batch-size": { type: "string", default: "8" },
    },
  });
  await claim("attention", { onnx: onnxAttention }); // so that there is a claim to switch off
  const source = fakeData({
    samples: 100_000,
    seed: SEED,
    features: {
      x: { dtype: "float32", shape: [32, 32] },
      y: { dtype: "int32", shape: [], below: CLASSES },
    },
  });
  const data = await loader(source, { batchSize: Number(flags["batch-size"]), shuffle: true, seed: SEED });
  const trainer = new Trainer(encoder(), {
    optimizer: optimizers.adam(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: SEED,
  });
  try {
    const report = await trainer.bench(data, {
      backends: flags.backends.split(","),
      knobs: true,
      steps: Number(flags.steps),
      rounds: Number(flags.rounds),
      onPart: (label) => {
        process.stderr.write(`measuring ${label}\n`);
      },
    });
    process.stdout.write(`${formatTrainerBench(report).join("\n")}\n`);
  } finally {
    await trainer.close();
    await data.close();
    await claim("attention", {});
  }
}
