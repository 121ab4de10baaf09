// TensorFlow reads the event files of callbacks.tensorBoard, checksums included.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { callbacks, layers, losses, optimizers, Trainer } from "../../src/trainer/index.ts";
import { blobs } from "../trainer/batches.ts";

const python = process.env["KDATA_PYTHON"] ?? "python3";
const read = `
import json, sys
from tensorflow.compat.v1.train import summary_iterator
print(json.dumps([[e.step, e.file_version, [[v.tag, v.simple_value] for v in e.summary.value]] for e in summary_iterator(sys.argv[1])]))
`;

it("summary_iterator gives the losses of each epoch", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-events-"));
  try {
    await using trainer = new Trainer(layers.dense(2), {
      backend: "reference",
      optimizer: optimizers.sgd({ learningRate: 0.5 }),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    });
    const board = callbacks.tensorBoard(folder, { subfolders: false });
    const { loss = [] } = await trainer.fit(blobs(16, 8), { epochs: 2, callbacks: [board] });
    const [file = ""] = readdirSync(folder);
    const seen: unknown = JSON.parse(execFileSync(python, ["-c", read, join(folder, file)], { encoding: "utf8" }));
    expect(seen).toEqual([
      [0, "brain.Event:2", []],
      ...loss.map((value, epoch) => [
        epoch,
        "",
        [
          ["epoch_loss", Math.fround(value)],
          ["epoch_learning_rate", 0.5],
        ],
      ]),
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
