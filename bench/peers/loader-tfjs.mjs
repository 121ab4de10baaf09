// Shuffled batches of images of the shape of MNIST through tfjs-data, from arrays that are in memory as float32 already; prints the
// samples per second of each of `ROUNDS`, for the way of its two that is faster. usage: loader-tfjs.mjs FOLDER SAMPLES BATCH ROUNDS
import { createRequire } from "node:module";
import { join } from "node:path";

const LEAST_MS = 1000; // the same in bench/loader.mjs
const SHUFFLE_BUFFER = 1024;
const SHAPE = [28, 28, 1];

const [folder, ...numbers] = process.argv.slice(2);
const [samples, batchSize, rounds] = numbers.map(Number);
const required = createRequire(join(folder, "package.json"));
const tf = required("@tensorflow/tfjs-core");
required("@tensorflow/tfjs-backend-cpu");
const data = required("@tensorflow/tfjs-data");
await tf.setBackend("cpu");

const pixels = SHAPE.reduce((product, size) => product * size);
const items = Array.from({ length: samples }, (_, i) => ({ x: new Float32Array(pixels).fill(i & 0xff), y: i % 10 }));
const arrays = data.array(items);
const tensors = arrays.map(({ x, y }) => ({ x: tf.tensor3d(x, SHAPE), y }));
const ways = [arrays, tensors].map((set) => set.shuffle(SHUFFLE_BUFFER).batch(batchSize));

const rates = [];
for (const way of ways) {
  await epoch(way); // code is compiled
  const measured = [];
  for (let round = 0; round < rounds; round++) measured.push(await samplesPerSecond(way));
  rates.push(measured);
}
const best = rates.toSorted((a, b) => Math.max(...b) - Math.max(...a))[0];
process.stdout.write(`${JSON.stringify(best)}\n`);

async function samplesPerSecond(way) {
  const began = performance.now();
  let given = 0;
  do given += await epoch(way);
  while (performance.now() - began < LEAST_MS);
  return (given * 1000) / (performance.now() - began);
}

async function epoch(way) {
  let given = 0;
  const iterator = await way.iterator();
  for (let { value, done } = await iterator.next(); !done; { value, done } = await iterator.next()) {
    given += value.x.shape[0];
    tf.dispose(value);
  }
  return given;
}
