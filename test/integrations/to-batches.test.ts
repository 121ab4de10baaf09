import { expect, test } from "vitest";
import { tensor } from "../../src/core/tensor.ts";
import { toBatches, type ForeignRecord } from "../../src/integrations/index.ts";
import { Trainer, layers, losses, optimizers } from "../../src/trainer/index.ts";
import { collect } from "../loaders/epochs.ts";

test("every kind of value of a sample becomes what it is", async () => {
  const sample: ForeignRecord = {
    typed: Int16Array.of(1, -2),
    clamped: Uint8ClampedArray.of(255),
    bytes: Buffer.of(1, 2),
    nested: [
      [1, 2, 3],
      [4, 5, 6],
    ],
    number: 0.5,
    label: 7,
    big: 2n ** 62n,
    flag: true,
    text: "wörds",
    shaped: { shape: [1, 2], data: Float64Array.of(1, 2) },
    half: { dtype: "bfloat16", shape: [1], data: Uint16Array.of(0x3f80) },
    remote: { shape: [2], dtype: "bool", data: () => Promise.resolve(Int32Array.of(0, 5)) },
  };
  const [batch] = await collect(toBatches([sample], { batchSize: 4, dtypes: { label: "int32" } }));
  expect(batch).toMatchObject({ size: 1, padded: 0, keys: ["sample/0"], epoch: 0, step: 0 });
  expect(batch!.features).toEqual({
    typed: tensor("int16", [1, 2], Int16Array.of(1, -2)),
    clamped: tensor("uint8", [1, 1], Uint8Array.of(255)),
    bytes: tensor("uint8", [1, 2], Uint8Array.of(1, 2)),
    nested: tensor("float32", [1, 2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
    number: tensor("float32", [1], Float32Array.of(0.5)),
    label: tensor("int32", [1], Int32Array.of(7)),
    big: tensor("int64", [1], BigInt64Array.of(2n ** 62n)),
    flag: tensor("bool", [1], Uint8Array.of(1)),
    text: ["wörds"],
    shaped: tensor("float64", [1, 1, 2], Float64Array.of(1, 2)),
    half: tensor("bfloat16", [1, 1], Uint16Array.of(0x3f80)),
    remote: tensor("bool", [1, 2], Uint8Array.of(0, 1)),
  });
});

test("samples of an async generator are stacked, the last batch smaller, and leaving early ends the generator", async () => {
  let isEnded = false;
  async function* samples(): AsyncGenerator<ForeignRecord> {
    try {
      for (let i = 0; i < 5; i++) yield await Promise.resolve({ x: [i, i] });
    } finally {
      isEnded = true;
    }
  }
  const source = toBatches(samples, { batchSize: 2 });
  expect((await collect(source)).map(({ size, step, epoch }) => [size, step, epoch])).toEqual([
    [2, 0, 0],
    [2, 1, 0],
    [1, 2, 0],
  ]);
  isEnded = false;
  const [first] = await collect(source, 1);
  expect(first).toMatchObject({ epoch: 1, features: { x: { data: Float32Array.of(0, 0, 1, 1) } } });
  expect(isEnded).toBe(true);
});

test("batches that are there keep their rows, and every feature must have as many", async () => {
  const [batch] = await collect(
    toBatches([{ x: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, name: ["a", "b"] }]),
  );
  expect(batch).toMatchObject({ size: 2, features: { x: { shape: [2, 2] }, name: ["a", "b"] } });
  await expect(collect(toBatches([{ x: [1, 2], y: [1] }]))).rejects.toThrow(
    "'y' of batch 0 has 1 samples, others have 2",
  );
  await expect(collect(toBatches([{ x: 1 }]))).rejects.toThrow("'x' of batch 0 has no axis of samples");
  await expect(collect(toBatches([{}]))).rejects.toMatchObject({ code: "shape" });
});

test("a generator is not read twice in silence", async () => {
  function* samples(): Generator<ForeignRecord> {
    yield { x: 1 };
  }
  const source = toBatches(samples(), { batchSize: 1 });
  expect(await collect(source)).toHaveLength(1);
  await expect(collect(source)).rejects.toMatchObject({
    code: "input",
    hint: expect.stringContaining("function") as string,
  });
});

test.each<[string, ForeignRecord, RegExp]>([
  ["ragged arrays", { x: [[1, 2], [3]] }, /'x' of sample\/0: its arrays are not of numbers, or not of one length/],
  ["fractions as int32", { y: 0.5 }, /'y' of sample\/0: 0\.5 is no int32/],
  ["lists of strings", { x: ["a", "b"] }, /'x' of sample\/0 is a list of strings/],
  [
    "another dtype than the elements",
    { x: { dtype: "int8", shape: [1], data: Float32Array.of(1) } },
    /is int8, its elements are float32/,
  ],
  ["too few elements", { x: { shape: [3], data: Float32Array.of(1) } }, /1 elements do not fill the shape \[3\]/],
  ["objects", { x: {} as never }, /'x' of sample\/0: it is no typed array/],
])("refuses %s", async (_name, sample, message) => {
  await expect(collect(toBatches([sample], { batchSize: 1, dtypes: { y: "int32" } }))).rejects.toThrow(message);
});

test("samples that do not fit together are refused with both of them", async () => {
  const source = toBatches([{ x: [1] }, { x: [1, 2] }], { batchSize: 2 });
  await expect(collect(source)).rejects.toThrow(
    "Cannot collate 'x': float32 [2] in sample sample/1, float32 [1] in sample sample/0",
  );
});

test("misspelt options are refused", () => {
  expect(() => toBatches([], { batchsize: 2 } as never)).toThrow("there is no option 'batchsize'");
  expect(() => toBatches([], { batchSize: 0 })).toThrow(RangeError);
});

test("a trainer learns from them", async () => {
  // y = 2 a - b
  const samples = Array.from({ length: 64 }, (_, i) => {
    const [a, b] = [Math.sin(i), Math.cos(3 * i)];
    return { x: [a, b], y: [2 * a - b] };
  });
  const trainer = new Trainer(layers.sequential([layers.dense(1)]), {
    backend: "reference",
    optimizer: optimizers.sgd({ learningRate: 0.3 }),
    loss: losses.meanSquaredError(),
  });
  const { loss } = await trainer.fit(toBatches(samples, { batchSize: 16 }), { epochs: 20 });
  expect(loss!.at(-1)).toBeLessThan(1e-3);
  await trainer.close();
});
