// How long one training step takes: kdata on onnx beside torch, Keras 3 on JAX and on torch, and stock tfjs on WebAssembly. The same
// model, data, batch and optimizer (Adam), two threads each; a step is what a user waits for: batch in, loss out.
//
//   npm run bench -- trainer [--quick] [--python PYTHON]

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Trainer, layers, losses, optimizers } from "kdata/trainer";
import { alternate, median, spread } from "./harness.mjs";

const INPUTS = 784;
const HIDDEN = 512;
const CLASSES = 10;
const BATCH = 128;
const WARM_STEPS = 20; // kernels are chosen and code is compiled by then
const TFJS_STEPS = 4; // one takes a fifth of a second
const LEARNING_RATE = 1e-3;

/** Measures every row, in milliseconds a step; `ratio` is the peer's time over ours. */
export async function run({ quick = false, python, isSmoke = false } = {}) {
  const [rounds, steps] = quick ? [3, 40] : [7, 100];
  const peers = [
    ...(python ? ["torch", "torch compiled", "keras-jax", "keras-torch"].map((way) => pythonPeer(python, way)) : []),
    ...(isSmoke ? [] : [tfjsPeer()]),
  ];
  const own = ownSteps();
  const counts = Object.fromEntries(peers.map(({ name }) => [name, name === "tfjs-wasm" ? TFJS_STEPS : steps]));
  try {
    await own(WARM_STEPS);
    const ready = [];
    for (const each of peers) {
      if ((await each.steps(Math.min(counts[each.name], WARM_STEPS))) !== undefined) ready.push(each);
    }
    const measured = await alternate(
      {
        ours: () => own(steps),
        ...Object.fromEntries(ready.map((each) => [each.name, () => each.steps(counts[each.name])])),
        floor: () => products(quick ? 20 : 60),
      },
      rounds,
    );
    return rowsOf(measured);
  } finally {
    for (const each of peers) each.close();
  }
}

function rowsOf({ ours, floor, ...peers }) {
  const what = `MLP ${INPUTS}-${HIDDEN}-${HIDDEN}-${CLASSES}, batch ${BATCH}`;
  const row = (title, times, goal) => ({
    name: title,
    ours: median(ours),
    peer: times && median(times),
    unit: "ms/step",
    ratio: times && median(times) / median(ours),
    goal,
    spread: spread(ours),
    peerSpread: times && spread(times),
    raw: median(floor),
    rawName: "its products alone, onnx",
  });
  const { "tfjs-wasm": tfjs, ...python } = peers;
  const byTime = Object.entries(python).sort(([, a], [, b]) => median(a) - median(b));
  const [best] = byTime;
  return [
    row(`${what} / the best peer in Python`, best?.[1], 1),
    ...byTime.map(([peerName, times]) => row(`${what} / ${peerName}`, times)),
    row(`${what} / stock tfjs-wasm`, tfjs, 5),
  ];
}

/** Steps of kdata in one trainer that stays: gives the milliseconds of each but the first of a call. */
function ownSteps() {
  const model = layers.sequential([
    layers.dense(HIDDEN, { activation: "relu" }),
    layers.dense(HIDDEN, { activation: "relu" }),
    layers.dense(CLASSES),
  ]);
  const trainer = new Trainer(model, {
    backend: "onnx",
    optimizer: optimizers.adam({ learningRate: LEARNING_RATE }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  const x = Float32Array.from({ length: BATCH * INPUTS }, (_, i) => Math.sin(i));
  const y = Int32Array.from({ length: BATCH }, (_, i) => i % CLASSES);
  const features = {
    x: { dtype: "float32", shape: [BATCH, INPUTS], data: x },
    y: { dtype: "int32", shape: [BATCH], data: y },
  };
  const keys = Array.from(y, (_, i) => String(i));
  return async (count) => {
    const times = [];
    let before = performance.now();
    await trainer.fit(batchesOf(count), {
      epochs: 1,
      callbacks: [
        {
          onTrainBatchEnd() {
            const now = performance.now();
            times.push(now - before);
            before = now;
          },
        },
      ],
    });
    return times.slice(1);
  };

  function* batchesOf(count) {
    for (let step = 0; step < count; step++) {
      const batch = { size: BATCH, padded: 0, features, keys, epoch: 0, step, release() {}, copy: () => batch };
      yield batch;
    }
  }
}

let session;

/** The floor: the eight products of forward and backward, and nothing else, in onnxruntime. Milliseconds. */
async function products(count) {
  session ??= await openProducts();
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await session();
    times.push(performance.now() - start);
  }
  return times.slice(1);
}

async function openProducts() {
  const { matmulModel } = await import("./matmul-model.mjs");
  const { default: ort } = await import("onnxruntime-node");
  const sizes = [
    [BATCH, INPUTS, HIDDEN],
    [BATCH, HIDDEN, HIDDEN],
    [BATCH, HIDDEN, CLASSES],
    [INPUTS, BATCH, HIDDEN], // gradients of the weights
    [HIDDEN, BATCH, HIDDEN],
    [HIDDEN, BATCH, CLASSES],
    [BATCH, HIDDEN, HIDDEN], // gradients of the activations
    [BATCH, CLASSES, HIDDEN],
  ];
  const opened = await ort.InferenceSession.create(matmulModel(sizes), { intraOpNumThreads: 2 });
  const feeds = {};
  for (const [i, [rows, inner, columns]] of sizes.entries()) {
    feeds[`a${i}`] = new ort.Tensor("float32", new Float32Array(rows * inner).fill(0.5), [rows, inner]);
    feeds[`b${i}`] = new ort.Tensor("float32", new Float32Array(inner * columns).fill(0.5), [inner, columns]);
  }
  return () => opened.run(feeds);
}

function tfjsPeer() {
  return peer("tfjs-wasm", process.execPath, ["trainer-tfjs.mjs", String(INPUTS), String(HIDDEN)]);
}

function pythonPeer(python, way) {
  return peer(way, python, ["trainer.py", way, String(INPUTS), String(HIDDEN), String(CLASSES), String(BATCH)]);
}

/** A process that does as many steps as a line says, and answers with the milliseconds of each, or with what is missing. */
function peer(peerName, command, [script, ...parameters]) {
  const path = fileURLToPath(new URL(`peers/${script}`, import.meta.url));
  const child = spawn(command, [path, ...parameters], { stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name: peerName,
    async steps(count) {
      child.stdin.write(`${count}\n`);
      const { value, done } = await lines.next();
      const answer = done ? { missing: "the process ended" } : JSON.parse(value);
      if (answer.missing === undefined) return answer.times;
      process.stderr.write(`${peerName}: not measured, ${answer.missing}\n`);
      return undefined;
    },
    close() {
      child.kill();
    },
  };
}
