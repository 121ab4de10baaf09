import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/trainer/checkpoint.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "dist", "cli", "main.js");

// Inside the package, so that the module finds `kdata` by its name as a user's project would.
let folder: string;
let logs: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "test", "cli", "tmp-train-"));
  logs = mkdtempSync(join(tmpdir(), "kdata-train-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(logs, { recursive: true, force: true });
});

const blobs = `
import type { Batch } from "kdata";
import { layers, losses, metrics, optimizers, type TrainingData } from "kdata/trainer";

async function* epoch(): AsyncGenerator<Batch> {
  for (let step = 0; step < 4; step++) {
    const x = new Float32Array(16);
    const y = new Int32Array(8);
    for (let row = 0; row < 8; row++) {
      y[row] = row % 2;
      x[row * 2] = (row % 2) * 2 - 1 + step / 10;
    }
    const batch: Batch = {
      size: 8, padded: 0, epoch: 0, step, keys: Array.from({ length: 8 }, (_, row) => String(row)),
      features: { x: { dtype: "float32", shape: [8, 2], data: x }, y: { dtype: "int32", shape: [8], data: y } },
      release: () => undefined, copy: () => batch,
    };
    yield batch;
  }
}
const source = { [Symbol.asyncIterator]: epoch, stepsPerEpoch: 4, sampleCount: 32 };
export const data: TrainingData = { train: source, validation: source };
export const model = layers.sequential([layers.dense(4, { activation: "relu" }), layers.dense(2)]);
export const settings = {
  optimizer: optimizers.adam({ learningRate: 0.1 }),
  loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  metrics: [metrics.sparseCategoricalAccuracy()],
  epochs: 3,
  seed: 5,
};
`;

interface Report {
  readonly backend: string;
  readonly epochs: number;
  readonly history: Record<string, number[]>;
}

function kdata(args: readonly string[], env: Record<string, string> = {}) {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== "KDATA_BACKEND"));
  return spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
    env: { ...inherited, NO_COLOR: "1", ...env },
  });
}

