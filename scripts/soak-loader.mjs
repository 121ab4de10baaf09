// Loads under accidents, for as long as it is told: the process is killed in the middle and goes on from its state, workers end in
// the middle of a batch, and a long run must keep its memory. Exits with 1 when a sample is lost or repeated, or memory grows.
//
//   node scripts/soak-loader.mjs [--kills 20] [--deaths 20] [--batches 10000] [--seed 0]

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { loader } from "kdata";
import { deriveKey, RandomStream } from "kdata/core";
import { writableFormatByName } from "kdata/writers";
import { describeDataset } from "../dist/loaders/dataset.js";
import { WorkerPool } from "../dist/loaders/pool.js";
import { fixedDepth } from "../dist/loaders/prefetch-depth.js";

const RECORDS = 4000;
const BATCH = 16;
const WARM_BATCHES = 500; // slots, code and buffers are in place by then
const MAX_GROWTH = 48 << 20; // what V8's heap may swing by

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    deaths: { type: "string", default: "20" },
    batches: { type: "string", default: "10000" },
    seed: { type: "string", default: "0" },
    child: { type: "string" },
  },
});
const settings = { batchSize: BATCH, shuffle: true, seed: 3, workers: 2, prefetch: 8 };

if (values.child) await load(values.child);
else await soak();

async function soak() {
  const folder = mkdtempSync(join(tmpdir(), "kdata-soak-"));
  try {
    write(folder);
    const random = new RandomStream(deriveKey(Number(values.seed)));
    await killProcesses(folder, Number(values.kills), random);
    await endWorkers(folder, Number(values.deaths), random);
    await runLong(folder, Number(values.batches));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function write(folder) {
  const writer = writableFormatByName("tfrecord").create(join(folder, "rows"));
  for (let record = 0; record < RECORDS; record++) {
    const x = Float32Array.from({ length: 64 }, (_, i) => record + i / 64);
    const features = { x: { dtype: "float32", shape: [64], data: x } };
    writer.write({ key: `rows/${record}`, origin: { source: "rows.tfrecord", record }, features });
  }
  writer.finish();
}

/** Kills the process that loads at some line of its journal, again and again; what the journal says in the end must be the data set. */
async function killProcesses(folder, kills, random) {
  const journal = join(folder, "journal");
  writeFileSync(journal, "");
  let killed = 0;
  while (!(await runChild(folder, killed < kills ? 1 + Math.floor(random.uniform() * 20) : Infinity))) killed++;
  const keys = lines(journal).flatMap((line) => line.keys);
  check(keys, `${killed} times killed`);
}

/** Says whether the child came to its end; it is killed after so many batches. */
function runChild(folder, after) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--child", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let told = 0;
  child.stdout.on("data", (bytes) => {
    told += bytes.length; // one byte a batch
    if (told >= after) child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      if (signal === "SIGKILL") resolve(false);
      else if (code === 0) resolve(true);
      else reject(new Error(`the child ended with ${code}`));
    });
  });
}

/** The child: goes on from the last whole line of the journal to the end of the epoch. */
async function load(folder) {
  const journal = join(folder, "journal");
  const last = lines(journal).at(-1);
  if (last?.state.epoch === 1) return;
  const train = await loader(join(folder, "rows.tfrecord"), { ...settings, ...(last && { state: last.state }) });
  for await (const { keys } of train) {
    appendFileSync(journal, `${JSON.stringify({ keys, state: train.state() })}\n`);
    process.stdout.write(".");
  }
}

function lines(journal) {
  const text = readFileSync(journal, "utf8");
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  if (whole.length < text.length) writeFileSync(journal, whole); // a line that the kill has cut: nobody has seen its batch
  return whole
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Ends worker threads in the middle of batches that are drawn, once each. */
async function endWorkers(folder, deaths, random) {
  const steps = Math.ceil(RECORDS / BATCH);
  const fatal = new Set();
  while (fatal.size < Math.min(deaths, steps)) fatal.add(Math.floor(random.uniform() * steps));
  for (const step of fatal) writeFileSync(join(folder, `fatal-${step}`), "");
  const dataset = await describeDataset(join(folder, "rows.tfrecord"), {});
  const recipe = { dataset, transforms: [], shuffle: true, seed: 3, makers: 2 };
  const pool = new WorkerPool({
    entry: mortalEntry(folder),
    recipe,
    workers: 2,
    depth: fixedDepth(8),
    timeoutMs: 300_000,
  });
  pool.begin(jobs(steps));
  const keys = [];
  for (let made = await pool.next(); made; made = await pool.next()) {
    keys.push(...made.batch.keys);
    made.release();
  }
  await pool.close();
  for (const step of fatal) if (existsSync(join(folder, `fatal-${step}`))) throw new Error(`nobody died over ${step}`);
  check(keys, `${fatal.size} workers ended`);
}

function* jobs(steps) {
  for (let step = 0; step < steps; step++) {
    const start = step * BATCH;
    const size = Math.min(BATCH, RECORDS - start);
    yield { epoch: 0, step, globalStart: start, start, size, padded: 0 };
  }
}

/** The real worker, whose thread ends instead of answering to a batch that is fatal, and makes it harmless. */
function mortalEntry(folder) {
  const path = join(folder, "mortal-worker.mjs");
  writeFileSync(
    path,
    `import { rmSync } from "node:fs";
    import { parentPort } from "node:worker_threads";
    import ${JSON.stringify(new URL("../dist/loaders/worker.js", import.meta.url).href)};
    const post = parentPort.postMessage.bind(parentPort);
    parentPort.postMessage = (answer) => {
      try {
        rmSync(${JSON.stringify(join(folder, "fatal-"))} + (answer.task - 1));
      } catch {
        return post(answer);
      }
      process.exit(9);
    };`,
  );
  return pathToFileURL(path);
}

async function runLong(folder, batches) {
  const train = await loader(join(folder, "rows.tfrecord"), { ...settings, prefetch: "auto" });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let before = 0;
  let count = 0;
  while (count < batches) {
    for await (const { size } of train) {
      if (++count === Math.min(WARM_BATCHES, batches)) {
        before = process.memoryUsage.rss();
        delay.enable();
      }
      if (count >= batches || size === 0) break;
    }
  }
  delay.disable();
  const grown = process.memoryUsage.rss() - before;
  await train.close();
  const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log(`memory: ${mebibytes(before)} after ${WARM_BATCHES} batches, ${mebibytes(grown)} more after ${count}`);
  console.log(`event loop delay: p99 ${(delay.percentile(99) / 1e6).toFixed(2)} ms`);
  if (grown > MAX_GROWTH) throw new Error(`memory grows: ${mebibytes(grown)}`);
}

function check(keys, what) {
  const expected = Array.from({ length: RECORDS }, (_, record) => `rows/${record}`);
  if (new Set(keys).size !== RECORDS || keys.length !== RECORDS || !expected.every((key) => keys.includes(key))) {
    throw new Error(`${what}: ${keys.length} samples, ${new Set(keys).size} different ones, of ${RECORDS}`);
  }
  const digest = createHash("sha256").update(keys.join()).digest("hex").slice(0, 12);
  console.log(`${what}: ${keys.length} samples, each one once (order ${digest})`);
}
