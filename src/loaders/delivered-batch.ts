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
  const content = { size: keys.length, padded, skipped, features: viewColumns(batch), keys, epoch, step };
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

type Content = Omit<Batch, "release" | "copy">;

function ownBatch(content: Content): Batch {
  const features = Object.create(null) as Record<string, Column>;
  for (const [name, column] of Object.entries(content.features)) {
    features[name] = isTensorColumn(column) ? copyTensor(column) : column;
  }
  const own: Content = { ...content, features };
  return { ...own, release: () => undefined, copy: () => ownBatch(own) };
}
