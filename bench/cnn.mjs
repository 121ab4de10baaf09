// One training step of a small convolutional network, kdata on onnx against PyTorch, two threads each, by turns.
//
//   node bench/cnn.mjs [--python PYTHON] [--rounds 5] [--steps 20]
//
// Run it with MALLOC_MMAP_THRESHOLD_=1000000000 and MALLOC_TRIM_THRESHOLD_=1000000000, so that neither side gives memory back
// and faults it in again, and without OPENBLAS_* variables. Needs `npm run build`, and PyTorch for the peer.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { layers, losses, openBackend, optimizers } from "../dist/trainer/index.js";
import { initialState, inspectModel, planTraining } from "../dist/trainer/train-step.js";

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "20" },
  },
});

/** Input, filters of the two convolutions, batch. */
const shapes = [
  { size: 28, channels: 1, filters: [16, 32], batch: 64 },
  { size: 28, channels: 1, filters: [32, 64], batch: 128 },
  { size: 32, channels: 3, filters: [32, 64], batch: 64 },
];

for (const shape of shapes) {
  const own = await openOwn(shape);
  const peer = values.python === undefined ? undefined : openPeer(values.python, shape);
  const times = { kdata: [], torch: [] };
  await own.time(3);
  if (peer) await peer.time(3);
  for (let round = 0; round < Number(values.rounds); round++) {
    times.kdata.push(...(await own.time(Number(values.steps))));
    if (peer) times.torch.push(...(await peer.time(Number(values.steps))));
  }
  const { size, channels, filters, batch } = shape;
  const title = `${size}x${size}x${channels} -> ${filters.join(" -> ")}, batch ${batch}`;
  const [kdata, torch] = [median(times.kdata), median(times.torch)];
  const against = peer ? `, torch ${torch.toFixed(2)} ms, ratio ${(kdata / torch).toFixed(2)}` : "";
  console.log(`${title}: kdata onnx ${kdata.toFixed(2)} ms${against}`);
  await own.close();
  peer?.close();
}

async function openOwn({ size, channels, filters, batch }) {
  const convolutions = filters.flatMap((count) => [
    layers.conv2d(count, 3, { padding: "same", activation: "relu" }),
    layers.maxPool2d(),
  ]);
  const model = layers.sequential([
    ...convolutions,
    layers.flatten(),
    layers.dense(128, { activation: "relu" }),
    layers.dense(10),
  ]);
  const recipe = {
    model,
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [],
    optimizer: optimizers.adam({ learningRate: 0.001 }),
  };
  const input = { shape: [batch, size, size, channels], dtype: "float32" };
  const parameters = inspectModel(model, input).parameters.map(({ parameter }) => parameter);
  const backend = await openBackend("onnx");
  const session = await backend.open(initialState(parameters, recipe.optimizer, 1), { threads: 2 });
  const { plan } = planTraining(recipe, input, { shape: [batch], dtype: "int32" });
  const program = await session.compile(plan);
  const pixels = Float32Array.from({ length: batch * size * size * channels }, (_, i) => ((i * 7919) % 1009) / 1009);
  const feeds = new Map([
    ["input", { dtype: "float32", shape: input.shape, data: pixels }],
    ["target", { dtype: "int32", shape: [batch], data: Int32Array.from({ length: batch }, (_, i) => i % 10) }],
    ["weight", { dtype: "float32", shape: [batch], data: new Float32Array(batch).fill(1) }],
  ]);
  return {
    async time(steps) {
      const times = [];
      for (let step = 0; step < steps; step++) {
        const start = performance.now();
        await program.run(feeds);
        times.push(performance.now() - start);
      }
      return times;
    },
    close: () => session.close(),
  };
}

/** A Python process that times so many steps for each line it reads. */
function openPeer(python, shape) {
  const script = new URL("peers/cnn_torch.py", import.meta.url).pathname;
  const child = spawn(python, [script, JSON.stringify(shape)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async time(steps) {
      child.stdin.write(`${steps}\n`);
      const { value } = await lines.next();
      return JSON.parse(value);
    },
    close: () => child.stdin.end(),
  };
}

function median(times) {
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? NaN;
}
