// The ViT example: held to Keras (fixtures/generators/vit.py), and its program.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { losses, optimizers, Trainer } from "kdata/trainer";
import { base, vit, type VitConfig } from "../../examples/vit/model.ts";
import { tensor } from "../../src/core/tensor.ts";
import { writeSafetensors } from "../../src/trainer/checkpoint.ts";
import { batch, source } from "../trainer/batches.ts";

const PROGRAM_TIMEOUT_MS = 180_000; // twelve trainers or so, beside whatever else the machine does

interface Packed {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface KerasCase {
  readonly config: VitConfig;
  readonly weights: Readonly<Record<string, Packed>>;
  readonly images: Packed;
  readonly logits: Packed;
}

function trainerOf(config: VitConfig, backend: string): Trainer {
  return new Trainer(vit(config), {
    backend,
    optimizer: optimizers.sgd(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
}

function unpack({ shape, data }: Packed) {
  return tensor("float32", shape, Float32Array.from(data));
}

test.each(["onnx", "tfjs", "jax"])("%s: with Keras' weights the model gives Keras' logits", async (backend) => {
  const { config, weights, images, logits } = JSON.parse(readFileSync("fixtures/vit/keras.json", "utf8")) as KerasCase;
  const folder = mkdtempSync(join(tmpdir(), "kdata-"));
  await using trainer = trainerOf(config, backend);
  try {
    const path = join(folder, "keras.safetensors");
    const named = Object.entries(weights).map(([name, value]) => [`model/${name}`, unpack(value)] as const);
    writeSafetensors(path, new Map(named));
    await trainer.load(path, { weightsOnly: true });
    const { data } = await trainer.predict(source([batch(images.shape[0]!, { x: unpack(images) })]));
    expect(data.length).toBe(logits.data.length);
    data.forEach((value, i) => {
      expect(Math.abs(value - logits.data[i]!)).toBeLessThan(1e-4);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("ViT-Base has 86 million parameters", () => {
  const { imageSize, channels } = base;
  const summary = trainerOf(base, "reference").summary([imageSize, imageSize, channels]);
  expect(summary).toContain("total 86,566,120 parameters");
});

test.each([
  ["onnx", "0,1", "float32", 2],
  ["onnx,tfjs,jax", "0", "float32", 4],
  ["onnx,tfjs", "0", "mixed_bfloat16", 3],
] as const)(
  "the program holds its promises over formats on %s with %s workers in %s",
  async (backends, workers, precision, promises) => {
    const run = ["--backends", backends, "--workers", workers, "--precision", precision];
    const flags = [...run, "--steps", "2", "--batch-size", "8"];
    const args = ["scripts/run-example.mjs", "examples/vit.ts", ...flags];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout.match(/^ok /gm)).toHaveLength(promises);
    expect(stdout).not.toContain("FAILED");
  },
  PROGRAM_TIMEOUT_MS,
);
