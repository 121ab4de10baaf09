// How fast JPEGs of about 20 KB become batches: decoded, cropped at random to 224, flipped, normalized, float32 NCHW, 128 at a time.
//
//   node bench/images.mjs [--quick] [--rounds 3]
//
// Two workers. KDATA_PYTHON, where it is set to a Python that has numpy and Pillow, makes the images, and with torch, webdataset and
// TensorFlow runs them: torch DataLoader over webdataset with two workers, its transforms alone in two processes, tf.data with AUTOTUNE.
// Without it sharp makes images of the same kind. The ways take turns; printed are medians. `run` gives the rows to other scripts.

import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify, parseArgs } from "node:util";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { convert } from "kdata/convert";
import { loader, openShard } from "kdata";
import { formatByName } from "kdata/readers";
import {
  decodeImage,
  imagenet,
  layout,
  normalize,
  randomFlip,
  randomResizedCrop,
  centerCrop,
  select,
} from "kdata/transforms";
import { writableFormatByName } from "kdata/writers";
import { alternate, benchEnvironment, median, spread } from "./harness.mjs";

const BATCH = 128;
const WARM = 8; // batches, on all sides: by then each slot has been filled once, and fresh memory is slow
const WORKERS = 2;
const peerScript = fileURLToPath(new URL("peers/images.py", import.meta.url));
const run_ = promisify(execFile);

const toFloats = [
  select({ x: "jpg" }),
  decodeImage("x"),
  randomResizedCrop("x", 224),
  randomFlip("x"),
  normalize("x", imagenet),
  layout("x", "NCHW"),
];
const toBytes = [select({ x: "jpg" }), decodeImage("x"), centerCrop("x", 224)];

/** Measures, and gives a row for each comparison: images per second. `floor`: what nothing could beat. */
export async function run({ quick = false, python = process.env.KDATA_PYTHON, rounds = quick ? 1 : 3 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-images-"));
  try {
    const count = quick ? 2560 : 5120;
    if (python) execFileSync(python, [peerScript, "make", folder, String(count)]);
    else await makeImages(folder, count);
    const tars = join(folder, "img-*.tar");
    await convert(tars, { to: "tfrecord", output: join(folder, "tfr") });
    const [record] = readdirSync(join(folder, "tfr")).filter((name) => name.endsWith(".tfrecord"));
    const records = join(folder, "tfr", record);
    const peers = python
      ? {
          torch: () => peer(python, "torch", tars, String(WORKERS)),
          transforms: async () => sum(await Promise.all([1, 2].map(() => peer(python, "transforms", tars)))),
          tfdata: () => peer(python, "tfdata", records),
        }
      : {};
    const ways = {
      floats: () => loaded(tars, toFloats),
      bytes: () => loaded(tars, toBytes),
      record: () => loaded(records, toFloats),
      floor: () => decodeRate(tars),
      ...peers,
    };
    return rows(await alternate(ways, rounds));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rows(rate) {
  const row = (name, ours, peer, goal) => ({
    name,
    ours: median(ours),
    peer: peer && median(peer),
    unit: "images/s",
    ratio: peer && median(ours) / median(peer),
    goal,
    floor: median(rate.floor),
    spread: spread(ours),
    peerSpread: peer && spread(peer),
  });
  return [
    row("WebDataset JPEG to float32 NCHW; peer: torch DataLoader, webdataset, Pillow", rate.floats, rate.torch, 6),
    row("the same; peer: its transforms alone on two cores", rate.floats, rate.transforms, 1.7),
    row("TFRecord JPEG to float32 NCHW; peer: tf.data AUTOTUNE", rate.record, rate.tfdata, 1.3),
    row("WebDataset JPEG to uint8 NHWC; peer: libjpeg-turbo alone", rate.bytes, rate.floor, 0.7),
  ];
}

async function loaded(spec, transforms) {
  const batches = await loader(spec, { transforms, batchSize: BATCH, workers: WORKERS, remainder: "drop" });
  let count = 0;
  let number = 0;
  let start = 0;
  for await (const batch of batches) {
    if (number++ < WARM) start = performance.now();
    else count += batch.size;
  }
  const seconds = (performance.now() - start) / 1000;
  await batches.close();
  return count / seconds;
}

/** What libjpeg-turbo decodes into one buffer in each of two threads. */
async function decodeRate(tars) {
  const threads = [0, 1].map(() => new Worker(new URL(import.meta.url), { workerData: { tars } }));
  return sum(
    await Promise.all(
      threads.map((thread) => new Promise((done, fail) => thread.once("message", done).once("error", fail))),
    ),
  );
}

async function decodeAlone(tars) {
  const turbo = createRequire(import.meta.url)("@julusian/jpeg-turbo");
  const target = Buffer.alloc(256 * 256 * 3);
  const folder = tars.slice(0, tars.lastIndexOf("/"));
  const images = [];
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".tar"))) {
    const reader = openShard(formatByName("webdataset"), { name, paths: [join(folder, name)] });
    for (const { features } of reader.samples()) images.push(Buffer.from(features.jpg));
    reader.close();
  }
  for (const image of images.slice(0, BATCH)) turbo.decompressSync(image, target, { format: turbo.FORMAT_RGB });
  const start = performance.now();
  for (const image of images) turbo.decompressSync(image, target, { format: turbo.FORMAT_RGB });
  return images.length / ((performance.now() - start) / 1000);
}

async function peer(python, ...parameters) {
  const { stdout } = await run_(python, [peerScript, ...parameters], { env: benchEnvironment() });
  return Number(JSON.parse(stdout));
}

/** Images of gradients and noise like those of the peers' script. */
async function makeImages(folder, count) {
  const { default: sharp } = await import("sharp");
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let shard = 0; shard < 2; shard++) {
    const writer = writableFormatByName("webdataset").create(join(folder, `img-${shard}`));
    for (let i = 0; i < count / 2; i++) {
      const [width, height] = [224 + Math.floor(random() * 33), 224 + Math.floor(random() * 33)];
      const pixels = Buffer.alloc(width * height * 3);
      for (let p = 0; p < width * height; p++) {
        const noise = (random() - 0.5) * 60;
        pixels[p * 3] = clamp(((p % width) * 255) / width + noise);
        pixels[p * 3 + 1] = clamp((p / width / height) * 255 + noise);
        pixels[p * 3 + 2] = clamp(128 + noise);
      }
      const jpg = await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 70 })
        .toBuffer();
      const key = `${shard}-${i}`;
      writer.write({ key, origin: { source: "made", record: i }, features: { jpg: new Uint8Array(jpg) } });
    }
    writer.finish();
  }
}

function clamp(value) {
  return Math.min(255, Math.max(0, value));
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

if (!isMainThread && workerData?.tars) parentPort.postMessage(await decodeAlone(workerData.tars));
else if (isMainThread && process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, rounds: { type: "string" } } });
  const options = { quick: values.quick, ...(values.rounds && { rounds: Number(values.rounds) }) };
  for (const { name, ours, peer: other, ratio, goal, floor } of await run(options)) {
    const compared = ratio === undefined ? "no peer" : `${other.toFixed(0)} (${ratio.toFixed(2)} ×, goal ${goal})`;
    process.stdout.write(`${ours.toFixed(0)} images/s against ${compared}, floor ${floor.toFixed(0)}: ${name}\n`);
  }
}
