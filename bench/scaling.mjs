// How throughput grows with workers, with the size of records and with the size of the data set, and where the curve bends.
//
//   npm run bench -- scaling [--quick]

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { loader } from "kdata";
import { decodeImage, randomFlip, randomResizedCrop, select } from "kdata/transforms";
import { writableFormatByName } from "kdata/writers";
import { imageFeatures, smallFeatures, writeShard } from "./formats/data.mjs";
import { alternate, median } from "./harness.mjs";

const FLOATS = 32;
const BATCH = 64;
const WORKERS = [0, 1, 2, 3, 4];
const RECORD_BYTES = [100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
/** Of the best: from here on a curve is flat. */
const FLAT = 0.9;
const LEAST_MS = 300; // what a measurement takes at least, so that starting weighs little

/** Measures the curves: no rows, but `series`, an array of `{ name, x, unit, points: [{ x, y }], bend, why }`. */
export async function run({ quick = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-scaling-"));
  const bench = { folder, rounds: quick ? 3 : 5, quick };
  try {
    const series = [
      await overWorkers(bench, "JPEG of 256² decoded, cropped to 224, flipped", await images(bench)),
      await overWorkers(bench, "small Examples as columns", {
        spec: small(bench, quick ? 100_000 : 400_000),
        transforms: [],
      }),
      await overRecordBytes(bench),
      await overRecords(bench),
    ];
    return Object.assign([], { series });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function overWorkers({ rounds }, name, { spec, transforms }) {
  const loaders = [];
  for (const workers of WORKERS)
    loaders.push(await loader(spec, { transforms, batchSize: BATCH, shuffle: true, workers }));
  const ways = Object.fromEntries(loaders.map((each, i) => [WORKERS[i], () => samplesPerSecond(each)]));
  for (const way of Object.values(ways)) await way();
  const rates = await alternate(ways, rounds);
  for (const each of loaders) await each.close();
  const points = WORKERS.map((x) => ({ x, y: median(rates[x]) }));
  return { name, x: "workers", unit: "samples/s", points, ...bendOf(points, `${availableParallelism()} cores`) };
}

async function overRecordBytes({ folder, rounds, quick }) {
  const total = quick ? 20e6 : 100e6;
  const points = [];
  for (const bytes of RECORD_BYTES) {
    const path = writeShard(
      folder,
      `bytes-${bytes}`,
      "tfrecord",
      Math.min(200_000, total / bytes),
      imageFeatures(bytes),
    );
    const each = await loader(path, { batchSize: BATCH, shuffle: true });
    await samplesPerSecond(each);
    const { rates } = await alternate({ rates: () => samplesPerSecond(each) }, rounds);
    await each.close();
    rmSync(path);
    points.push({ x: bytes, y: (median(rates) * bytes) / 1e6 });
  }
  const name = "TFRecord, shuffled, no workers";
  return {
    name,
    x: "bytes of a record",
    unit: "MB/s",
    isLog: true,
    points,
    ...bendOf(points, "before it a record costs more than its bytes"),
  };
}

async function overRecords(bench) {
  const points = [];
  for (const records of bench.quick ? [1e3, 1e4, 1e5] : [1e3, 1e4, 1e5, 1e6]) {
    const each = await loader(small(bench, records), { batchSize: BATCH, shuffle: true });
    await samplesPerSecond(each);
    const { rates } = await alternate({ rates: () => samplesPerSecond(each) }, bench.rounds);
    await each.close();
    points.push({ x: records, y: median(rates) });
  }
  const name = "small Examples, shuffled, no workers";
  return {
    name,
    x: "records",
    unit: "samples/s",
    isLog: true,
    points,
    ...bendOf(points, "the order takes no memory and a record is found in the same time"),
  };
}

/** Where the curve first comes near its best value. */
function bendOf(points, why) {
  const best = Math.max(...points.map(({ y }) => y));
  return { bend: points.find(({ y }) => y >= FLAT * best).x, why };
}

/** Whole epochs until there is enough time to divide by. */
async function samplesPerSecond(batches) {
  const start = performance.now();
  let samples = 0;
  do for await (const { size } of batches) samples += size;
  while (performance.now() - start < LEAST_MS);
  return (samples * 1000) / (performance.now() - start);
}

function small({ folder }, records) {
  return writeShard(folder, `small-${records}`, "tfrecord", records, smallFeatures(FLOATS));
}

/** Photographs of noise: the same JPEG again and again costs as much to decode as many. */
async function images({ folder, quick }) {
  const { default: sharp } = await import("sharp");
  const side = 256;
  const pixels = Buffer.from({ length: side * side * 3 }, () => 0).map(
    (_, i) => (i % 256) ^ ((Math.imul(i, 2654435761) >>> 27) & 31),
  );
  const jpg = new Uint8Array(
    await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
      .jpeg({ quality: 70 })
      .toBuffer(),
  );
  mkdirSync(join(folder, "images"));
  const writer = writableFormatByName("webdataset").create(join(folder, "images", "img"));
  for (let record = 0; record < (quick ? 512 : 2048); record++) {
    writer.write({ key: String(record).padStart(6, "0"), origin: { source: "img", record }, features: { jpg } });
  }
  writer.finish();
  const transforms = [select({ x: "jpg" }), decodeImage("x"), randomResizedCrop("x", 224), randomFlip("x")];
  return { spec: join(folder, "images", "img.tar"), transforms };
}
