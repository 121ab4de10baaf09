// The example of a claimed attention: its program's rows, and the model's losses from each storage format.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loader } from "kdata";
import { tensor } from "kdata/core";
import { losses, optimizers, Trainer } from "kdata/trainer";
import { ShardedWriter, writableFormatByName } from "kdata/writers";
import { encoder, run } from "../../examples/custom-attention.ts";

const SAMPLES = 24;

test("losses and predictions agree with and without the claim, and on each backend", async () => {
  const rows = await run(["onnx", "tfjs", "jax"], { steps: 1, length: 6 });
  const [first] = rows;
  expect(rows).toHaveLength(6);
  for (const { losses, prediction } of rows) {
    expect(losses).toHaveLength(3);
    losses.forEach((loss, i) => {
      expect(Math.abs(loss / first!.losses[i]! - 1)).toBeLessThan(1e-4);
    });
    prediction.forEach((value, i) => {
      expect(Math.abs(value - first!.prediction[i]!)).toBeLessThan(1e-4);
    });
  }
  expect(new Set(first!.losses).size).toBe(3);
  const said = rows.filter(({ said }) => said.includes("claimed in predict")).map(({ backend }) => backend);
  expect(said).toEqual(["onnx"]);
});

test("losses are equal to the bit from each storage format", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-attention-"));
  try {
    const found: number[][] = [];
    for (const format of ["tfrecord", "webdataset", "npy"]) {
      const writer = new ShardedWriter(writableFormatByName(format), join(folder, format, "train"), {
        by: "parts",
        parts: 1,
        records: SAMPLES,
      });
      for (let record = 0; record < SAMPLES; record++) writer.write(sample(format, record));
      writer.finish();
      found.push(await lossesFrom(join(folder, format, "*")));
    }
    expect(found[0]).toHaveLength(3);
    expect(new Set(found[0]).size).toBe(3);
    expect(found).toEqual([found[0], found[0], found[0]]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

async function lossesFrom(spec: string): Promise<number[]> {
  const data = await loader(spec, { batchSize: 8, shuffle: true, seed: 1 });
  const found: number[] = [];
  await using trainer = new Trainer(encoder(), {
    backend: "onnx",
    optimizer: optimizers.adam(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  try {
    const callbacks = [{ onTrainBatchEnd: ({ loss }: { readonly loss: number }) => void found.push(loss) }];
    await trainer.fit(data, { callbacks });
    return found;
  } finally {
    await data.close();
  }
}

function sample(source: string, record: number) {
  const x = Float32Array.from({ length: 6 * 64 }, (_, i) => Math.sin((record + 1) * i * 0.37));
  const features = { x: tensor("float32", [6, 64], x), y: tensor("int64", [], BigInt64Array.of(BigInt(record % 4))) };
  return { key: String(record), origin: { source, record }, features };
}
