import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { maskedCrc32c } from "../../src/readers/crc32c.ts";
import { callbacks, layers, losses, optimizers, Trainer } from "../../src/trainer/index.ts";
import { encodeEvent } from "../../src/trainer/callbacks/event-message.ts";
import { blobs } from "./batches.ts";

test("an event is the bytes of its protobuf schema", () => {
  // wall_time 1.5, step 300, summary { value { tag "a" simple_value 0.5 } }, by the schema and the wire format
  const message = "09000000000000f83f10ac022a0a0a080a0161150000003f";
  const bytes = Buffer.from(encodeEvent({ wallTime: 1.5, step: 300, scalars: { a: 0.5 } }));
  expect(bytes.readBigUInt64LE(0)).toBe(24n);
  expect(bytes.subarray(12, 36).toString("hex")).toBe(message);
});

test("event files are TFRecords with sound checksums: one for training, one for the validation", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-events-"));
  try {
    await using trainer = new Trainer(layers.dense(2), {
      backend: "reference",
      optimizer: optimizers.sgd(),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    });
    const board = callbacks.tensorBoard(folder, { updateFreq: "batch" });
    await trainer.fit(blobs(16, 8), { epochs: 2, validation: blobs(8, 8), callbacks: [board] });
    const texts = ["train", "validation"].map((name) => {
      const [file = ""] = readdirSync(join(folder, name));
      const path = join(folder, name, file);
      return { path, text: readFileSync(path, "latin1") };
    });
    expect(texts[0]!.text.match(/batch_loss/g)).toHaveLength(4);
    expect(texts[0]!.text.match(/epoch_learning_rate/g)).toHaveLength(2);
    expect(texts[1]!.text.match(/epoch_loss/g)).toHaveLength(2);
    expect(countRecords(readFileSync(texts[0]!.path))).toBe(7); // the version, four steps, two epochs
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Walks over the frames and checks both checksums of each. */
function countRecords(bytes: Buffer): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let records = 0;
  for (let at = 0; at < bytes.length; records++) {
    const end = at + 12 + Number(view.getBigUint64(at, true));
    expect(view.getUint32(at + 8, true)).toBe(maskedCrc32c(view, at, at + 8));
    expect(view.getUint32(end, true)).toBe(maskedCrc32c(view, at + 12, end));
    at = end + 4;
  }
  return records;
}
