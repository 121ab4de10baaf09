// What the size of a data set costs the order of a loader: virtual data sets of 10^4 to 10^9 records in up to 10^5 shards, of which only
// the sizes exist. Measured is what depends on the size: from the sizes to the first batch, and for each sample to find its record, its
// shard and its number in it.
//
//   node bench/scale.mjs [--batches 200] [--rounds 5]
//
// Printed are medians over rounds in which the sizes take turns. `run` gives the row of the largest size to other scripts.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fingerprint } from "../dist/loaders/fingerprint.js";
import { orderOf } from "../dist/loaders/epoch.js";
import { shardOf } from "../dist/loaders/dataset.js";
import { countSteps, spanAt } from "../dist/loaders/topology.js";

const BATCH = 256;
const SIZES = [
  { records: 1e4, shards: 10 },
  { records: 1e6, shards: 1e3 },
  { records: 1e9, shards: 1e5 },
];
const LARGEST = SIZES.length - 1;
const ORDERS = { none: false, shuffle: true, "blocks of 1,000": { blockSize: 1000 } };

/** Measures the largest size in random order: how long from its sizes to the first batch. */
export async function run({ quick = false } = {}) {
  const { first } = measureOrder(ORDERS.shuffle, { batches: 20, rounds: quick ? 1 : 5 })[LARGEST];
  const seconds = first / 1000;
  return [{ name: "10^9 virtual samples: first batch, limit 1 s", ours: seconds, unit: "s", ratio: 1 / seconds }];
}

function main() {
  const { values } = parseArgs({
    options: { batches: { type: "string", default: "200" }, rounds: { type: "string", default: "5" } },
  });
  const settings = { batches: Number(values.batches), rounds: Number(values.rounds) };
  for (const [name, shuffle] of Object.entries(ORDERS)) {
    for (const [i, { first, sample, state, memory }] of measureOrder(shuffle, settings).entries()) {
      const { records, shards } = SIZES[i];
      const size = `${records.toExponential(0)} records in ${shards.toExponential(0)} shards`;
      console.log(
        `${name.padEnd(16)} ${size.padEnd(34)} first batch ${first.toFixed(1).padStart(7)} ms   ` +
          `${(sample * 1e6).toFixed(0).padStart(5)} ns/sample   state ${state} B   order ${(memory / 1024).toFixed(0)} KiB`,
      );
    }
  }
}

/** Medians for each size. */
function measureOrder(shuffle, { batches, rounds }) {
  setFlagsFromString("--expose-gc"); // memory is compared after a collection, or garbage would count
  const collectGarbage = runInNewContext("gc");
  const measured = SIZES.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (const [i, size] of SIZES.entries()) {
      const result = measure(size, shuffle, batches, collectGarbage);
      if (round > 0) measured[i].push(result); // the first round compiles
    }
  }
  return measured.map(medians);
}

function measure({ records, shards }, shuffle, batches, collectGarbage) {
  const dataset = virtualDataset(records, shards);
  const began = performance.now();
  const identity = fingerprint(dataset);
  const recipe = { dataset, transforms: [], shuffle, seed: 1, makers: 1 };
  const topology = { records, batchSize: BATCH, rank: 3, worldSize: 8, remainder: "short" };
  const state = JSON.stringify({ version: 1, seed: 1, shuffle, epoch: 0, samples: 0, dataset: identity }).length;
  const found = performance.now() - began;
  collectGarbage();
  const heap = process.memoryUsage().heapUsed;
  const ordered = performance.now();
  const recordAt = orderOf(recipe, 0);
  let sum = load(dataset, recordAt, spanAt(topology, 0));
  const first = found + performance.now() - ordered;
  const steps = countSteps(topology);
  const start = performance.now();
  for (let batch = 0; batch < batches; batch++) {
    const step = Math.floor((batch / batches) * steps);
    sum += load(dataset, recordAt, spanAt(topology, step * BATCH * 8));
  }
  const sample = (performance.now() - start) / batches / BATCH;
  collectGarbage();
  const memory = Math.max(0, process.memoryUsage().heapUsed - heap);
  if (!Number.isFinite(sum + recordAt(0))) throw new RangeError("a record has no place");
  return { first, sample, state, memory };
}

/** Finds the place of every sample of a batch, as a reader does. */
function load(dataset, recordAt, { start, size }) {
  let sum = 0;
  for (let row = 0; row < size; row++) {
    const record = recordAt((start + row) % dataset.starts[dataset.starts.length - 1]);
    sum += record - dataset.starts[shardOf(dataset, record)];
  }
  return sum;
}

function virtualDataset(records, shards) {
  const starts = new Float64Array(new SharedArrayBuffer((shards + 1) * 8));
  for (let shard = 0; shard <= shards; shard++) starts[shard] = Math.round((records / shards) * shard);
  const files = Array.from({ length: shards }, (_, shard) => {
    const name = `data/train-${String(shard).padStart(5, "0")}.tfrecord`;
    return { name, paths: [name] };
  });
  const parts = [{ firstShard: 0, format: "tfrecord", limits: {}, decoding: {} }];
  return { parts, shards: files, starts, indexes: files.map(() => undefined) };
}

function medians(results) {
  const middle = (key) => results.map((result) => result[key]).sort((a, b) => a - b)[results.length >> 1];
  return { first: middle("first"), sample: middle("sample"), state: middle("state"), memory: middle("memory") };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
