// Batches as streams: the Web's ReadableStream and Node's Readable. Whoever stops reading closes the source.

import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import type { Batch } from "../core/batch.ts";
import type { BatchSource } from "./batch-source.ts";

/**
 * Makes a Web stream of one epoch. Each batch is a copy, so that queues of the stream may hold it.
 *
 * Nothing is read before it is asked for. A stream that is cancelled closes the source, with the threads and files that it holds; one that
 * is read to its end leaves it open for the next epoch.
 *
 * @throws {KdataError} what the source throws, as the stream's error.
 */
export function toWebStream(source: BatchSource): ReadableStream<Batch> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Batch>(
    {
      async pull(controller) {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value.copy());
      },
      async cancel() {
        await leave(source, iterator);
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * Makes a Node stream of one epoch, in object mode. Each batch is a copy, so that the buffers of streams may hold it.
 *
 * A stream that is destroyed before its end, as `pipeline()` does when another part fails, closes the source; one that is read to its end leaves
 * it open for the next epoch.
 *
 * @throws {KdataError} what the source throws, as the stream's `error` event.
 */
export function toNodeStream(source: BatchSource): Readable {
  const iterator = source[Symbol.asyncIterator]();
  let isWhole = false;
  return new Readable({
    objectMode: true,
    highWaterMark: 1,
    read() {
      iterator.next().then(
        (next) => {
          isWhole = next.done === true;
          this.push(next.done === true ? null : next.value.copy());
        },
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, callback) {
      const left = isWhole ? Promise.resolve() : leave(source, iterator);
      left.then(
        () => {
          callback(error);
        },
        (failure: unknown) => {
          callback(failure as Error);
        },
      );
    },
  });
}

/** Closes first: the step that is running then ends, however long it would have waited. */
async function leave(source: BatchSource, iterator: AsyncIterator<Batch>): Promise<void> {
  await source.close?.();
  await iterator.return?.();
}
