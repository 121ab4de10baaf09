import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BatchJob } from "../../src/loaders/batch-maker.ts";
import type { MadeBatch } from "../../src/loaders/batch-producer.ts";
import { describeDataset } from "../../src/loaders/dataset.ts";
import { findWorkerEntry } from "../../src/loaders/entry.ts";
import { WorkerPool } from "../../src/loaders/pool.ts";
import { fixedDepth } from "../../src/loaders/prefetch-depth.ts";
import { normalize } from "../../src/transforms/index.ts";
import { openFiles } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const BATCH = 4;
const STEPS = 8;

let folder: string;
let pool: WorkerPool | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-pool-"));
});
afterEach(async () => {
  await pool?.close();
  rmSync(folder, { recursive: true });
});

async function start(entry: URL, workers = 2, prefetch = 4, timeoutMs = 300_000): Promise<WorkerPool> {
  const dataset = await describeDataset(writeShards(folder, [BATCH * STEPS]), {});
  return new WorkerPool({
    entry,
    // A scalar is normalized sample by sample only: of a batch of columns nobody knows which record was begun last.
    recipe: { dataset, transforms: [normalize("y", { mean: 1 })], shuffle: false, seed: 0, makers: workers },
    workers,
    depth: fixedDepth(prefetch),
    timeoutMs,
  });
}

function* jobs(): Generator<BatchJob, void> {
  for (let step = 0; step < STEPS; step++) {
    yield { epoch: 0, step, globalStart: step * BATCH, start: step * BATCH, size: BATCH, padded: 0 };
  }
}

/**
 * Makes an entry with an accident: the real worker, but its thread ends instead of answering with a batch that holds the key,
 * so many times over all threads. The file `deaths` counts them.
 */
function dyingEntry(key: string, times: number): URL {
  const deaths = join(folder, "deaths");
  writeFileSync(deaths, "");
  const entry = join(folder, "dying-worker.mjs");
  writeFileSync(
    entry,
    `import { appendFileSync, readFileSync } from "node:fs";
    import { parentPort } from "node:worker_threads";
    import ${JSON.stringify(findWorkerEntry())};
    const post = parentPort.postMessage.bind(parentPort);
    parentPort.postMessage = (answer) => {
      const deaths = ${JSON.stringify(deaths)};
      if (answer.keys.includes(${JSON.stringify(key)}) && readFileSync(deaths).length < ${times}) {
        appendFileSync(deaths, "x");
        process.exit(3);
      }
      post(answer);
    };`,
  );
  return pathToFileURL(entry);
}

async function drain(from: WorkerPool): Promise<string[]> {
  const keys: string[] = [];
  for (let made = await from.next(); made; made = await from.next()) {
    keys.push(...made.batch.keys);
    made.release();
  }
  return keys;
}

const ALL = Array.from({ length: BATCH * STEPS }, (_, record) => `a/${record}`);

test.each([1, 2])("a batch whose worker dies is made again by a fresh one (%d workers)", async (workers) => {
  pool = await start(dyingEntry("a/13", 1), workers);
  pool.begin(jobs());
  expect(await drain(pool)).toEqual(ALL);
  expect(readFileSync(join(folder, "deaths"), "utf8")).toBe("x");
});

test("a batch that two workers die over is a `worker` error at its place, and those after it are not lost", async () => {
  pool = await start(dyingEntry("a/13", 99));
  pool.begin(jobs());
  for (let step = 0; step < 3; step++) (await pool.next())?.release();
  await expect(pool.next()).rejects.toMatchObject({
    code: "worker",
    reason: "Cannot make batch 3 of epoch 0: 2 workers died over it",
    at: { record: 15 }, // begun last: it died over the whole batch
    cause: "exit code 3",
  });
  expect(await drain(pool)).toEqual(ALL.slice(16));
});

test("a worker that cannot even start is a `worker` error with the cause, not an endless restart", async () => {
  const entry = join(folder, "broken.mjs");
  writeFileSync(entry, "throw new RangeError('no start');");
  pool = await start(pathToFileURL(entry), 1);
  pool.begin(jobs());
  await expect(pool.next()).rejects.toMatchObject({ code: "worker", cause: new RangeError("no start") });
});

