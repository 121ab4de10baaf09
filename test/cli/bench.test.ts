import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { bench, type BenchReport } from "../../src/cli/bench.ts";
import { stages } from "../../src/cli/bench-run.ts";
import type * as collate from "../../src/loaders/collate.ts";
import type * as entry from "../../src/loaders/entry.ts";
import type * as open from "../../src/readers/open.ts";
import type * as registry from "../../src/transforms/registry.ts";
import { select, type Transform, type TransformDescription } from "../../src/transforms/index.ts";
import { fixture, kdata, mnist } from "./run-kdata.ts";

const DELAY_MS = 4; // some hundred times what a stage takes here by itself
const SLOW = { transform: "slow" } as unknown as TransformDescription;

// A delay in whichever stage is named, at the real place of that stage.
const planted = vi.hoisted(() => ({
  stage: "",
  entry: undefined as URL | undefined,
  wait(stage: string, ms: number): void {
    if (stage !== planted.stage) return;
    const until = performance.now() + ms;
    while (performance.now() < until);
  },
}));

vi.mock("node:fs", async (load) => {
  const real = await load<typeof fs>();
  const readSync = (...args: Parameters<typeof fs.readSync>): number => {
    planted.wait("read", DELAY_MS);
    return real.readSync(...args);
  };
  return { ...real, readSync };
});
vi.mock("../../src/readers/open.ts", async (load) => {
  const real = await load<typeof open>();
  const openShard: typeof open.openShard = (...args) => {
    const reader = real.openShard(...args);
    const read: typeof reader.read = (record) => {
      planted.wait("decode", DELAY_MS);
      return reader.read(record);
    };
    return {
      source: reader.source,
      read,
      samples: () => reader.samples(),
      count: () => reader.count(),
      check: () => reader.check(),
      scan: () => reader.scan(),
      index: () => reader.index(),
      close: () => {
        reader.close();
      },
    };
  };
  return { ...real, openShard };
});
const slow: Transform = (sample) => {
  planted.wait("transform", DELAY_MS);
  return sample;
};
vi.mock("../../src/transforms/registry.ts", async (load) => {
  const real = await load<typeof registry>();
  const buildTransform = (description: TransformDescription) =>
    description === SLOW ? slow : real.buildTransform(description);
  return { ...real, buildTransform };
});
vi.mock("../../src/loaders/collate.ts", async (load) => {
  const real = await load<typeof collate>();
  const startStack: typeof collate.startStack = (...args) => {
    const stack = real.startStack(...args);
    const add: typeof stack.add = (sample) => {
      planted.wait("collate", DELAY_MS);
      stack.add(sample);
    };
    return { ...stack, add };
  };
  return { ...real, startStack };
});
vi.mock("../../src/loaders/entry.ts", async (load) => {
  const real = await load<typeof entry>();
  return { ...real, findWorkerEntry: () => planted.entry ?? real.findWorkerEntry() };
});

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each(stages)("a delay in stage %s is named as what bounds the run", async (stage) => {
  planted.stage = stage;
  planted.entry = stage === "hand-off" ? slowPosts() : undefined;
  const { boundBy, runs } = await bench(fixture("folder/pets"), {
    batchSize: 2,
    workers: [stage === "hand-off" ? 1 : 0],
    seconds: 0.2,
    transforms: stage === "hand-off" ? [] : [SLOW],
    onBatch: () => {
      planted.wait("consumer", DELAY_MS);
    },
  });
  planted.stage = "";
  expect(boundBy).toMatchObject({ stage });
  expect(boundBy!.share).toBeGreaterThan(0.5);
  expect(boundBy!.hint).not.toBe("");
  expect(runs[0]!.batches).toBeGreaterThan(0);
});

/** The real worker, whose batches arrive late. */
function slowPosts(): URL {
  const path = join(folder, "slow-posts.mjs");
  writeFileSync(
    path,
    `import { parentPort } from "node:worker_threads";
    import ${JSON.stringify(new URL("../../dist/loaders/worker.js", import.meta.url).href)};
    const post = parentPort.postMessage.bind(parentPort);
    const cell = new Int32Array(new SharedArrayBuffer(4));
    parentPort.postMessage = (answer) => {
      Atomics.wait(cell, 0, 0, 20);
      post(answer);
    };`,
  );
  return pathToFileURL(path);
}

