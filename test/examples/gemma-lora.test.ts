// Gemma adapted by LoRA: the same losses from each storage format and on each backend, and nothing but the low-rank parts is trained.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { convert } from "kdata";
import { enableLora, losses, optimizers, Trainer, type BatchSource } from "kdata/trainer";
import { openDolly, readTokenizer } from "../../examples/gemma/dolly.ts";
import { gemma, type Gemma } from "../../examples/gemma/model.ts";
import { readConfig } from "../../examples/gemma/weights.ts";
import { readSafetensors } from "../../src/trainer/checkpoint.ts";
import { source } from "../trainer/batches.ts";

const DOLLY = "fixtures/dolly/dolly.jsonl";
const tokens = readTokenizer("fixtures/gemma/tokenizer/tokenizer.json");
const config = { ...readConfig("fixtures/gemma/gemma-2"), vocab_size: tokens.vocabularySize };

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "kdata-lora-"))));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function trainerOf(model: Gemma, backend: string): Trainer {
  return new Trainer(model, {
    backend,
    input: ["tokens", "segments"],
    target: "targets",
    sampleWeight: "weights",
    optimizer: optimizers.adamW({ learningRate: 5e-3 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 4,
  });
}

function open(path: string): Promise<BatchSource> {
  return openDolly(path, tokens, { sequenceLength: 40, batchSize: 4, packed: true });
}

/** Adapts a model for a few steps and gives the loss of each. */
async function adapt(trainer: Trainer, path: string): Promise<number[]> {
  const data = await open(path);
  const found: number[] = [];
  try {
    const callbacks = [{ onTrainBatchEnd: ({ loss }: { readonly loss: number }) => void found.push(loss) }];
    await trainer.fit(data, { stepsPerEpoch: 4, callbacks });
  } finally {
    await data.close?.();
  }
  return found;
}

/** The same rows at each iteration; those of `open` come in another order in each epoch. */
async function firstBatch(): Promise<BatchSource> {
  const data = await open(DOLLY);
  try {
    for await (const batch of data) return source([batch]);
  } finally {
    await data.close?.();
  }
  throw new RangeError("There is no batch");
}

async function lossesOf(path: string, backend: string): Promise<number[]> {
  const model = gemma(config);
  enableLora(model, { rank: 4, targets: ["query", "value"] });
  await using trainer = trainerOf(model, backend);
  return await adapt(trainer, path); // before it is closed
}

test("losses are equal to the bit from each storage format", async () => {
  const wanted = await lossesOf(DOLLY, "onnx");
  expect(wanted).toHaveLength(4);
  expect(new Set(wanted).size).toBe(4);
  for (const to of ["parquet", "tfrecord", "webdataset"]) {
    await convert(DOLLY, { to, output: join(folder, to) });
    expect([to, await lossesOf(join(folder, to, "*"), "onnx")]).toEqual([to, wanted]);
  }
});

describe.each(["onnx", "tfjs", "jax"])("%s", (backend) => {
  test("LoRA trains its own parts alone, and what is merged predicts the same", async () => {
    const model = gemma(config);
    const lora = enableLora(model, { rank: 4, targets: ["query", "value"] });
    const adapted = trainerOf(model, backend);
    const data = await firstBatch();
    try {
      await adapted.predict(data);
      const before = await adapted.weights();
      const found = await adapt(adapted, DOLLY);
      const wanted = await lossesOf(DOLLY, "onnx");
      for (const [i, loss] of found.entries()) expect(Math.abs(loss / wanted[i]! - 1)).toBeLessThan(1e-4);

      const after = await adapted.weights();
      const changed = [...after].filter(([path, { data: now }]) =>
        now.some((value, i) => !Object.is(value, before.get(path)?.data[i])),
      );
      const parts = [...after.keys()].filter((path) => path.includes("/lora_"));
      expect(changed.map(([path]) => path).sort()).toEqual(parts.sort());
      expect(parts).toHaveLength(2 * lora.layers.length); // A and B

      // Moments, which gradients leave behind, are there for these parts alone.
      const saved = join(folder, `${backend}.safetensors`);
      await adapted.save(saved);
      const { tensors } = readSafetensors(saved);
      const moments = [...tensors.keys()].filter((name) => name.startsWith("optimizer/") && name.includes("/kernel"));
      expect(moments).toEqual([]);
      for (const part of parts)
        expect([...tensors.keys()].some((name) => name.startsWith("optimizer/") && name.includes(part))).toBe(true);

      const unmerged = await adapted.predict(data);
      const merged = lora.merge(after);
      lora.disable();
      await using plain = trainerOf(gemma(config, merged), backend);
      const { data: logits } = await plain.predict(data);
      expect(logits).toHaveLength(unmerged.data.length);
      logits.forEach((value, i) => {
        expect(Math.abs(value - unmerged.data[i]!)).toBeLessThan(1e-5);
      });
    } finally {
      await adapted.close();
    }
  });
});
