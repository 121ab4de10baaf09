// What random numbers of a step cost, and which mask a dropout is cheapest with on a backend.
//
//   node scripts/build.mjs && node bench/random.mjs [--rounds 9] [--backend onnx]
//
// The ways take turns; printed are medians. A mask is fed as bool for `where`, or as float32 for a product.

import { parseArgs } from "node:util";
import { Graph, openBackend, ops } from "kdata/trainer";
import { deriveKey, RandomStream } from "../dist/core/random.js";
import { RandomFiller } from "../dist/kernels/random.js";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "9" }, backend: { type: "string", default: "onnx" } },
});
const rounds = Number(flags.rounds);
const SHAPE = [32, 64, 512];
const COUNT = SHAPE.reduce((a, b) => a * b, 1);

const filler = new RandomFiller();
const key = deriveKey(1, 2);
const floats = new Float32Array(COUNT);
const bytes = new Uint8Array(COUNT);
const fills = {
  "RandomStream.uniform()": () => {
    const stream = new RandomStream(key);
    for (let i = 0; i < COUNT; i++) floats[i] = stream.uniform();
  },
  "Math.random()": () => {
    for (let i = 0; i < COUNT; i++) floats[i] = Math.random();
  },
  "kernel, uniform": () => filler.uniform(floats, { key, step: 1 }),
  "kernel, normal": () => filler.normal(floats, { key, step: 1 }),
  "kernel, mask": () => filler.bernoulli(bytes, 0.9, { key, step: 1 }),
};
const times = await measure(fills);
for (const [name, ms] of times) console.log(`${name.padEnd(24)} ${((ms * 1e6) / COUNT).toFixed(2)} ns a number`);

const backend = await openBackend(flags.backend);
const session = await backend.open(new Map());
const x = { dtype: "float32", shape: SHAPE, data: floats };
const masks = {
  "bool mask, where": { dtype: "bool", data: bytes, apply: (s, m) => ops.where(m, ops.mul(s, 1 / 0.9), 0) },
  "bool mask, product": {
    dtype: "bool",
    data: bytes,
    apply: (s, m) => ops.mul(ops.mul(s, 1 / 0.9), ops.cast(m, "float32")),
  },
  "float32 mask, product": {
    dtype: "float32",
    data: Float32Array.from(bytes),
    apply: (s, m) => ops.mul(ops.mul(s, 1 / 0.9), m),
  },
  "no dropout": { dtype: "bool", data: bytes, apply: (s) => s },
};
const runs = {};
for (const [name, { dtype, data, apply }] of Object.entries(masks)) {
  const graph = new Graph();
  const [sym, mask] = [graph.input("x", SHAPE, "float32"), graph.input("mask", SHAPE, dtype)];
  const result = ops.sum(ops.tanh(apply(sym, mask)));
  const plan = graph.plan({ name, feeds: { x: sym, mask }, state: {}, updates: {}, outputs: { result } });
  const program = await session.compile(plan);
  const feeds = new Map([
    ["x", x],
    ["mask", { dtype, shape: SHAPE, data }],
  ]);
  runs[name] = () => program.run(feeds);
}
console.log(`\n${flags.backend}, [${SHAPE.join(", ")}], dropout and tanh and a sum`);
for (const [name, ms] of await measure(runs)) console.log(`${name.padEnd(24)} ${ms.toFixed(2)} ms`);
await session.close();

async function measure(ways) {
  const found = new Map(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      if (round > 0) found.get(name).push(performance.now() - start);
    }
  }
  return [...found].map(([name, list]) => [name, list.sort((a, b) => a - b)[list.length >> 1]]);
}
