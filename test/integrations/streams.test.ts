import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TransformStream, WritableStream } from "node:stream/web";
import { beforeEach, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { toNodeStream, toWebStream } from "../../src/integrations/index.ts";
import { loader, type Loader } from "../../src/loaders/index.ts";
import { fixture, mnist } from "../cli/run-kdata.ts";
import { collect, digest } from "../loaders/epochs.ts";

const settings = { batchSize: 3, shuffle: true, seed: 9, workers: 2 } as const;

let expected: string[];
let train: Loader;
beforeEach(async () => {
  train = await loader(fixture("tfrecord/rows.tfrecord"), settings);
  expected = [digest(await collect(train)), digest(await collect(train))];
  await train.close();
  train = await loader(fixture("tfrecord/rows.tfrecord"), settings);
});

async function isClosed(closed: Loader): Promise<void> {
  await expect(collect(closed)).rejects.toThrow("the loader is closed");
}

describe("toWebStream", () => {
  test("gives one epoch of batches that later ones do not change, then the next", async () => {
    for (const epoch of expected) {
      const batches: Batch[] = [];
      const kept = new TransformStream<Batch, Batch>(undefined, { highWaterMark: 3 }, { highWaterMark: 3 });
      await toWebStream(train)
        .pipeThrough(kept)
        .pipeTo(new WritableStream({ write: (batch: Batch) => void batches.push(batch) }));
      expect(digest(batches)).toBe(epoch);
    }
    await train.close();
  });

  test("closes the loader when it is cancelled, before or after the first batch", async () => {
    await toWebStream(train).cancel();
    await isClosed(train);
    const other = await loader(`${mnist}/t10k-*`, { ...settings, batchSize: 100 });
    for await (const batch of toWebStream(other)) {
      expect(batch.size).toBe(100);
      break;
    }
    await isClosed(other);
  });

  test("ends in the error of the loader", async () => {
    await train.close();
    await expect(toWebStream(train).getReader().read()).rejects.toThrow("the loader is closed");
  });
});

describe("toNodeStream", () => {
  test("gives one epoch of batches that later ones do not change, then the next", async () => {
    for (const epoch of expected) {
      const batches: Batch[] = [];
      const sink = new Writable({
        objectMode: true,
        write(batch: Batch, _encoding, callback) {
          batches.push(batch);
          callback();
        },
      });
      await pipeline(toNodeStream(train), sink);
      expect(digest(batches)).toBe(epoch);
    }
    await train.close();
  });

  test("closes the loader when it is destroyed, before or after the first batch", async () => {
    const unread = toNodeStream(train);
    await new Promise((resolve) => unread.on("close", resolve).destroy());
    await isClosed(train);
    const other = await loader(`${mnist}/t10k-*`, { ...settings, batchSize: 100 });
    for await (const batch of toNodeStream(other)) {
      expect((batch as Batch).size).toBe(100);
      break;
    }
    await isClosed(other);
  });

  test("closes the loader when another part of the pipeline fails, and ends in the loader's own error", async () => {
    const failing = new Writable({
      objectMode: true,
      write(_batch, _encoding, callback) {
        callback(new RangeError("no"));
      },
    });
    await expect(pipeline(toNodeStream(train), failing)).rejects.toThrow("no");
    await isClosed(train);
    await expect(toNodeStream(train).toArray()).rejects.toThrow("the loader is closed");
  });
});