/**
 * Makes an entry whose thread waits inside a batch that holds the record, forever or until the gate is opened, so many times over
 * all threads.
 */
function waitingEntry(key: string, times: number): { entry: URL; gate: () => void; waits: () => number } {
  const waits = join(folder, "waits");
  const opened = join(folder, "opened");
  writeFileSync(waits, "");
  const entry = join(folder, "waiting-worker.mjs");
  writeFileSync(
    entry,
    `import { appendFileSync, existsSync, readFileSync } from "node:fs";
    import { parentPort } from "node:worker_threads";
    import ${JSON.stringify(findWorkerEntry())};
    const post = parentPort.postMessage.bind(parentPort);
    const cell = new Int32Array(new SharedArrayBuffer(4));
    parentPort.postMessage = (answer) => {
      const waits = ${JSON.stringify(waits)};
      if (answer.keys.includes(${JSON.stringify(key)}) && readFileSync(waits).length < ${times}) {
        appendFileSync(waits, "x");
        while (!existsSync(${JSON.stringify(opened)})) Atomics.wait(cell, 0, 0, 5);
      }
      post(answer);
    };`,
  );
  return {
    entry: pathToFileURL(entry),
    gate: () => {
      writeFileSync(opened, "");
    },
    waits: () => readFileSync(waits).length,
  };
}

test("a worker that hangs is replaced, and its batch is made again", async () => {
  const { entry, waits } = waitingEntry("a/13", 1);
  pool = await start(entry, 2, 4, 4000);
  pool.begin(jobs());
  expect(await drain(pool)).toEqual(ALL);
  expect(waits()).toBe(1);
});

test("a batch that two workers hang over is a `worker` error at its place, with the record", async () => {
  const { entry } = waitingEntry("a/13", 99);
  pool = await start(entry, 2, 4, 4000);
  pool.begin(jobs());
  for (let step = 0; step < 3; step++) (await pool.next())?.release();
  await expect(pool.next()).rejects.toMatchObject({
    code: "worker",
    reason: "Cannot make batch 3 of epoch 0: 2 workers made no progress over it for 4000 ms",
    at: { record: 15 },
  });
  expect(await drain(pool)).toEqual(ALL.slice(16));
});

test("a slow batch holds no other back: the idle worker makes all that fit before it", async () => {
  const { entry, gate } = waitingEntry("a/0", 1);
  pool = await start(entry, 2, 6);
  pool.begin(jobs());
  const first = pool.next();
  while (pool.ready < 5) await new Promise((resolve) => setTimeout(resolve, 1));
  gate();
  expect((await first)?.job.step).toBe(0);
  expect(await drain(pool)).toEqual(ALL.slice(BATCH));
});

test("an epoch that is left is dropped, and its memory serves the next one", async () => {
  pool = await start(findWorkerEntry(), 2, 2);
  const memories = new Set<ArrayBufferLike>();
  for (let round = 0; round < 5; round++) {
    pool.begin(jobs());
    const taken: (MadeBatch | undefined)[] = [await pool.next()];
    taken[0]?.release();
    taken.push(await pool.next());
    expect(taken.map((made) => made?.job.step)).toEqual([0, 1]);
    for (const made of taken) if (made) memories.add(made.batch.memory);
    taken[1]?.release();
  }
  pool.begin(jobs());
  expect(await drain(pool)).toEqual(ALL);
  expect(memories.size).toBeLessThanOrEqual(4);
});

test("the workers run no further ahead than prefetch says", async () => {
  pool = await start(findWorkerEntry(), 2, 3);
  let asked = 0;
  pool.begin(
    (function* () {
      for (const job of jobs()) {
        asked++;
        yield job;
      }
    })(),
  );
  expect(asked).toBe(3);
  const held = await pool.next();
  expect(asked).toBe(4); // the one that was taken makes room for another
  held?.release();
  expect(asked).toBe(4);
});

test.runIf(process.platform === "linux")("close() ends what is being made and closes its files", async () => {
  pool = await start(findWorkerEntry());
  pool.begin(jobs());
  (await pool.next())?.release();
  const pending = pool.next();
  await pool.close();
  await pending;
  expect(await pool.next()).toBeUndefined();
  expect(openFiles(folder)).toEqual([]);
});
