// What is trained is shipped as ONNX: it loads in plain ONNX Runtime and says what `predict` says, for any number of samples.

import * as onnxruntime from "onnxruntime-node";
import { expect, test } from "vitest";

import { elementCount, tensor, type Tensor } from "../../src/core/tensor.ts";
import { Trainer } from "../../src/trainer/index.ts";
import type { Model } from "../../src/trainer/layers.ts";
import { classLoss, modelCases, type ModelCase } from "./models.ts";

/** In units of the greatest output. */
const TOLERANCE = 1e-5;

test.each(modelCases)("$name, at any batch size", async (one) => {
  await using trainer = await trained(one.make().model, one);
  const served = await onnxruntime.InferenceSession.create(await trainer.exportOnnx());
  expect([served.inputNames, served.outputNames]).toEqual([["input"], ["prediction"]]);
  for (const size of [1, 3, 50]) {
    const x = repeated(one.x, size);
    expectClose(await serve(served, x), await trainer.predict({ x }));
  }
  await served.release();
});

test("a model adapted by LoRA, merged: without A and B, and with the same outputs", async () => {
  const one = modelCases.find(({ name }) => name === "LM with LoRA")!;
  const { model, lora } = one.make();
  await using adapted = await trained(model, one);
  const wanted = await adapted.predict({ x: one.x });
  const merged = lora!.merge(await adapted.weights());
  lora!.disable();

  await using plain = trainerOf(model, one);
  await plain.predict({ x: one.x });
  await plain.setWeights(merged);
  const bytes = await plain.exportOnnx();
  expect(Buffer.from(bytes).includes("lora")).toBe(false);
  const served = await onnxruntime.InferenceSession.create(bytes);
  expectClose(await serve(served, one.x), wanted);
  await served.release();
});

function trainerOf(model: Model, { optimizer }: ModelCase): Trainer {
  return new Trainer(model, { backend: "onnx", computeThread: false, optimizer: optimizer(), loss: classLoss() });
}

async function trained(model: Model, one: ModelCase): Promise<Trainer> {
  const trainer = trainerOf(model, one);
  await trainer.fit({ x: one.x, y: one.y }, { epochs: 3 });
  return trainer;
}

/** As many samples of a batch as asked for, from its beginning again where it has fewer. */
function repeated(x: ModelCase["x"], size: number): ModelCase["x"] {
  const shape = [size, ...x.shape.slice(1)];
  const at = (_: unknown, i: number) => Number(x.data[i % x.data.length]);
  const length = elementCount(shape);
  return x.dtype === "int32"
    ? tensor("int32", shape, Int32Array.from({ length }, at))
    : tensor("float32", shape, Float32Array.from({ length }, at));
}

async function serve(
  session: onnxruntime.InferenceSession,
  { dtype, data, shape }: ModelCase["x"],
): Promise<onnxruntime.Tensor> {
  const input =
    dtype === "int32"
      ? new onnxruntime.Tensor("int32", Int32Array.from(data), shape)
      : new onnxruntime.Tensor("float32", Float32Array.from(data), shape);
  const { prediction } = await session.run({ input });
  return prediction!;
}

function expectClose(found: onnxruntime.Tensor, wanted: Tensor<"float32">): void {
  expect(found.dims).toEqual(wanted.shape);
  const size = Math.max(...wanted.data.map(Math.abs));
  const misses = wanted.data.map((value, i) => Math.abs(Number(found.data[i]) - value));
  expect(size).toBeGreaterThan(0.1);
  expect(Math.max(...misses)).toBeLessThan(TOLERANCE * size);
}
