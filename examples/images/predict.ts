// What an exported model says of pictures, without a trainer, and a sheet of it.

import * as ort from "onnxruntime-node";
import { ContactSheet } from "kdata";
import { isTensorColumn, type Batch } from "kdata/core";
import { toOrtFeeds } from "kdata/integrations";
import type { Picture } from "./store.ts";

const SHEET_PICTURES = 64;

/** Logits `[pictures, classes]`, row after row, and the true classes by their numbers. */
export interface Prediction {
  readonly logits: readonly number[];
  readonly labels: readonly number[];
}

/** Lets ONNX Runtime alone predict every batch with the model in a file. */
export async function predictOnnx(path: string, batches: AsyncIterable<Batch>): Promise<Prediction> {
  const session = await ort.InferenceSession.create(path);
  const [logits, labels]: [number[], number[]] = [[], []];
  try {
    for await (const batch of batches) {
      const { prediction } = await session.run(toOrtFeeds(batch, ort, { input: "x" }));
      if (!prediction) throw new RangeError("The model has no output 'prediction'");
      logits.push(...(prediction.data as Float32Array));
      labels.push(...labelsOf(batch));
    }
  } finally {
    await session.release();
  }
  return { logits, labels };
}

/** Finds the class with the greatest logit for each picture. */
export function classesOf(logits: readonly number[], classes: number): readonly number[] {
  return Array.from({ length: logits.length / classes }, (_, row) => {
    const scores = logits.slice(row * classes, (row + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
}

/** Draws up to 64 pictures, taken evenly, with what they were taken for, and where that is wrong, what they are: `food (object)`. */
export async function drawSheet(
  path: string,
  pictures: readonly Picture[],
  predicted: readonly string[],
): Promise<void> {
  const sheet = new ContactSheet({ image: "image", label: "caption" });
  const count = Math.min(SHEET_PICTURES, pictures.length);
  for (let i = 0; i < count; i++) {
    const record = Math.floor((i * pictures.length) / count);
    const [picture, said] = [pictures[record], predicted[record]];
    if (!picture || said === undefined) continue;
    const { key, className, bytes } = picture;
    const caption = said === className ? said : `${said} (${className})`;
    sheet.add({ key, origin: { source: "test", record }, features: { image: bytes, caption } });
  }
  await sheet.write(path);
}

function labelsOf({ features: { y } }: Batch): number[] {
  if (!y || !isTensorColumn(y)) throw new RangeError("The batch has no labels 'y'");
  return Array.from(y.data, Number);
}
