import { readFileSync } from "node:fs";

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { planToOnnx } from "../../src/trainer/backends/onnx-model.ts";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as layers from "../../src/trainer/layers.ts";
import { traceModel, type Layer } from "../../src/trainer/layers.ts";
import * as losses from "../../src/trainer/losses.ts";
import * as ops from "../../src/trainer/ops.ts";
import * as optimizers from "../../src/trainer/optimizers.ts";
import { openBackend } from "../../src/trainer/registry.ts";
import { initialState, inspectModel, planPrediction, planTraining } from "../../src/trainer/train-step.ts";
import { elements, evaluate, float32, int32 } from "./evaluate.ts";

/** What fixtures/generators/convolutions.py computed with PyTorch: a layer, and the gradients of `sum(factors * output)`. */
interface Fixture {
  readonly layer: string;
  readonly input: number[];
  readonly filters?: number;
  readonly kernel?: [number, number];
  readonly options: Record<string, never>;
  readonly x: number[];
  readonly parameters: Record<string, { shape: number[]; values: number[]; gradient: number[] }>;
  readonly shape: number[];
  readonly output: number[];
  readonly factors: number[];
  readonly dx: number[];
}

const fixtures = JSON.parse(
  readFileSync(new URL("../../fixtures/trainer/convolutions.json", import.meta.url), "utf8"),
) as Fixture[];

function make({ layer, filters = 0, kernel = [0, 0], options }: Fixture): Layer {
  switch (layer) {
    case "conv2d":
      return layers.conv2d(filters, kernel, options);
    case "conv1d":
      return layers.conv1d(filters, kernel[0], options);
    case "depthwiseConv2d":
      return layers.depthwiseConv2d(kernel, options);
    case "conv2dTranspose":
      return layers.conv2dTranspose(filters, kernel, options);
    case "maxPool2d":
      return layers.maxPool2d(options);
    case "avgPool2d":
      return layers.avgPool2d(options);
    case "globalAveragePool":
      return layers.globalAveragePool(options);
    default:
      return layers.globalMaxPool(options);
  }
}

function trace(model: Layer, shape: readonly number[]) {
  const graph = new Graph();
  const x = graph.input("x", shape, "float32");
  return { graph, x, ...traceModel(model, graph, x) };
}

function close(found: ArrayLike<number>, wanted: readonly number[]): void {
  expect(found).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries()) {
    expect(Math.abs(found[i]! - value)).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(value)));
  }
}

