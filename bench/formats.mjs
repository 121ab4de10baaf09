// How fast formats are read and written, beside the raw read of the same file and the tools that people use now.
//
//   node bench/formats.mjs [--quick] [--python PYTHON] [--only PART]
//
// `--quick` shows that everything runs: what starts once (threads, a file that is opened) weighs too much in it to compare rates. PART is
// smallExamples, archives, arrays, gathered, conversion, indexes or lines.
//
// PYTHON (or KDATA_PYTHON) is a Python with tensorflow, webdataset, tfrecord and numpy; what it lacks is "not installed". Ours and the
// peer take turns, so that what else the machine does falls on both; shown are ratios of medians by the clock, by the time of the
// processor (which says more on a busy machine, and nothing about threads), and the rates.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { convert } from "kdata/convert";
import { imageFeatures, parseLines, smallFeatures, writeLines, writeRows, writeShard } from "./formats/data.mjs";
import { startPeers } from "./formats/peer.mjs";
import { median, spread } from "./harness.mjs";
import { columns, index, open, protobufjs, raw, rewrite, samples } from "./formats/ways.mjs";

const FLOATS = 32;
const BATCH = 1024;
const IMAGE_BYTES = 20_000;
const GATHERED_FLOATS = 32;
/** Of a goal: a loaded machine is slower on one side for a while, so less than this is a regression and not noise. */
const FLOOR = 0.6;
/** For how long a way runs before it is measured: its code is compiled by then, and the file is in memory. */
const WARM_UP_MS = 700;

/**
 * Measures every row. A row is `{ name, ours, peer, unit, ratio, goal, floor, cpuRatio, raw }`: rates in `unit`; `peer` and the
 * ratios undefined where the peer is not installed; `goal` undefined where none is set; `raw` the rate of reading the bytes alone.
 */
export async function run({ quick = false, python, only, except } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
  const bench = { folder, rounds: quick ? 5 : 7, scale: quick ? 0.1 : 1, peers: startPeers(python) };
  try {
    const rows = [];
    for (const part of [smallExamples, archives, arrays, gathered, conversion, indexes, lines]) {
      if (part.name !== except && (only ?? part.name) === part.name) rows.push(...(await part(bench)));
    }
    return rows;
  } finally {
    bench.peers.close();
    rmSync(folder, { recursive: true });
  }
}

async function smallExamples(bench) {
  const records = 200_000 * bench.scale;
  const path = writeShard(bench.folder, "small", "tfrecord", records, smallFeatures(FLOATS));
  const job = { path, floats: FLOATS, batch: BATCH };
  const rates = await measure(bench, records, {
    ours: () => columns("tfrecord", path, BATCH),
    protobufjs: () => protobufjs(path),
    samples: () => samples("tfrecord", path),
    tensorflow: { ...job, job: "parse_example" },
    tfrecord: { ...job, job: "tfrecord" },
    raw: () => raw(path) && records,
  });
  const what = "small Examples as columns, both checksums";
  const unit = "records/s";
  return [
    row(`${what} / tf.data parse_example`, rates.ours, rates.tensorflow, { unit, goal: 8, raw: rates.raw }),
    row(`${what} / protobufjs without checksums`, rates.ours, rates.protobufjs, { unit, goal: 4, raw: rates.raw }),
    row(`${what} / tfrecord`, rates.ours, rates.tfrecord, { unit, raw: rates.raw }),
    row("small Examples as samples / protobufjs", rates.samples, rates.protobufjs, { unit, raw: rates.raw }),
  ];
}

async function archives(bench) {
  const rows = [];
  for (const [size, count] of [
    [IMAGE_BYTES, 5000],
    [1000, 20_000],
  ]) {
    const records = count * bench.scale;
    const path = writeShard(bench.folder, `tar-${size}`, "webdataset", records, imageFeatures(size));
    const rates = await measure(bench, records, {
      ours: () => samples("webdataset", path),
      peer: { job: "webdataset", path },
      raw: () => raw(path) && records,
    });
    const name = `tar of ${size / 1000} KB images to samples / webdataset`;
    rows.push(row(name, rates.ours, rates.peer, { unit: "samples/s", goal: 10, raw: rates.raw }));
  }
  return rows;
}