describe("kdata train", () => {
  test("the environment or a flag changes the backend and nothing else does", () => {
    const module = join(folder, "blobs.ts");
    writeFileSync(module, blobs);
    const reports = [
      kdata(["train", module, "--json"]),
      kdata(["train", module, "--json"], { KDATA_BACKEND: "tfjs" }),
      kdata(["train", module, "--json", "--backend", "reference"], { KDATA_BACKEND: "tfjs" }),
    ].map(({ stdout, stderr, status }) => {
      expect(stderr).toMatch(/epoch 3\/3 ━+ 4\/4 {2}loss/);
      expect(status).toBe(0);
      return JSON.parse(stdout) as Report;
    });
    expect(reports.map(({ backend }) => backend)).toEqual(["onnx", "tfjs", "reference"]);
    for (const { history } of reports) {
      expect(history["loss"]).toHaveLength(3);
      history["loss"]!.forEach((loss, i) => {
        expect(loss).toBeCloseTo(reports[0]!.history["loss"]![i]!, 5);
      });
      expect(history["val_accuracy"]!.at(-1)).toBe(1);
    }
  });

  test("--logdir keeps the weights, the model as ONNX and the history, and says where", () => {
    const module = join(folder, "blobs.ts");
    writeFileSync(module, blobs);
    const { stderr, status } = kdata(["train", module, "--epochs", "1", "--logdir", logs]);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^backend onnx \S+ cpu \(\d+ threads?\) · seed 5 · 32 train \/ 32 test\n/m);
    expect(stderr).toMatch(
      /^saved .*blobs-[\dT-]+\/\{model\.safetensors,model\.onnx,history\.json,events\.out\.tfevents\.\S+\}$/m,
    );
    const [run = ""] = readdirSync(logs);
    const { tensors } = readSafetensors(join(logs, run, "model.safetensors"));
    expect([...tensors.keys()]).toContain("model/dense/kernel");
    expect(existsSync(join(logs, run, "model.onnx"))).toBe(true);
    const history = JSON.parse(readFileSync(join(logs, run, "history.json"), "utf8")) as Report["history"];
    expect(Object.keys(history)).toEqual(["loss", "accuracy", "val_loss", "val_accuracy"]);
  });

  test("a folder for the run that cannot be made is said before anything is trained", () => {
    const module = join(folder, "blobs.ts");
    writeFileSync(module, blobs);
    const { stderr, status } = kdata(["train", module, "--logdir", module]);
    expect(stderr).toMatch(/error\[output\]: Cannot make a folder in .*blobs\.ts/);
    expect(stderr).not.toMatch(/epoch/);
    expect(status).toBe(1);
  });

  test.each(["onnx", "tfjs", "reference"])(
    "^C stops %s in the middle, saves what there is and exits with 130",
    (backend) => {
      const module = join(folder, "endless.ts");
      // The signal comes when some steps are done, however fast the machine is.
      const interrupted = "if (step === 5) process.kill(process.pid, 'SIGINT');\n    const x =";
      writeFileSync(module, blobs.replace("step < 4", "step < 1e9").replace("const x =", interrupted));
      const { stderr, status } = kdata(["train", module, "--backend", backend, "--logdir", logs]);
      expect(status).toBe(130);
      expect(stderr).toMatch(/^saved .*model\.safetensors/m);
      expect(stderr).toMatch(/error\[aborted\]/);
      const [run = ""] = readdirSync(logs);
      expect(readSafetensors(join(logs, run, "model.safetensors")).tensors.size).toBeGreaterThan(0);
    },
  );

  test("SIGTERM saves a checkpoint and exits with 143; --resume then ends as a run that was never stopped", () => {
    const module = join(folder, "stopped.ts");
    const stop = "if (process.env.STOP === `${step}`) process.kill(process.pid, 'SIGTERM');\n    const x =";
    writeFileSync(module, blobs.replace("const x =", stop));
    const args = ["train", module, "--epochs", "2", "--knob", "threads=1", "--json"];
    const whole = JSON.parse(kdata(args).stdout) as Report;
    const checkpointed = [...args, "--checkpoint", join(logs, "run")];
    const stopped = kdata([...checkpointed, "--logdir", join(logs, "a")], { STOP: "2" });
    expect(stopped.status).toBe(143);
    expect(readdirSync(join(logs, "run"))).toEqual([expect.stringMatching(/^step-\d+$/)]);
    const again = kdata(checkpointed);
    expect(again.stderr).toMatch(/error\[exists\]/);
    expect(again.status).toBe(5);
    const resumed = kdata([...checkpointed, "--resume"]);
    expect(resumed.stderr).toMatch(/^resume .*step-\d+: epoch 1, \d steps? done$/m);
    expect((JSON.parse(resumed.stdout) as Report).history).toEqual(whole.history);
    expect(kdata([...args, "--resume"]).status).toBe(2);
    // Nothing is left to train, and the knobs are looked at all the same.
    const misspelt = kdata([...checkpointed, "--resume", "--knob", "treads=1"]);
    expect(misspelt.stderr).toMatch(/unknown knob 'treads' .*did you mean threads\?/);
    expect(misspelt.status).toBe(2);
  });

  test("the first line says what knobs and precision are in effect; a wrong value is a usage error with the choices", () => {
    const module = join(folder, "blobs.ts");
    writeFileSync(module, blobs);
    const args = ["train", module, "--epochs", "1"];
    for (const threads of [1, 3]) {
      const { stderr } = kdata([...args, "--knob", `threads=${threads}`, "graphOptimization=basic"]);
      expect(stderr).toMatch(new RegExp(`^backend onnx \\S+ cpu \\(${threads} threads?\\) · seed 5`));
    }
    const mixed = kdata([...args, "--json"], { KDATA_PRECISION: "mixed_bfloat16" });
    expect(mixed.stderr).toMatch(/ · mixed_bfloat16 · seed 5/);
    expect(JSON.parse(mixed.stdout)).toMatchObject({ precision: "mixed_bfloat16" });
    const flag = kdata([...args, "--json", "--precision", "float32"], { KDATA_PRECISION: "mixed_bfloat16" });
    expect(JSON.parse(flag.stdout)).toMatchObject({ precision: "float32" });
    const wrong = kdata([...args, "--knob", "graphOptimization=some"]);
    expect(wrong.stderr).toMatch(
      /error\[usage\]: .*graphOptimization is "some", not one of disabled, basic, extended, all/,
    );
    expect(wrong.status).toBe(2);
    const policy = kdata([...args, "--precision", "mixed_bfloat61"]);
    expect(policy.stderr).toMatch(/unknown precision 'mixed_bfloat61' .*did you mean mixed_bfloat16\?/);
    expect(policy.status).toBe(2);
  });

  test("an unknown backend is one line with the known ones, exit code 2", () => {
    const module = join(folder, "blobs.ts");
    writeFileSync(module, blobs);
    const { stderr, status } = kdata(["train", module], { KDATA_BACKEND: "onxx" });
    expect(stderr).toMatch(
      /^kdata: error\[usage\]: unknown backend 'onxx' \(known: onnx, tfjs, jax, reference; did you mean onnx\?\)\n/,
    );
    expect(status).toBe(2);
  });

  test("a missing module, a missing export and a module that throws each say what is wrong", () => {
    const missing = kdata(["train", join(folder, "nope.ts")]);
    expect(missing.stderr).toMatch(/error\[input\]: Cannot read module: .*nope\.ts does not exist/);
    expect(missing.status).toBe(3);

    const module = join(folder, "half.ts");
    writeFileSync(module, blobs.replace("export const settings", "const settings"));
    const half = kdata(["train", module]);
    expect(half.stderr).toMatch(/error\[usage\]: Cannot train .*half\.ts: it must export `settings`/);
    expect(half.status).toBe(2);

    writeFileSync(
      module,
      blobs.replace(/export const data.*/, "export const data = () => { throw new RangeError('boom'); };"),
    );
    const throwing = kdata(["train", module]);
    expect(throwing.stderr).toMatch(/error\[usage\]: Cannot open the data of .*half\.ts: boom\n/);
    expect(throwing.status).toBe(2);

    writeFileSync(module, blobs.replace(/export const data.*/, "export const data = () => undefined;"));
    expect(kdata(["train", module]).stderr).toMatch(/its function must return \{ train, validation\? \}/);

    writeFileSync(module, "throw new TypeError('no data today');");
    const broken = kdata(["train", module]);
    expect(broken.stderr).toMatch(/error\[input\]: Cannot load module .*half\.ts: no data today/);
    expect(broken.status).toBe(3);

    const json = kdata(["train", join(root, "package.json")]);
    expect(json.stderr).toMatch(/error\[input\]: Cannot load module .*package\.json/);
    expect(json.status).toBe(3);
  });
});