describe("layers over planes", () => {
  test.each(fixtures.map((fixture, i) => [i, fixture] as const))("agree with PyTorch, case %i", async (_, fixture) => {
    const { x, output, parameters } = trace(make(fixture), fixture.input);
    expect(output.shape).toEqual(fixture.shape);
    expect(Object.fromEntries(parameters.map(({ parameter }) => [parameter.path, parameter.shape]))).toEqual(
      Object.fromEntries(Object.entries(fixture.parameters).map(([name, { shape }]) => [name, shape])),
    );
    const loss = ops.sum(ops.mul(output, x.graph.constant(float32(fixture.shape, fixture.factors))));
    const syms = parameters.map(({ sym }) => sym);
    const feeds = [
      [x, float32(fixture.input, fixture.x)] as const,
      ...parameters.map(({ parameter: { path }, sym }) => {
        const { shape, values } = fixture.parameters[path]!;
        return [sym, float32(shape, values)] as const;
      }),
    ];
    const [value, dx, ...found] = await evaluate([output, ...gradient(loss, [x, ...syms])], feeds);
    close(value!.data, fixture.output);
    close(dx!.data, fixture.dx);
    for (const [i, { parameter }] of parameters.entries()) {
      close(found[i]!.data, fixture.parameters[parameter.path]!.gradient);
    }
  });

  test("take channels first as well, with the same kernels", async () => {
    const options = { padding: "same", strides: 2, activation: "softmax" } as const;
    const last = trace(layers.conv2d(3, 3, options), [2, 5, 5, 2]);
    const first = trace(layers.conv2d(3, 3, { ...options, dataFormat: "channelsFirst" }), [2, 2, 5, 5]);
    expect(first.output.shape).toEqual([2, 3, 3, 3]);
    const values = Array.from({ length: 100 }, (_, i) => ((i * 37) % 19) / 9 - 1);
    const kernel = float32([3, 3, 2, 3], values.slice(0, 54));
    function feeds({ x, parameters }: ReturnType<typeof trace>, shape: number[], data: number[]) {
      const [k, b] = parameters.map(({ sym }) => sym);
      return [[x, float32(shape, data)] as const, [k!, kernel] as const, [b!, float32([3], [0, 1, 2])] as const];
    }
    const moved = await elements(ops.transpose(last.x, [0, 3, 1, 2]), [[last.x, float32([2, 5, 5, 2], values)]]);
    const wanted = await elements(ops.transpose(last.output, [0, 3, 1, 2]), feeds(last, [2, 5, 5, 2], values));
    close(await elements(first.output, feeds(first, [2, 2, 5, 5], moved)), wanted);
  });

  test("move nothing between two of them: one transpose at the start, one at the end", () => {
    const model = layers.sequential([
      layers.conv2d(4, 3, { activation: "relu" }),
      layers.maxPool2d(),
      layers.conv2d(4, 3, { activation: "relu", padding: "same" }),
    ]);
    const { graph, output } = trace(model, [2, 10, 10, 3]);
    const plan = graph.plan({
      name: "test",
      feeds: { x: graph.syms[0]! },
      state: Object.fromEntries(graph.syms.filter(({ op }) => op.kind === "input").map((sym) => [String(sym.id), sym])),
      updates: {},
      outputs: { output },
    });
    expect(plan.nodes.filter(({ op }) => op.kind === "transpose")).toHaveLength(2);
  });

  test("repeat elements and put zeros around", async () => {
    const x = new Graph().input("x", [1, 1, 2, 1], "float32");
    const values = float32([1, 1, 2, 1], [3, 4]);
    async function outputOf(layer: Layer): Promise<[readonly number[], number[]]> {
      const output: Sym = layer.apply(x);
      return [output.shape, await elements(output, [[x, values]])];
    }
    expect(await outputOf(layers.upSampling2d({ size: [2, 3] }))).toEqual([
      [1, 2, 6, 1],
      [3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4],
    ]);
    expect(
      await outputOf(
        layers.zeroPadding2d({
          padding: [
            [1, 0],
            [0, 2],
          ],
        }),
      ),
    ).toEqual([
      [1, 2, 4, 1],
      [0, 0, 0, 0, 3, 4, 0, 0],
    ]);
    expect((await outputOf(layers.zeroPadding2d()))[0]).toEqual([1, 3, 4, 1]);
    expect(await outputOf(layers.zeroPadding2d({ padding: [0, 1] }))).toEqual([
      [1, 1, 4, 1],
      [0, 3, 4, 0],
    ]);
  });

  test("refuse wrong options when they are made, and wrong inputs with the layer's name", () => {
    expect(() => layers.conv2d(0, 3)).toThrow(/Cannot make conv2d layer: filters is 0/);
    expect(() => layers.conv2d(4, [3, 0])).toThrow(/kernelSize is 3,0/);
    expect(() => layers.conv2d(4, 3, { groups: 3 })).toThrow(/4 filters do not fall into 3 groups/);
    expect(() => layers.conv2d(4, 3, { padding: "full" as "same" })).toThrow(
      /unknown padding 'full' \(known: valid, same\)/,
    );
    expect(() => layers.maxPool2d({ strides: 1.5 })).toThrow(/Cannot make maxPool2d layer: strides is 1.5/);
    expect(() => layers.globalMaxPool({ dataFormat: "NHWC" as "channelsLast" })).toThrow(/unknown dataFormat 'NHWC'/);
    expect(() => layers.zeroPadding2d({ padding: -1 })).toThrow(/whole numbers from 0 on/);
    const model = layers.sequential([layers.conv2d(4, 3), layers.conv2d(4, 5, { name: "wide" })]);
    expect(() => trace(model, [2, 6, 6, 3])).toThrow(
      /in wide \(its input is float32 \[2, 4, 4, 4\]\).*\[5, 5\] does not fit/,
    );
    expect(() => trace(layers.conv2d(4, 3), [2, 6, 6])).toThrow(/takes float32 \[batch, height, width, channels\]/);
    expect(() => trace(layers.conv2d(4, 3, { groups: 2 }), [2, 6, 6, 3])).toThrow(/3 channels of .* 2 groups/);
    expect(() => trace(layers.conv1d(4, 3), [2, 6, 6, 3])).toThrow(
      /conv1d.* takes float32 \[batch, length, channels\]/,
    );
  });
});

