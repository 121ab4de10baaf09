// Does loading overlap with computing? Wall time of a step against the greater of what data and computation take alone, for a run bound
// by each, and the longest time for which the event loop did not turn. Two rows of npm run bench -- trainer; alone, for any backend:
//
//   node bench/overlap.mjs [BACKEND]
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Trainer, layers, losses, optimizers } from "kdata/trainer";
import { median, spread } from "./harness.mjs";

const STEPS = 40;
const BATCH = 64;
const WIDTH = 256;
const LIMIT = 1.1;
const GAP_LIMIT_MS = 20;
const BOUNDS = { "compute-bound": 0.5, "data-bound": 2 }; // what the data takes, by what a step computes

const x = { dtype: "float32", shape: [BATCH, WIDTH], data: new Float32Array(BATCH * WIDTH).map((_, i) => Math.sin(i)) };
const y = { dtype: "int32", shape: [BATCH], data: Int32Array.from({ length: BATCH }, (_, i) => i % 10) };
const keys = Array.from({ length: BATCH }, (_, i) => String(i));

/** Measures both rows. Both are limits, so a ratio is the limit over what was measured. */
export async function run({ quick = false, backend = "onnx", only } = {}) {
  if (only !== undefined && only !== "overlap") return [];
  const { ratios, gaps } = await measure(backend, quick ? 3 : 7);
  const worst = Object.values(ratios).sort((a, b) => median(b) - median(a))[0];
  const [ours, gap] = [median(worst), median(gaps)];
  return [
    {
      name: "time of a step / the slower of data and compute, at most 1.1",
      ours,
      peer: LIMIT,
      unit: "×",
      ratio: LIMIT / ours,
      spread: spread(worst),
    },
    {
      name: "event loop gap while training, limit 20 ms",
      ours: gap,
      peer: GAP_LIMIT_MS,
      unit: "ms",
      ratio: GAP_LIMIT_MS / gap,
      spread: spread(gaps),
    },
  ];
}

/** By bound, the wall time of a step over the greater of data and computation alone; and the longest gap of each run. */
async function measure(backend, rounds) {
  const trainer = trainerOn(backend);
  const ratios = {};
  const gaps = []; // of each run: the histogram of one is not to hold the time between two
  try {
    await epoch(trainer, 0);
    const compute = await epoch(trainer, 0);
    for (const [bound, share] of Object.entries(BOUNDS)) {
      const dataMs = Math.max(1, Math.round(compute * share));
      ratios[bound] = [];
      for (let round = 0; round < rounds; round++) {
        const alone = Math.max(await dataAlone(dataMs), await epoch(trainer, 0));
        const delay = monitorEventLoopDelay({ resolution: 1 });
        delay.enable();
        const wall = await epoch(trainer, dataMs);
        delay.disable();
        gaps.push(delay.max / 1e6);
        ratios[bound].push(wall / alone);
      }
    }
  } finally {
    await trainer.close();
  }
  return { ratios, gaps };
}

function trainerOn(backend) {
  const model = layers.sequential([
    layers.dense(256, { activation: "relu" }),
    layers.dense(256, { activation: "relu" }),
    layers.dense(10),
  ]);
  return new Trainer(model, {
    backend,
    knobs: backend === "onnx" ? { threads: 1 } : {},
    optimizer: optimizers.adam(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
}

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

/** Milliseconds a step. */
async function epoch(trainer, dataMs) {
  let seconds = 0;
  await trainer.fit(source(dataMs), { callbacks: [{ onEpochEnd: (logs) => void ({ seconds } = logs) }] });
  return (seconds * 1000) / STEPS;
}

async function dataAlone(dataMs) {
  const start = performance.now();
  for await (const batch of source(dataMs)) batch.release();
  return (performance.now() - start) / STEPS;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const backend = process.argv[2] ?? "onnx";
  const { ratios, gaps } = await measure(backend, 3);
  for (const [bound, times] of Object.entries(ratios)) {
    console.log(
      `${backend}, ${bound}: a step takes ${median(times).toFixed(2)} of the greater of data and computation`,
    );
  }
  console.log(
    `${backend}: longest gap of the event loop, median of ${gaps.length} runs: ${median(gaps).toFixed(1)} ms`,
  );
}
