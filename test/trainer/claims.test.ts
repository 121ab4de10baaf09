// Claims: taken where nothing needs what is inside, left with a reason elsewhere, and held to the expansion.

import { afterEach, describe, expect, test } from "vitest";

import { encoder, onnxAttention } from "../../examples/custom-attention.ts";
import { checkClaim, claim, Graph, layers, losses, ops, optimizers, Trainer, type Claim } from "kdata/trainer";
import { batch, source } from "./batches.ts";

const layerNorm: Claim = ({ attributes }) => {
  if (attributes["isLast"] !== true || attributes["scale"] !== true)
    return "it is not over the last axis, or has no gamma";
  return {
    nodes: [
      {
        opType: "LayerNormalization",
        inputs: ["input0", "input1", ...(attributes["center"] === true ? ["input2"] : [])],
        outputs: ["output"],
        attributes: { axis: -1, epsilon: { float: Number(attributes["epsilon"]) } },
      },
    ],
  };
};

const data = source([
  batch(3, {
    x: { dtype: "float32", shape: [3, 5, 64], data: Float32Array.from({ length: 960 }, (_, i) => Math.sin(i)) },
    y: { dtype: "int32", shape: [3], data: Int32Array.of(0, 3, 1) },
  }),
]);

afterEach(async () => {
  await claim("attention", {});
  await claim("layerNorm", {});
});

function trainer(backend: string): Trainer {
  return new Trainer(encoder(), {
    backend,
    optimizer: optimizers.adam(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
}

describe("a claim", () => {
  test("is taken where nothing needs what is inside, and gives the numbers of the expansion", async () => {
    await using composed = trainer("onnx");
    const wanted = await composed.predict(data);
    await claim("attention", { onnx: onnxAttention });
    await claim("layerNorm", { onnx: layerNorm });
    await using claimed = trainer("onnx");
    const found = await claimed.predict(data);
    for (const [i, value] of wanted.data.entries()) expect(found.data[i]).toBeCloseTo(value, 5);
    expect(String(claimed.explain()["claimed in predict"]).split(", ")).toHaveLength(4);
    expect(composed.explain()).not.toHaveProperty("claimed in predict");
  });

  test("is left where a gradient needs what is inside, and explain() says so", async () => {
    await claim("attention", { onnx: onnxAttention });
    await using claimed = trainer("onnx");
    const history = await claimed.fit(data, { epochs: 3, validation: data });
    await claim("attention", {});
    await using composed = trainer("onnx");
    const expected = await composed.fit(data, { epochs: 3, validation: data });
    expect(history["loss"]).toEqual(expected["loss"]);
    for (const [i, loss] of expected["val_loss"]!.entries()) expect(history["val_loss"]![i]).toBeCloseTo(loss, 5);
    expect(claimed.explain()["not claimed in train"]).toContain("attention: its inner values are needed elsewhere");
    expect(claimed.explain()["claimed in evaluate"]).toContain("attention");
  });

  test("falls back to the expansion on another backend, and where it gives a reason", async () => {
    await claim("attention", { onnx: () => "it is Tuesday" });
    await using onnx = trainer("onnx");
    await using reference = trainer("reference");
    const [a, b] = [await onnx.predict(data), await reference.predict(data)];
    for (const [i, value] of b.data.entries()) expect(a.data[i]).toBeCloseTo(value, 5);
    expect(onnx.explain()["not claimed in predict"]).toContain("attention: it is Tuesday");
  });

  test("is refused with the worst difference when its values differ", async () => {
    const wrong: Claim = () => ({ nodes: [{ opType: "Neg", inputs: ["input0"], outputs: ["output"] }] });
    await expect(claim("layerNorm", { onnx: wrong })).rejects.toThrow(
      /Cannot claim 'layerNorm' on onnx: the kernel differs from the expansion \(values by \d/,
    );
    await using after = trainer("onnx");
    await after.predict(data);
    expect(Object.keys(after.explain()).filter((name) => name.includes("claimed"))).toEqual([]);
  });

  test("of a composite of one's own needs calls to compare with", async () => {
    const build = (x: ReturnType<Graph["input"]>) => x.graph.composite("double", () => ops.add(x, x), { inputs: [x] });
    const twice: Claim = () => ({ nodes: [{ opType: "Sum", inputs: ["input0", "input0"], outputs: ["output"] }] });
    await expect(claim("double", { onnx: twice })).rejects.toThrow("for a composite of one's own give { checks }");
    const check = { shapes: [[4, 2]], build: ([x]: readonly ReturnType<Graph["input"]>[]) => build(x!) };
    await claim("double", { onnx: twice }, { checks: [check] });
    expect((await checkClaim("double", "onnx", check)).value).toBe(0);
    const model = layers.model({}, (x: ReturnType<Graph["input"]>) => build(x));
    await using one = new Trainer(model, {
      backend: "onnx",
      optimizer: optimizers.sgd(),
      loss: losses.meanSquaredError(),
    });
    const x = { dtype: "float32" as const, shape: [2, 1], data: Float32Array.of(1, -3) };
    expect([...(await one.predict(source([batch(2, { x })]))).data]).toEqual([2, -6]);
    expect(one.explain()["claimed in predict"]).toContain("double");
    await claim("double", {});
  });
});
