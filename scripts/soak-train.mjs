// Kills a training run by SIGKILL again and again and compares where it ends with a run that nobody killed: weights bit for bit, samples
// key for key. `--kills N`: at N seeded random steps; `--writes`: as soon as a checkpoint's partial folder is seen. Or, with
// `--leaks BACKEND --steps N --fits N`, prints how resident memory grows.
//
//   node scripts/soak-train.mjs --kills 20
//   node scripts/soak-train.mjs --kills 50 --writes
//   node scripts/soak-train.mjs --leaks onnx --steps 10000 --fits 50
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RandomStream, deriveKey } from "../dist/core/index.js";
import { Trainer, callbacks, layers, losses, metrics, optimizers } from "../dist/trainer/index.js";

const EPOCHS = 6;
const BATCH = 16;
const STEPS = 20; // of an epoch
const { values } = parseArgs({
  options: {
    kills: { type: "string" },
    writes: { type: "boolean", default: false },
    child: { type: "string" },
    leaks: { type: "string" },
    steps: { type: "string", default: "10000" },
    fits: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
  },
});

if (values.child !== undefined) await train(values.child);
else if (values.leaks !== undefined) await leaks(values.leaks, Number(values.steps), Number(values.fits));
else await killAndCompare(Number(values.kills ?? 20), values.writes, Number(values.seed));

function blobs(samples) {
  const x = new Float32Array(samples * 32).map((_, i) => Math.sin(i * 1.7) + (Math.floor(i / 32) % 2));
  const y = Int32Array.from({ length: samples }, (_, i) => i % 2);
  return { x: { dtype: "float32", shape: [samples, 32], data: x }, y: { dtype: "int32", shape: [samples], data: y } };
}

function makeTrainer(backend) {
  const model = layers.sequential([layers.dense(256, { activation: "relu" }), layers.dropout(0.3), layers.dense(2)]);
  return new Trainer(model, {
    backend,
    ...(backend === "onnx" && { knobs: { threads: 1 } }),
    optimizer: optimizers.adam({ learningRate: 1e-3 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
    seed: 3,
  });
}

/** One run, in a process of its own: a line of keys for each step, the weights' hash at the end. */
async function train(folder) {
  const log = join(folder, "steps.log");
  const trainer = makeTrainer("onnx");
  const record = {
    onTrainBatchEnd({ keys }) {
      appendFileSync(log, `${trainer.step} ${keys.join(" ")}\n`);
    },
  };
  await trainer.fit(blobs(BATCH * STEPS), {
    epochs: EPOCHS,
    batchSize: BATCH,
    checkpoint: join(folder, "checkpoints"),
    resume: true,
    every: { steps: 3 },
    callbacks: [record, callbacks.reduceLROnPlateau({ monitor: "loss", patience: 1, minDelta: 0.05 })],
  });
  const hash = createHash("sha256");
  for (const { data } of (await trainer.weights()).values()) hash.update(data);
  appendFileSync(join(folder, "weights"), hash.digest("hex"));
  await trainer.close();
}

async function killAndCompare(kills, duringWrites, seed) {
  const [whole, killed] = ["whole", "killed"].map((name) => mkdtempSync(join(tmpdir(), `kdata-soak-${name}-`)));
  try {
    await run(whole, () => false);
    const stream = new RandomStream(deriveKey(seed));
    const last = EPOCHS * STEPS;
    let done = 0;
    // Each run goes on behind the one before it, so the steps to kill at are spread over what is left.
    for (let i = 0; i < kills; i++) {
      const first = newestStep(killed);
      const target = first + 1 + Math.floor(stream.uniform() * Math.max(1, (3 * (last - first)) / (kills - i + 1)));
      const wasKilled = await run(killed, () =>
        duringWrites
          ? loggedStep(killed) >= target && isWriting(killed)
          : loggedStep(killed) >= Math.min(target, last - 1),
      );
      if (!wasKilled) break;
      done++;
    }
    await run(killed, () => false);
    const same = [weights, steps].every((read) => read(whole) === read(killed));
    console.log(
      `${done} kills${duringWrites ? " during checkpoint writes" : ""}: weights and samples ${same ? "equal" : "DIFFER"}`,
    );
    if (!same || done === 0) process.exitCode = 1;
  } finally {
    for (const folder of [whole, killed]) rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the child to its end, or until it is to be killed; says whether it was. */
function run(folder, shouldKill) {
  return new Promise((resolve, reject) => {
    const script = fileURLToPath(import.meta.url);
    const child = spawn(process.execPath, [script, "--child", folder], { stdio: ["ignore", "inherit", "inherit"] });
    const timer = setInterval(() => {
      if (shouldKill()) child.kill("SIGKILL");
    }, 1);
    child.on("exit", (code, signal) => {
      clearInterval(timer);
      if (signal === "SIGKILL") resolve(true);
      else if (code === 0) resolve(false);
      else reject(new Error(`the run ended with ${code ?? signal}`));
    });
  });
}

function isWriting(folder) {
  const checkpoints = join(folder, "checkpoints");
  return existsSync(checkpoints) && readdirSync(checkpoints).some((name) => name.endsWith(".partial"));
}

function newestStep(folder) {
  const checkpoints = join(folder, "checkpoints");
  if (!existsSync(checkpoints)) return 0;
  return Math.max(0, ...readdirSync(checkpoints).map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? 0)));
}

function loggedStep(folder) {
  const log = join(folder, "steps.log");
  if (!existsSync(log)) return 0;
  const last = readFileSync(log, "utf8").trimEnd().split("\n").at(-1);
  return Number(last.split(" ")[0]);
}

function weights(folder) {
  return readFileSync(join(folder, "weights"), "utf8");
}

/** The samples of each step; a step that was trained again must have had the same ones. */
function steps(folder) {
  const lines = readFileSync(join(folder, "steps.log"), "utf8").trimEnd().split("\n");
  return [...new Set(lines)].sort((a, b) => parseInt(a, 10) - parseInt(b, 10)).join("\n");
}

async function leaks(backend, count, fits) {
  const data = blobs(BATCH * STEPS);
  const epochs = Math.ceil(count / STEPS / 2);
  const trainer = makeTrainer(backend);
  await trainer.fit(data, { epochs, batchSize: BATCH }); // the first half warms up
  const before = resident();
  await trainer.fit(data, { epochs, batchSize: BATCH });
  const perThousand = ((resident() - before) / (epochs * STEPS)) * 1000;
  await trainer.close();
  console.log(
    `${backend}: ${perThousand.toFixed(2)} MB for 1,000 steps, over the second half of ${2 * epochs * STEPS} steps`,
  );
  let middle = 0;
  for (let fit = 0; fit < fits; fit++) {
    if (fit === Math.floor(fits / 2)) middle = resident();
    const each = makeTrainer(backend);
    await each.fit(data, { batchSize: BATCH });
    await each.close();
  }
  console.log(
    `${backend}: ${((resident() - middle) / Math.ceil(fits / 2)).toFixed(2)} MB a trainer, over the second half of ${fits}`,
  );
}

function resident() {
  return process.memoryUsage.rss() / 1e6;
}