test("bench shows a table for people, and what bounds the fastest run", async () => {
  const args = ["bench", join(mnist, "train-*"), "-j", "0,1", "--batch", "64", "--seconds", "0.3"];
  const { code, stdout, stderr } = await kdata(args);
  expect(code).toBe(0);
  const [head, zero, one, bound] = stdout.split("\n");
  expect(head).toBe("workers  batches/s  samples/s  MiB/s  first batch  p50/p99 wait  main-thread busy");
  for (const [line, workers] of [
    [zero, "0"],
    [one, "1"],
  ] as const) {
    expect(line).toMatch(
      new RegExp(`^ +${workers} +[\\d,.]+ +[\\d,.]+ +[\\d,.]+ +[\\d,]+ ms +[\\d,.]+/[\\d,.]+ ms +\\d+%$`),
    );
  }
  expect(bound).toMatch(/^bound by: [a-z-]+ \(\d+% of (worker time|main-thread time|the time)\) {8}hint: \S/);
  expect(stderr).toMatch(/^kdata bench: 1 input\n.*kdata bench: done 2 runs\n$/s);
});

test("bench --json is a report with every run, its stages and statistics", async () => {
  const args = ["bench", fixture("tfrecord/rows.tfrecord"), "-j", "0", "--batch", "5", "--seconds", "0.05", "--json"];
  const report = JSON.parse((await kdata(args)).stdout) as BenchReport;
  expect(report).toMatchObject({ schema: "kdata.bench/1", format: "tfrecord", samples: 12, batchSize: 5 });
  const [run] = report.runs;
  expect(Object.keys(run!.stagesMs)).toEqual([...stages]);
  expect(run!.stats.samples).toBe(run!.samples);
  expect(run!.samples).toBeGreaterThanOrEqual(5);
});

test("bench applies the transforms of a module", async () => {
  const module = join(folder, "transforms.mjs");
  writeFileSync(module, `export const transforms = ${JSON.stringify([select({ a: "image" })])};`);
  const args = ["bench", join(mnist, "t10k-*"), "-j", "0", "--seconds", "0.05", "--json", "--transforms", module];
  const { stdout, stderr } = await kdata(args);
  expect(stderr).not.toContain("error");
  expect((JSON.parse(stdout) as BenchReport).transforms).toEqual(["select"]);
});

test.each<[readonly string[], string]>([
  [["-"], "Cannot bench standard input"],
  [["--seconds", "0", fixture("tfrecord/rows.tfrecord")], "Cannot read --seconds"],
  [["-j", "0,x", fixture("tfrecord/rows.tfrecord")], "Cannot read --workers"],
  [["--decode", "jpg", fixture("tfrecord/rows.tfrecord")], "there is no kind 'jpg'"],
  [["--decode", "jpeg", fixture("tfrecord/rows.tfrecord")], "Cannot decode jpeg"],
])("bench %j is a usage error", async (args, message) => {
  const { code, stdout, stderr } = await kdata(["bench", ...args], { input: new Uint8Array() });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
});

test("^C ends a bench with its threads, and the exit code says so", async () => {
  const args = ["bench", join(mnist, "train-*"), "-j", "2", "--seconds", "600"];
  const { code, stdout, stderr } = await kdata(args, {
    during(child) {
      child.stderr!.once("data", () => child.kill("SIGINT"));
    },
  });
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  expect(stderr).toContain("Stopped on request");
});

test("bench of an empty data set says that there is no batch", async () => {
  const empty = join(folder, "empty.jsonl");
  writeFileSync(empty, "");
  const { stdout, code, stderr } = await kdata(["bench", empty, "--from", "jsonl", "-j", "0", "--seconds", "0.05"]);
  expect(stderr).not.toContain("error");
  expect(code).toBe(0);
  expect(stdout).toContain("bound by: nothing, there is no batch");
});

test("--backends measures a module's model and prints the recommendation; two modules are refused", async () => {
  const home = mkdtempSync(join(import.meta.dirname, "tmp-bench-")); // where `kdata` can be imported from
  onTestFinished(() => {
    rmSync(home, { recursive: true });
  });
  const module = join(home, "model.ts");
  writeFileSync(
    module,
    `import { layers, losses, optimizers } from "kdata/trainer";
     export const model = layers.dense(2);
     const batch = {
       size: 2, padded: 0, keys: ["a", "b"], epoch: 0, step: 0, release() {}, copy: () => batch,
       features: {
         x: { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
         y: { dtype: "int32", shape: [2], data: Int32Array.of(0, 1) },
       },
     };
     export const data = { train: { async *[Symbol.asyncIterator]() { for (let i = 0; i < 4; i++) yield batch; } } };
     export const settings = { optimizer: optimizers.sgd(), loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }) };`,
  );
  const flags = ["--backends", "reference", "--knobs", "--steps", "1", "--rounds", "1"];
  const { code, stdout } = await kdata(["bench", module, ...flags]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^reference +precision=mixed_float16 +train /m);
  expect(stdout).toMatch(/^recommended: reference/m);
  const json = await kdata(["bench", module, ...flags, "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ schema: "kdata.bench-train/1", batchSize: 2 });
  expect((await kdata(["bench", module, module, ...flags])).code).toBe(2);
  expect((await kdata(["bench", module, "--backends", "onxx"])).stderr).toMatch(
    /unknown backend 'onxx' .*did you mean onnx/,
  );
});
