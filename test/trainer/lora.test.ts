import { expect, test } from "vitest";
import { enableLora } from "../../src/trainer/lora.ts";
import * as layers from "../../src/trainer/layers.ts";
import * as losses from "../../src/trainer/losses.ts";
import * as optimizers from "../../src/trainer/optimizers.ts";
import * as ops from "../../src/trainer/ops.ts";
import type { HostTensor } from "../../src/trainer/backend.ts";
import type { Sym } from "../../src/trainer/graph.ts";
import { Trainer } from "../../src/trainer/trainer.ts";
import { writeSafetensors } from "../../src/trainer/checkpoint.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { batch, source } from "./batches.ts";

const LENGTH = 3;

/** Words to two classes, with each kind of layer that has a matrix. */
function wordModel() {
  return layers.model(
    {
      words: layers.embedding(7, 4),
      attention: layers.multiHeadAttention({ numHeads: 2, keyDim: 3 }),
      norm: layers.layerNormalization(),
      head: layers.dense(2),
    },
    (x: Sym, { words, attention, norm, head }) =>
      head.apply(ops.mean(norm.apply(attention.apply(words.apply(x))), { axes: 1 })),
  );
}

function words() {
  const x = Int32Array.from({ length: 6 * LENGTH }, (_, i) => (i * i) % 7);
  return batch(6, {
    x: { dtype: "int32", shape: [6, LENGTH], data: x },
    y: { dtype: "int32", shape: [6], data: Int32Array.from({ length: 6 }, (_, i) => i % 2) },
  });
}

function trainerOf(model: layers.Layer, backend = "reference") {
  return new Trainer(model, {
    backend,
    optimizer: optimizers.adam({ learningRate: 0.05 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 3,
  });
}

const TARGETS = ["query", "attentionOutput", "words", /^head$/];

test("with LoRA the parameters of the low-rank parts alone are trained, and the others stay as they are to the bit", async () => {
  const model = wordModel();
  const lora = enableLora(model, { rank: 2, targets: TARGETS });
  expect(lora.layers).toEqual(["words", "head", "attention/query", "attention/attentionOutput"]);

  await using trainer = trainerOf(model);
  await trainer.predict(source([words()]));
  const before = await trainer.weights();
  const trained = trainer.parameters().filter(({ trainable }) => trainable);
  expect(trained.map(({ path, shape }) => [path, shape])).toEqual([
    ["words/lora_embeddings_a", [7, 2]],
    ["words/lora_embeddings_b", [2, 4]],
    ["attention/query/lora_kernel_a", [4, 2, 2]],
    ["attention/query/lora_kernel_b", [2, 3]],
    ["attention/attentionOutput/lora_kernel_a", [2, 3, 2]],
    ["attention/attentionOutput/lora_kernel_b", [2, 4]],
    ["head/lora_kernel_a", [4, 2]],
    ["head/lora_kernel_b", [2, 2]],
  ]);
  const history = await trainer.fit(source([words()]), { epochs: 5 });
  expect(history["loss"]?.at(-1)).toBeLessThan(history["loss"]?.[0] ?? 0);
  for (const [path, { data }] of await trainer.weights()) {
    const isSame = data.every((value, i) => Object.is(value, before.get(path)?.data[i]));
    expect([path, isSame]).toEqual([path, !path.includes("lora_")]);
  }
});

test("LoRA changes nothing before it is trained", async () => {
  await using plain = trainerOf(wordModel());
  const model = wordModel();
  enableLora(model, { targets: TARGETS });
  await using adapted = trainerOf(model);
  expect(await adapted.predict(source([words()]))).toEqual(await plain.predict(source([words()])));
});

test.each(["reference", "onnx", "tfjs", "jax"])(
  "%s: merged weights predict what the adapted model predicts",
  async (backend) => {
    const model = wordModel();
    const lora = enableLora(model, { rank: 2, alpha: 3, targets: TARGETS });
    const trainer = trainerOf(model, backend);
    await trainer.fit(source([words()]), { epochs: 4 });
    const adapted = await trainer.predict(source([words()]));
    const weights = await trainer.weights();
    await trainer.close();

    const merged = lora.merge(weights);
    lora.disable();
    const plain = await predictWith(model, merged, backend);
    adapted.data.forEach((value, i) => {
      expect(Math.abs(value - (plain[i] ?? NaN))).toBeLessThan(1e-5);
    });

    const again = lora.unmerge(merged, weights);
    expect([...again.keys()]).toEqual([...weights.keys()]);
    for (const [path, { data }] of weights) {
      data.forEach((value, i) => {
        expect(Math.abs(value - Number(again.get(path)?.data[i]))).toBeLessThan(1e-6);
      });
    }
  },
);

test("enableLora() refuses a target that no layer fits and names those there are", () => {
  expect(() => enableLora(wordModel(), { targets: ["querry"] })).toThrow(
    /no layer fits the target querry \(there are: words, head, attention\/query/,
  );
  expect(() => enableLora(wordModel(), { targets: [] })).toThrow(RangeError);
  expect(() => enableLora(wordModel(), { rank: 0 })).toThrow(RangeError);
  expect(() => enableLora(wordModel(), { rnak: 2 } as never)).toThrow(/rank/);
});

test("merge() names the tensor that is missing", () => {
  const lora = enableLora(wordModel(), { targets: ["query"] });
  expect(() => lora.merge(new Map())).toThrow("the weights have no 'attention/query/kernel'");
});

/** Predicts with weights that are given. */
async function predictWith(model: layers.Layer, weights: ReadonlyMap<string, HostTensor>, backend: string) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-"));
  const trainer = trainerOf(model, backend);
  try {
    const path = join(folder, "merged.safetensors");
    writeSafetensors(path, new Map(Array.from(weights, ([name, value]) => [`model/${name}`, value])));
    await trainer.load(path, { weightsOnly: true });
    return (await trainer.predict(source([words()]))).data;
  } finally {
    await trainer.close();
    rmSync(folder, { recursive: true });
  }
}