async function arrays(bench) {
  const records = 16_000 * bench.scale;
  const path = writeRows(bench.folder, "rows", records, 3072);
  const rates = await measure(bench, records, {
    ours: () => columns("npy", path, 128),
    peer: { job: "numpy_batches", path, batch: 128 },
    raw: () => raw(path) && records,
  });
  const options = { unit: "rows/s", raw: rates.raw };
  return [
    row("NPY rows of 12 KB in order / raw read", rates.ours, rates.raw, { ...options, goal: 0.7 }),
    row("NPY rows of 12 KB in order / numpy", rates.ours, rates.peer, { ...options, goal: 1 }),
  ];
}

async function gathered(bench) {
  const count = 400_000 * bench.scale;
  const path = writeRows(bench.folder, "gathered", count, GATHERED_FLOATS);
  const batches = 200;
  const reader = open("npy", path);
  const [name] = Object.keys(reader.read(0).features);
  const source = reader.columns([{ name, dtype: "float32", shape: [GATHERED_FLOATS] }]);
  const into = { columns: [new Float32Array(BATCH * GATHERED_FLOATS)] };
  const orders = shuffled(batches, count);
  const rates = await measure(bench, batches * BATCH, {
    ours: () => orders.reduce((sum, records) => sum + source.read(records, into, 0), 0),
    peer: { job: "numpy_take", path, batch: BATCH, batches },
  });
  reader.close();
  return [row("NPY rows of 128 B in any order / numpy.take", rates.ours, rates.peer, { unit: "rows/s" })];
}

async function conversion(bench) {
  const records = 16_000 * bench.scale;
  const shards = 4;
  const input = join(bench.folder, "images");
  mkdirSync(input);
  const features = imageFeatures(IMAGE_BYTES);
  for (let shard = 0; shard < shards; shard++) {
    writeShard(input, `img-${shard}`, "tfrecord", records / shards, features);
  }
  const path = join(input, "img-0.tfrecord");
  const one = await measure(bench, records / shards, {
    ours: () => rewrite("tfrecord", path, "webdataset", join(bench.folder, "out")),
    peer: { job: "convert", path, output: bench.folder },
    raw: () => raw(path) && records / shards,
  });
  const convertAll = async (workers) => {
    const output = join(bench.folder, "converted");
    await convert(join(input, "*.tfrecord"), { to: "webdataset", output, ...(workers > 0 && { workers }) });
    const count = readdirSync(output).length === 0 ? 0 : records;
    rmSync(output, { recursive: true });
    return count;
  };
  const all = await measure(bench, records, { one: () => convertAll(0), two: () => convertAll(2) });
  const unit = "samples/s";
  const what = "TFRecord of 20 KB images to WebDataset";
  return [
    row(`${what} / TensorFlow and ShardWriter`, one.ours, one.peer, { unit, goal: 6, raw: one.raw }),
    row(`${what}, two workers / one thread`, all.two, all.one, { unit, goal: 1.3 }),
  ];
}

async function indexes(bench) {
  const rows = [];
  for (const [format, name] of [
    ["tfrecord", "TFRecord"],
    ["webdataset", "tar"],
  ]) {
    const records = 5000 * bench.scale;
    const path = writeShard(bench.folder, `index-${format}`, format, records, imageFeatures(IMAGE_BYTES));
    const { size } = statSync(path);
    const rates = await measure(bench, records, { ours: () => index(format, path), raw: () => raw(path) && records });
    const gigabytes = ({ wall, cpu }) => ({ wall: (wall * size) / records / 1e9, cpu: (cpu * size) / records / 1e9 });
    const options = { unit: "GB/s", goal: 1, raw: gigabytes(rates.raw) };
    rows.push(row(`index of a ${name} of 20 KB images / 1 GB/s`, gigabytes(rates.ours), { wall: 1, cpu: 1 }, options));
  }
  return rows;
}

