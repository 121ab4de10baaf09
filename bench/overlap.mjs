// Does loading overlap with computing? Wall time of a step against the greater of what data and computation take alone, for a run bound
// by each, and the longest time for which the event loop did not turn: npm run bench -- overlap [backend].
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { Trainer, layers, losses, optimizers } from "../dist/trainer/index.js";

const backend = process.argv[2] ?? "onnx";
const STEPS = 40;
const ROUNDS = 3;
const BATCH = 64;
const WIDTH = 256;

const x = { dtype: "float32", shape: [BATCH, WIDTH], data: new Float32Array(BATCH * WIDTH).map((_, i) => Math.sin(i)) };
const y = { dtype: "int32", shape: [BATCH], data: Int32Array.from({ length: BATCH }, (_, i) => i % 10) };
const keys = Array.from({ length: BATCH }, (_, i) => String(i));

/** Batches that each take so long to come, as from a disk or from workers. */
function source(dataMs) {
  return {
    stepsPerEpoch: STEPS,
    async *[Symbol.asyncIterator]() {
      for (let step = 0; step < STEPS; step++) {
        if (dataMs > 0) await sleep(dataMs);
        yield { size: BATCH, padded: 0, epoch: 0, step, keys, features: { x, y }, release() {}, copy() {} };
      }
    },
  };
}

const model = layers.sequential([
  layers.dense(256, { activation: "relu" }),
  layers.dense(256, { activation: "relu" }),
  layers.dense(10),
]);
const trainer = new Trainer(model, {
  backend,
  knobs: backend === "onnx" ? { threads: 1 } : {},
  optimizer: optimizers.adam(),
  loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
});

async function epoch(dataMs) {
  let logs;
  await trainer.fit(source(dataMs), { callbacks: [{ onEpochEnd: (given) => void (logs = given) }] });
  return { wall: (logs.seconds * 1000) / STEPS, compute: logs.msPerStep, wait: logs.dataWait };
}

async function dataAlone(dataMs) {
  const start = performance.now();
  for await (const batch of source(dataMs)) batch.release();
  return (performance.now() - start) / STEPS;
}

await epoch(0);
const compute = median(await times(() => epoch(0)), "wall");
const gaps = []; // of each run: the histogram of one is not to hold the time between two
for (const [name, share] of [
  ["compute-bound", 0.5],
  ["data-bound", 2],
]) {
  const dataMs = Math.max(1, Math.round(compute * share));
  const ratios = [];
  for (let round = 0; round < ROUNDS; round++) {
    const alone = { data: await dataAlone(dataMs), compute: (await epoch(0)).wall };
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const { wall, wait } = await epoch(dataMs);
    delay.disable();
    gaps.push({ p99: delay.percentile(99) / 1e6, longest: delay.max / 1e6 });
    ratios.push({ ratio: wall / Math.max(alone.data, alone.compute), wall, ...alone, wait });
  }
  const [middle] = ratios.sort((a, b) => a.ratio - b.ratio).slice(ROUNDS >> 1);
  console.log(
    `${backend} ${name}: ${middle.wall.toFixed(2)} ms a step, data alone ${middle.data.toFixed(2)}, computing alone ${middle.compute.toFixed(2)}: ` +
      `${middle.ratio.toFixed(2)} of the greater, data wait ${(middle.wait * 100).toFixed(0)} %`,
  );
}
console.log(
  `event loop while training, median of ${gaps.length} runs: gaps p99 ${median(gaps, "p99").toFixed(1)} ms, ` +
    `longest ${median(gaps, "longest").toFixed(1)} ms`,
);
await trainer.close();

async function times(action) {
  const results = [];
  for (let round = 0; round < ROUNDS; round++) results.push(await action());
  return results;
}

function median(results, name) {
  return results.map((result) => result[name]).sort((a, b) => a - b)[results.length >> 1];
}
