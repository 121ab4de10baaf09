// Stock tfjs on WebAssembly, with its own gradients and its own Adam: makes as many `steps` as each line says, and answers with
// the milliseconds of each. usage: trainer-tfjs.mjs INPUTS HIDDEN
import { register } from "node:module";
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";

// The gradients are in modules that name each other without an extension, as only bundlers take it.
const hook = `export const resolve = (name, context, next) => next(
  /tfjs-core.dist/.test(context.parentURL ?? "") && /^\\.{1,2}\\//.test(name) && !name.endsWith(".js") ? name + ".js" : name, context)`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
await import("@tensorflow/tfjs-core/dist/register_all_gradients.js");

const CLASSES = 10;
const BATCH = 128;
const [inputs, hidden] = process.argv.slice(2).map(Number);

await tf.setBackend("wasm");
await tf.ready();
const sizes = [inputs, hidden, hidden, CLASSES];
const weights = sizes.slice(1).map((size, i) => tf.variable(tf.randomNormal([sizes[i], size], 0, 0.05)));
const biases = sizes.slice(1).map((size) => tf.variable(tf.zeros([size])));
const x = tf.tensor2d(
  Float32Array.from({ length: BATCH * inputs }, (_, i) => Math.sin(i)),
  [BATCH, inputs],
);
const y = tf.oneHot(
  tf.tensor1d(
    Int32Array.from({ length: BATCH }, (_, i) => i % CLASSES),
    "int32",
  ),
  CLASSES,
);
const optimizer = tf.train.adam(1e-4);

for await (const line of createInterface({ input: process.stdin })) {
  const times = [];
  for (let step = 0; step < JSON.parse(line).steps; step++) {
    const start = performance.now();
    const loss = optimizer.minimize(lossOf, true);
    loss.dataSync();
    loss.dispose();
    times.push(performance.now() - start);
  }
  process.stdout.write(`${JSON.stringify({ times })}\n`);
}

function lossOf() {
  let activations = x;
  for (const [i, weight] of weights.entries()) {
    activations = tf.add(tf.matMul(activations, weight), biases[i]);
    if (i < weights.length - 1) activations = tf.relu(activations);
  }
  // Of softmaxCrossEntropy tfjs-wasm lacks no kernel; written out it is the same.
  const shifted = tf.sub(activations, tf.max(activations, 1, true));
  const logits = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), 1, true)));
  return tf.neg(tf.mean(tf.sum(tf.mul(y, logits), 1)));
}
