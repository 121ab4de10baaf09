// A batch as the consumer of a loader sees it: views of a slot, given back once.

import { isTensorColumn, type Batch, type Column } from "../core/batch.ts";
import { copyTensor } from "../core/tensor.ts";
import type { MadeBatch } from "./batch-producer.ts";
import { viewColumns } from "./collate.ts";

/** Makes the batch to deliver. Its tensors view the slot; values of other kinds are its own. */
export function deliverBatch({ job, batch, account, release }: MadeBatch): Batch {
  const { epoch, step } = job;
  const { keys } = batch;
  const { padded, filtered, failures } = account;
  const skipped = filtered + failures.length;
  return openBatch({ size: keys.length, padded, skipped, features: viewColumns(batch), keys, epoch, step }, release);
}

/** Makes a batch of its content, whose tensors are valid until `release` is called. */
export function openBatch(content: BatchContent, release: () => void): Batch {
  const { epoch, step } = content;
  let isReleased = false;
  return {
    ...content,
    release() {
      isReleased = true;
      release();
    },
    copy() {
      if (isReleased) throw new TypeError(`Cannot copy batch ${step} of epoch ${epoch}: it was released`);
      return ownBatch(content);
    },
  };
}

/** What a batch is without its memory's lifetime. */
export type BatchContent = Omit<Batch, "release" | "copy">;

function ownBatch(content: BatchContent): Batch {
  const features = Object.create(null) as Record<string, Column>;
  for (const [name, column] of Object.entries(content.features)) {
    features[name] = isTensorColumn(column) ? copyTensor(column) : column;
  }
  const own: BatchContent = { ...content, features };
  return { ...own, release: () => undefined, copy: () => ownBatch(own) };
}
