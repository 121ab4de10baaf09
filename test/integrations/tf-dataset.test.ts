import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { tensor } from "../../src/core/tensor.ts";
import { fromTfDataset, toBatches, toTfDataset } from "../../src/integrations/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { select } from "../../src/transforms/index.ts";
import { fixture, mnist } from "../cli/run-kdata.ts";

beforeAll(async () => {
  await tf.setBackend("cpu");
});

const rows = fixture("tfrecord/rows.tfrecord");

/** What `fitDataset` does with a data set: one iterator that it never reads, then one for each epoch, read to its end. */
async function readEpochs(dataset: ReturnType<typeof toTfDataset<tf.Tensor>>, epochs: number) {
  await dataset.iterator();
  const seen: { xs: number[]; shape: number[]; ys: number[] }[][] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const iterator = await dataset.iterator();
    const batches: (typeof seen)[number] = [];
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      const { xs, ys } = next.value as { xs: tf.Tensor; ys: tf.Tensor };
      batches.push({ xs: Array.from(await xs.data()), shape: xs.shape, ys: Array.from(await ys.data()) });
      tf.dispose([xs, ys]);
    }
    seen.push(batches);
  }
  return seen;
}

describe("toTfDataset", () => {
  test("gives each epoch of the loader as tensors that survive the loader's memory", async () => {
    const settings = { batchSize: 5, shuffle: true, seed: 3 } as const;
    const expected = [];
    const plain = await loader(rows, settings);
    for (let epoch = 0; epoch < 2; epoch++) {
      const batches = [];
      for await (const { features } of plain) {
        const { x, y } = features as unknown as Record<
          "x" | "y",
          { data: ArrayLike<number | bigint>; shape: number[] }
        >;
        batches.push({ xs: Array.from(x.data, Number), shape: x.shape, ys: Array.from(y.data, Number) });
      }
      expected.push(batches);
    }
    const dataset = toTfDataset(await loader(rows, { ...settings, workers: 1 }), { tf });
    const before = tf.memory().numTensors;
    expect(dataset.size).toBe(3);
    expect(await readEpochs(dataset, 2)).toEqual(expected);
    expect(tf.memory().numTensors).toBe(before);
    await dataset.close();
  });

  test("close() closes the loader under an iteration that nobody finished", async () => {
    const train = await loader(`${mnist}/t10k-*`, { batchSize: 32, workers: 2 });
    const dataset = toTfDataset(train, { tf, x: "image", y: "label" });
    const iterator = await dataset.iterator();
    const { value } = await iterator.next();
    tf.dispose([value!.xs, value!.ys]);
    await dataset.close();
    await expect(batchesOf(train)).rejects.toThrow("the loader is closed");
    await expect(iterator.next()).rejects.toMatchObject({ code: "aborted" });
  });

  test("gives several inputs by name, and strings and booleans as such", async () => {
    const source = toBatches([
      { a: Float64Array.of(1, 2), b: { dtype: "bool", shape: [2], data: Uint8Array.of(0, 1) }, name: ["ä", "b"] },
    ]);
    const dataset = toTfDataset(source, { tf, x: { first: "a", second: "b" }, y: "name" });
    const { value } = await (await dataset.iterator()).next();
    const { xs, ys } = value as { xs: Record<string, tf.Tensor>; ys: tf.Tensor };
    expect([xs["first"]!.dtype, xs["second"]!.dtype, ys.dtype]).toEqual(["float32", "bool", "string"]);
    expect(await ys.data()).toEqual(["ä", "b"]);
    tf.dispose([...Object.values(xs), ys]);
  });

  test("with `repeat` one iterator goes on from epoch to epoch", async () => {
    const dataset = toTfDataset(await loader(rows, { batchSize: 8 }), { tf, repeat: true });
    expect(dataset.size).toBe(Infinity);
    const iterator = await dataset.iterator();
    const sizes: number[] = [];
    for (let step = 0; step < 5; step++) {
      const { xs, ys } = (await iterator.next()).value as { xs: tf.Tensor; ys: tf.Tensor };
      sizes.push(xs.shape[0]);
      tf.dispose([xs, ys]);
    }
    expect(sizes).toEqual([8, 4, 8, 4, 8]);
    await dataset.close();
  });

  test("refuses integers that tfjs has no type for, and features that are not there", async () => {
    const big = toBatches([{ x: BigInt64Array.of(1n, 2n ** 31n), y: [0, 1] }]);
    const iterator = await toTfDataset(big, { tf }).iterator();
    await expect(iterator.next()).rejects.toThrow(
      "Cannot make tfjs tensors: 2147483648 is beyond int32 (sample sample/1)",
    );
    const other = await toTfDataset(toBatches([{ x: [1] }]), { tf, y: "label" }).iterator();
    await expect(other.next()).rejects.toThrow("the batch has no feature 'label' (it has: x)");
  });

  test("rounds nothing that float32 holds: 16-bit floats are exact", async () => {
    const bits = { dtype: "float16", shape: [2], data: Uint16Array.of(0x3c00, 0xc100) } as const;
    const iterator = await toTfDataset(toBatches([{ x: bits, y: [0, 0] }]), { tf }).iterator();
    const { xs, ys } = (await iterator.next()).value as { xs: tf.Tensor; ys: tf.Tensor };
    expect(Array.from(await xs.data())).toEqual([1, -2.5]);
    tf.dispose([xs, ys]);
  });
});