async function lines(bench) {
  const count = 100_000 * bench.scale;
  const path = writeLines(bench.folder, count);
  const rates = await measure(bench, count, {
    ours: () => samples("jsonl", path),
    parse: () => parseLines(path),
    python: { job: "json_lines", path },
    raw: () => raw(path) && count,
  });
  const options = { unit: "lines/s", raw: rates.raw };
  return [
    row("JSON Lines to samples / JSON.parse alone", rates.ours, rates.parse, options),
    row("JSON Lines to samples / Python's json", rates.ours, rates.python, options),
  ];
}

/**
 * Lets the ways take turns and gives the median rates of each, by the clock and by the time of the processor. A way is a function, or a
 * job of the peers. All are warmed up before.
 */
async function measure({ rounds, peers }, records, ways) {
  const rates = Object.fromEntries(Object.keys(ways).map((name) => [name, { wall: [], cpu: [] }]));
  const once = async (way) => (typeof way === "function" ? timed(way) : peers.run(way));
  for (const way of Object.values(ways)) {
    const start = performance.now();
    do await once(way);
    while (performance.now() - start < WARM_UP_MS);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const done = await once(way);
      if (done === undefined) continue;
      if (done.count !== records) throw new Error(`${name} gave ${done.count} of ${records}`);
      rates[name].wall.push(records / done.seconds);
      rates[name].cpu.push(records / done.cpu);
    }
  }
  return Object.fromEntries(
    Object.entries(rates).map(([name, { wall, cpu }]) => [
      name,
      { wall: median(wall), cpu: median(cpu), spread: spread(wall) },
    ]),
  );
}

async function timed(way) {
  const [start, cpuStart] = [performance.now(), process.cpuUsage()];
  const count = await way();
  const { user, system } = process.cpuUsage(cpuStart);
  return { count, seconds: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 };
}

function row(name, ours, peer, { unit, goal, raw: rawRate }) {
  const ratioOf = (clock) => (peer[clock] === undefined ? undefined : ours[clock] / peer[clock]);
  const [ratio, cpuRatio] = [ratioOf("wall"), ratioOf("cpu")];
  const floor = goal === undefined ? undefined : goal * FLOOR;
  const spreads = { spread: ours.spread, peerSpread: peer.spread };
  return { name, ours: ours.wall, peer: peer.wall, unit, ratio, goal, floor, cpuRatio, raw: rawRate?.wall, ...spreads };
}

/** Records in an order that is always the same and looks like none. */
function shuffled(batches, count) {
  let state = 1;
  return Array.from({ length: batches }, () =>
    Float64Array.from({ length: BATCH }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 4) % count;
    }),
  );
}

function print(rows) {
  console.log("  by clock  by cpu  goal");
  for (const { name, ours, peer, unit, ratio, goal, cpuRatio, raw: rawRate } of rows) {
    const ratios = ratio === undefined ? "   not installed  " : `${times(ratio)}${times(cpuRatio)}`;
    const verdict =
      goal === undefined ? "" : ratio === undefined ? goal : `${goal} ${ratio >= goal ? "met" : "not met"}`;
    const rates = `${rate(ours)} to ${rate(peer)} ${unit}, raw read ${rate(rawRate)}`;
    console.log(`${ratios}  ${String(verdict).padEnd(11)} ${name}: ${rates}`);
  }
}

function times(ratio) {
  return ratio.toFixed(2).padStart(8);
}

function rate(number) {
  if (number === undefined) return "-";
  return number >= 1e6
    ? `${(number / 1e6).toFixed(2)}M`
    : number >= 1000
      ? `${(number / 1000).toFixed(1)}k`
      : number.toFixed(2);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      python: { type: "string", default: process.env.KDATA_PYTHON },
    },
  });
  print(await run(values));
}