describe("a small network of convolutions", () => {
  const [batch, size] = [5, 8];
  const model = layers.sequential([
    layers.conv2d(4, 3, { padding: "same", activation: "relu" }),
    layers.maxPool2d(),
    layers.depthwiseConv2d(3, { padding: "same", strides: 2 }),
    layers.conv2d(8, 1, { activation: "gelu" }),
    layers.avgPool2d({ poolSize: 2, strides: 1, padding: "same" }),
    layers.conv2dTranspose(3, 2, { strides: 2 }),
    layers.globalAveragePool(),
    layers.dense(5),
  ]);
  const input = { shape: [batch, size, size, 1], dtype: "float32" } as const;
  const recipe = {
    model,
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [],
    optimizer: optimizers.adam({ learningRate: 0.01 }),
  };
  const parameters = inspectModel(model, input).parameters.map(({ parameter }) => parameter);
  const images = Array.from({ length: batch * size * size }, (_, i) => Math.sin(i * (1 + Math.floor(i / size / size))));

  async function trainingLosses(name: string): Promise<number[]> {
    const session = await (await openBackend(name)).open(initialState(parameters, recipe.optimizer, 1));
    const { plan } = planTraining(recipe, input, { shape: [batch], dtype: "int32" });
    const program = await session.compile(plan);
    const feeds = new Map([
      ["input", float32(input.shape, images)],
      ["target", int32([batch], [0, 1, 2, 3, 4])],
      ["weight", float32([batch], new Float32Array(batch).fill(1))],
    ]);
    const found: number[] = [];
    for (let step = 0; step < 50; step++) found.push(Number((await program.run(feeds)).get("loss")!.data[0]));
    await session.close();
    return found;
  }

  test("has the same loss at each of 50 steps of Adam on onnx and tfjs as on reference", async () => {
    const wanted = await trainingLosses("reference");
    expect(wanted.at(-1)).toBeLessThan(wanted[0]! * 0.9);
    for (const name of ["onnx", "tfjs"]) {
      const found = await trainingLosses(name);
      expect(Math.max(...wanted.map((loss, step) => Math.abs(found[step]! - loss) / loss))).toBeLessThan(1e-5);
    }
  });

  test("is an ONNX model for any batch size", async () => {
    const state = initialState(parameters, recipe.optimizer, 1);
    const bytes = planToOnnx(
      (size) => planPrediction(model, { shape: [size, ...input.shape.slice(1)], dtype: "float32" }),
      { state },
    );
    const served = await ort.InferenceSession.create(bytes);
    const all = await served.run({
      [served.inputNames[0]!]: new ort.Tensor("float32", Float32Array.from(images), input.shape),
    });
    const one = await served.run({
      [served.inputNames[0]!]: new ort.Tensor("float32", Float32Array.from(images.slice(0, size * size)), [
        1,
        size,
        size,
        1,
      ]),
    });
    const output = served.outputNames[0]!;
    expect(one[output]!.dims).toEqual([1, 5]);
    close(one[output]!.data as Float32Array, [...(all[output]!.data as Float32Array).subarray(0, 5)]);
  });

  test("survives max pooling of NaN on onnx, whose MaxPool then points outside its input", async () => {
    const graph = new Graph();
    const x = graph.input("x", [1, 2, 4, 4], "float32");
    const window = { size: [2, 2], strides: [2, 2], dilations: [1, 1], before: [0, 0], after: [0, 0] } as const;
    const [dx] = gradient(ops.sum(ops.maxPool2d(x, window)), [x]);
    const plan = graph.plan({ name: "test", feeds: { x }, state: {}, updates: {}, outputs: { dx: dx! } });
    const session = await (await openBackend("onnx")).open(new Map());
    const program = await session.compile(plan);
    const outputs = await program.run(new Map([["x", float32([1, 2, 4, 4], new Float32Array(32).fill(NaN))]]));
    expect(outputs.get("dx")!.shape).toEqual([1, 2, 4, 4]);
    await session.close();
  });
});
