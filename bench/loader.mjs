// How fast the loader gives shuffled batches, beside tf.data and torch's DataLoader over the same files; what the hand-off of a large
// batch costs the main thread, and how long its event loop is held up.
//
//   node bench/loader.mjs [--quick] [--python PYTHON]
//
// PYTHON (or KDATA_PYTHON) is one that has tensorflow, torch and numpy; without it the peers are left out. Ours and the peer take turns;
// printed are medians.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fakeData, loader } from "kdata";
import { normalize } from "kdata/transforms";
import { writableFormatByName } from "kdata/writers";
import { tfjsFolder } from "../scripts/tfjs.mjs";
import { benchEnvironment, median, spread } from "./harness.mjs";

const FLOATS = 32;
const BATCH = 128;
const IMAGE_SHAPE = [224, 224, 3];
const IMAGE_BYTES = 224 * 224 * 3;
const DIGIT_SHAPE = [28, 28, 1];
/** Batches of one measurement of the main thread at least. */
const LEAST_BATCHES = 24;
/** What a measurement takes at least; the same in bench/peers/loader.py. */
const LEAST_MS = 1000;
/** How often the event loop is looked at; what is recorded is the time from one look to the next. */
const LOOK_MS = 1;

/**
 * Measures everything.
 *
 * @returns {Promise<{ name: string, ours: number, peer: number | null, unit: string, ratio: number | null, goal: number, floor: number }[]>}
 *   `ratio` is how many times better ours is than the peer, or than a limit where there is no peer; `goal` is what it should reach,
 *   `floor` what it must not fall below.
 */
export async function run({ quick = false, python, isSmoke = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
  const rounds = quick ? 1 : 3;
  const scale = quick ? 0.1 : 1;
  try {
    const small = writeTfrecord(folder, Math.ceil(200_000 * scale));
    const large = writeNpy(folder, "large", Math.ceil(20_000 * scale), "float32", [3072]);
    const tiny = writeNpy(folder, "tiny", Math.ceil(400_000 * scale), "float32", [32]);
    const images = writeNpy(folder, "images", quick ? 512 : 1536, "uint8", [224, 224, 3]);
    const tfdata = ["tfdata", small, FLOATS];
    const threads = [0, 2];
    const perWorkers = (path) => threads.map((workers) => ["memmap", path, workers]);
    return [
      await compare("TFRecord, small records, shuffled batches", small, [tfdata], {
        rounds,
        python,
        goal: 6,
        floor: 4,
      }),
      await compare("NPY, rows of 12 KB, shuffled", large, perWorkers(large), { rounds, python, goal: 2, floor: 1.5 }),
      await compare("NPY, rows of 128 B, shuffled", tiny, perWorkers(tiny), { rounds, python, goal: 20, floor: 12 }),
      await compareFake("no workers", 0, quick ? 512 : 2048, { rounds, python, goal: 2, floor: 1.2 }),
      await compareFake("two workers", 2, quick ? 512 : 2048, { rounds, python, goal: 2, floor: 1.2 }),
      await compareDigits(folder, Math.ceil(60_000 * scale), { rounds, hasPeer: !isSmoke }),
      ...(await mainThread(images, rounds)),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Samples of random numbers, on both sides made when they are asked for, and a label. */
function compareFake(which, workers, samples, settings) {
  const features = { x: { dtype: "float32", shape: IMAGE_SHAPE }, y: { dtype: "int32", shape: [], below: 10 } };
  const name = `random 224×224×3 floats in memory, batch ${BATCH}, ${which} / torch DataLoader`;
  return compare(name, fakeData({ samples, features }), [["randn", samples, workers]], { ...settings, workers });
}

/** Ours from files of bytes that become float32, tfjs-data from arrays of float32 in memory. */
async function compareDigits(folder, samples, { rounds, hasPeer }) {
  writeDigits(folder, samples);
  const transforms = [normalize("x", { scale: 1 / 255 })];
  const batches = await loader(join(folder, "digits.*.npy"), { batchSize: BATCH, shuffle: true, transforms });
  const peer = hasPeer ? tfjsFolder() : undefined;
  const [ours, theirs] = [[], []];
  await samplesPerSecond(batches);
  for (let round = 0; round < rounds; round++) {
    ours.push(await samplesPerSecond(batches));
    if (peer !== undefined) theirs.push(...measureTfjs(peer, samples));
  }
  await batches.close();
  return {
    name: "batches of the shape of MNIST / tfjs-data",
    ours: median(ours),
    peer: median(theirs) ?? null,
    unit: "samples/s",
    ratio: peer === undefined ? null : median(ours) / median(theirs),
    goal: 10,
    floor: 5,
    spread: spread(ours),
    peerSpread: spread(theirs),
  };
}

function measureTfjs(folder, samples) {
  const script = fileURLToPath(new URL("peers/loader-tfjs.mjs", import.meta.url));
  const args = [script, folder, String(samples), String(BATCH), "1"];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }));
}

/** Samples per second; of several peers the fastest. */
async function compare(name, spec, peers, { rounds, python, goal, floor, workers = "auto" }) {
  const batches = await loader(spec, { batchSize: BATCH, shuffle: true, workers });
  const ours = [];
  const theirs = peers.map(() => []);
  await samplesPerSecond(batches); // code is compiled, files are in memory: the peers get as long for that
  for (let round = 0; round < rounds; round++) {
    ours.push(await samplesPerSecond(batches));
    if (python) for (const [i, peer] of peers.entries()) theirs[i].push(...measurePeer(python, peer));
  }
  await batches.close();
  const peer = python ? Math.max(...theirs.map(median)) : null;
  return {
    name,
    ours: median(ours),
    peer,
    unit: "samples/s",
    ratio: peer === null ? null : median(ours) / peer,
    goal,
    floor,
    spread: spread(ours),
    peerSpread: peer === null ? undefined : spread(theirs.find((rates) => median(rates) === peer)),
  };
}

/** Whole epochs until there is enough time to divide by. */
async function samplesPerSecond(batches) {
  const began = performance.now();
  let samples = 0;
  do samples += await countSamples(batches);
  while (performance.now() - began < LEAST_MS);
  return (samples * 1000) / (performance.now() - began);
}

async function countSamples(batches) {
  let samples = 0;
  for await (const { size } of batches) samples += size;
  return samples;
}

function measurePeer(python, [way, path, number]) {
  const script = fileURLToPath(new URL("peers/loader.py", import.meta.url));
  const args = [script, way, String(path), String(number), String(BATCH), "1"];
  return JSON.parse(
    execFileSync(python, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], env: benchEnvironment() }),
  );
}