/** A data set as tfjs-data makes them, over real tensors. */
function datasetOf(make: () => readonly unknown[]) {
  return {
    iterator: () => {
      const elements = make()[Symbol.iterator]();
      return Promise.resolve({ next: () => Promise.resolve(elements.next()) });
    },
  };
}

async function batchesOf(source: AsyncIterable<Batch>): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of source) batches.push(batch.copy());
  return batches;
}

describe("fromTfDataset", () => {
  test("makes batches of tensors and disposes of them, epoch after epoch", async () => {
    const before = tf.memory().numTensors;
    const source = fromTfDataset(
      datasetOf(() => [
        { xs: tf.tensor2d([1, 2, 3, 4], [2, 2]), ys: tf.tensor1d([0, 1], "int32") },
        { xs: tf.tensor2d([5, 6], [1, 2]), ys: tf.tensor1d([1], "int32") },
      ]),
    );
    const epochs = [await batchesOf(source), await batchesOf(source)];
    expect(epochs.map((batches) => batches.map(({ size }) => size))).toEqual([
      [2, 1],
      [2, 1],
    ]);
    expect(epochs[1]![0]).toMatchObject({ epoch: 1, step: 0, keys: ["sample/0", "sample/1"] });
    expect(epochs[0]![0]!.features).toEqual({
      x: tensor("float32", [2, 2], Float32Array.of(1, 2, 3, 4)),
      y: tensor("int32", [2], Int32Array.of(0, 1)),
    });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("stacks samples, with names of the caller's and plain numbers", async () => {
    const source = fromTfDataset(
      datasetOf(() => [1, 2, 3].map((n) => ({ features: { a: tf.tensor1d([n, n]) }, target: n }))),
      { batchSize: 2, names: { a: "x", target: "y" }, dtypes: { y: "int32" } },
    );
    const [first, second] = await batchesOf(source);
    expect(first!.features).toEqual({
      x: tensor("float32", [2, 2], Float32Array.of(1, 1, 2, 2)),
      y: tensor("int32", [2], Int32Array.of(1, 2)),
    });
    expect(second!.size).toBe(1);
  });

  test("reads what toTfDataset makes", async () => {
    const train = await loader(rows, { batchSize: 5, transforms: [select(["x"])] });
    const expected = (await batchesOf(train)).map(({ features }) => features["x"]);
    const dataset = toTfDataset(train, { tf, y: "x" });
    expect((await batchesOf(fromTfDataset(dataset))).map(({ features }) => features["x"])).toEqual(expected);
    await dataset.close();
  });
});