/** What batches of 19 MB from two workers cost the main thread that only takes them. */
async function mainThread(path, rounds) {
  const batches = await loader(path, { batchSize: BATCH, shuffle: true, workers: 2 });
  await countSamples(batches);
  const active = [];
  const late = [];
  for (let round = 0; round < rounds; round++) {
    const before = mainThreadMs();
    const taken = await takeBatches(batches);
    active.push((mainThreadMs() - before) / taken);
    // By itself: a thousand looks a second would be most of what the main thread does.
    const delay = monitorEventLoopDelay({ resolution: LOOK_MS });
    delay.enable();
    await takeBatches(batches);
    delay.disable();
    late.push(delay.percentile(99) / 1e6 - LOOK_MS);
  }
  await batches.close();
  const megabytes = ((BATCH * IMAGE_BYTES) / 1e6).toFixed(0);
  return [
    within(`main thread per batch of ${megabytes} MB`, median(active), 0.5),
    within("event loop delay while loading, p99", median(late), 5),
  ];
}

/** Whole epochs; gives the number of batches. */
async function takeBatches(batches) {
  let taken = 0;
  while (taken < LEAST_BATCHES) taken += Math.ceil((await countSamples(batches)) / BATCH);
  return taken;
}

/** On Linux the time that the main thread had a core, elsewhere the time that it was not idle, other processes' share of it included. */
function mainThreadMs() {
  const path = `/proc/self/task/${process.pid}/schedstat`;
  if (!existsSync(path)) return performance.eventLoopUtilization().active;
  return Number(readFileSync(path, "utf8").split(" ")[0]) / 1e6;
}

function within(name, ours, limit) {
  return { name: `${name}, limit ${limit} ms`, ours, peer: null, unit: "ms", ratio: limit / ours, goal: 1, floor: 0.5 };
}

function writeTfrecord(folder, records) {
  const x = new Float32Array(FLOATS);
  const y = new BigInt64Array(1);
  const features = { x: { dtype: "float32", shape: [FLOATS], data: x }, y: { dtype: "int64", shape: [1], data: y } };
  return write("tfrecord", join(folder, "small"), ".tfrecord", records, (record) => {
    for (let i = 0; i < FLOATS; i++) x[i] = Math.sin(record * FLOATS + i);
    y[0] = BigInt(record % 1000);
    return features;
  });
}

function writeNpy(folder, name, records, dtype, shape) {
  const length = shape.reduce((product, size) => product * size, 1);
  const data = dtype === "uint8" ? new Uint8Array(length) : new Float32Array(length);
  const features = { x: { dtype, shape, data } };
  return write("npy", join(folder, name), ".x.npy", records, (record) => {
    data.fill(record & 0xff);
    return features;
  });
}

function writeDigits(folder, records) {
  const data = new Uint8Array(DIGIT_SHAPE.reduce((product, size) => product * size));
  const label = new Int32Array(1);
  const features = { x: { dtype: "uint8", shape: DIGIT_SHAPE, data }, y: { dtype: "int32", shape: [], data: label } };
  write("npy", join(folder, "digits"), ".x.npy", records, (record) => {
    data.fill(record & 0xff);
    label[0] = record % 10;
    return features;
  });
}

function write(format, stem, ending, records, featuresOf) {
  const writer = writableFormatByName(format).create(stem);
  const source = `${stem}${ending}`;
  const name = basename(stem); // the keys are the default ones, which no other tool writes either
  for (let record = 0; record < records; record++) {
    writer.write({ key: `${name}/${record}`, origin: { source, record }, features: featuresOf(record) });
  }
  writer.finish();
  return source;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { quick: { type: "boolean" }, python: { type: "string" } } });
  const python = values.python ?? process.env.KDATA_PYTHON;
  for (const { name, ours, peer, unit, ratio, goal } of await run({ quick: values.quick, python })) {
    const figure = (number) => (unit === "ms" ? number.toFixed(2) : Math.round(number).toLocaleString("en-US"));
    const against = peer === null ? "" : ` against ${figure(peer)}`;
    const reached = ratio === null ? "no peer" : `${ratio.toFixed(2)} (goal ${goal})`;
    console.log(`${name.padEnd(52)} ${figure(ours)}${against} ${unit}   ${reached}`);
  }
}
