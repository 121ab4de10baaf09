import { describe, expect, test } from "vitest";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import { ones, zeros } from "../../src/trainer/initializers.ts";
import {
  batchNormalization,
  dense,
  dropout,
  einsumDense,
  flatten,
  gelu,
  groupNormalization,
  Layer,
  multiHeadAttention,
  relu,
  sequential,
  traceModel,
  type TracedModel,
} from "../../src/trainer/layers.ts";
import * as ops from "../../src/trainer/ops.ts";
import { evaluate, float32 } from "./evaluate.ts";

function trace(model: Layer, shape: readonly number[]): TracedModel {
  const graph = new Graph();
  return traceModel(model, graph, graph.input("x", shape, "float32"));
}

function paths({ parameters }: TracedModel): string[] {
  return parameters.map(({ parameter }) => parameter.path);
}

class Block extends Layer {
  readonly project = dense(3);
  readonly gates = [dense(3, { activation: "sigmoid" }), dense(3, { name: "last" })];
  call(x: Sym): Sym {
    const gated = this.gates.reduce((value, gate) => gate.apply(value), this.project.apply(x));
    return ops.add(ops.mul(gated, this.param("scale", [3], { initializer: ones, trainable: false })), x);
  }
}

class Model extends Layer {
  readonly encoder = new Block();
  readonly head = sequential([flatten(), dense(4), relu(), dense(2)]);
  call(x: Sym): Sym {
    return this.head.apply(this.encoder.apply(x));
  }
}

describe("traceModel()", () => {
  test("names parameters by the properties that hold the layers, in the order of the computation", () => {
    const traced = trace(new Model(), [5, 3]);
    expect(paths(traced)).toEqual([
      "encoder/project/kernel",
      "encoder/project/bias",
      "encoder/gates/0/kernel",
      "encoder/gates/0/bias",
      "encoder/last/kernel",
      "encoder/last/bias",
      "encoder/scale",
      "head/dense/kernel",
      "head/dense/bias",
      "head/dense_1/kernel",
      "head/dense_1/bias",
    ]);
    expect(traced.parameters[6]!.parameter).toEqual({
      path: "encoder/scale",
      shape: [3],
      trainable: false,
      initializer: ones,
    });
    expect(traced.output.shape).toEqual([5, 2]);
  });

  test("lists the layers with their outputs and own parameters", () => {
    expect(trace(new Model(), [5, 3]).layers).toEqual([
      { path: "encoder", type: "Block", outputShape: [5, 3], parameterCount: 3 },
      { path: "encoder/project", type: "Dense", outputShape: [5, 3], parameterCount: 12 },
      { path: "encoder/gates/0", type: "Dense", outputShape: [5, 3], parameterCount: 12 },
      { path: "encoder/last", type: "Dense", outputShape: [5, 3], parameterCount: 12 },
      { path: "head", type: "Sequential", outputShape: [5, 2], parameterCount: 0 },
      { path: "head/flatten", type: "Flatten", outputShape: [5, 3], parameterCount: 0 },
      { path: "head/dense", type: "Dense", outputShape: [5, 4], parameterCount: 16 },
      { path: "head/relu", type: "Relu", outputShape: [5, 4], parameterCount: 0 },
      { path: "head/dense_1", type: "Dense", outputShape: [5, 2], parameterCount: 10 },
    ]);
    expect(trace(dense(2), [5, 3]).layers).toEqual([
      { path: "dense", type: "Dense", outputShape: [5, 2], parameterCount: 8 },
    ]);
    const block = trace(new Block(), [5, 3]);
    expect(block.layers[0]).toMatchObject({ path: "block", type: "Block", parameterCount: 3 });
    expect(paths(block)).toContain("scale");
  });

  test("marks the graph's values with the layer that made them", () => {
    const { output } = trace(new Model(), [5, 3]);
    expect(output.scope).toBe("head/dense_1");
  });

  test("gives the same names each time, for a model traced twice", () => {
    const model = new Model();
    expect(paths(trace(model, [5, 3]))).toEqual(paths(trace(model, [8, 3])));
  });

  test("counts layers of one class in a sequential, named ones apart", () => {
    const model = sequential([dense(2), dense(2, { name: "middle" }), gelu(), dense(2), gelu({ name: "act" })]);
    expect(trace(model, [1, 2]).layers.map(({ path }) => path)).toEqual(["dense", "middle", "gelu", "dense_1", "act"]);
  });

  test("shares the parameters of a layer that is applied twice", () => {
    const shared = dense(3);
    const traced = trace(sequential([shared, relu(), shared]), [4, 3]);
    expect(paths(traced)).toEqual(["dense/kernel", "dense/bias"]);
    expect(traced.layers.map(({ path }) => path)).toEqual(["dense", "relu"]);
  });

  test("refuses a shared layer whose inputs differ in size, two layers with one path, two parameters with one path", () => {
    const shared = dense(4);
    expect(() => trace(sequential([shared, shared]), [2, 3])).toThrow(
      "Cannot trace parameter 'kernel' in dense (its input is float32 [2, 4]): [4, 4] here, [3, 4] where the layer was applied before",
    );
    const twins = sequential([dense(2, { name: "a" }), dense(2, { name: "a" })]);
    expect(() => trace(twins, [1, 2])).toThrow(expect.objectContaining({ code: "shape" }));
    expect(() => trace(twins, [1, 2])).toThrow("two layers have the path 'a'");

    class Clash extends Layer {
      readonly inner = dense(2);
      call(x: Sym): Sym {
        return ops.add(this.inner.apply(x), this.param("inner/bias", [2]));
      }
    }
    expect(() => trace(new Clash(), [1, 2])).toThrow("two parameters have the path 'inner/bias'");
  });

  test("names the layer and the input's shape when the input does not fit", () => {
    expect(() => trace(new Model(), [5, 7])).toThrow(
      "Cannot trace add in encoder (its input is float32 [5, 7]): float32 [5, 3] and float32 [5, 7] do not broadcast",
    );
    expect(() => trace(sequential([flatten()]), [])).toThrow(
      "Cannot trace flatten in flatten (its input is float32 []): float32 [] has no batch axis",
    );
    const graph = new Graph();
    expect(() => traceModel(sequential([dense(2)]), graph, graph.input("x", [2, 3], "int32"))).toThrow(
      "Cannot trace dense in dense (its input is int32 [2, 3]): it takes float32 [batch, ..., n], not int32 [2, 3]",
    );
  });

  test("explains why a layer cannot have parameters", () => {
    class Hidden extends Layer {
      readonly #secret = dense(2);
      call(x: Sym): Sym {
        return this.#secret.apply(x);
      }
    }
    class Direct extends Layer {
      readonly inner = dense(2);
      call(x: Sym): Sym {
        return this.inner.call(x);
      }
    }
    expect(() => trace(new Hidden(), [1, 2])).toThrow(/parameter 'kernel' of Dense: the model does not hold it/);
    expect(() => trace(new Direct(), [1, 2])).toThrow(/parameter 'kernel' of Dense: use the layer by apply\(x\)/);
    const x = new Graph().input("x", [1, 2], "float32");
    expect(() => dense(2).apply(x)).toThrow(/parameter 'kernel' of Dense: no model is being traced/);
    expect(() => dense(2).apply(x)).toThrow(TypeError);
    expect(relu().apply(x)).toBe(ops.relu(x));
  });

  test("leaves no trace behind after an error", () => {
    expect(() => trace(new Model(), [5, 7])).toThrow();
    expect(() => dense(2).apply(new Graph().input("x", [1, 2], "float32"))).toThrow(/no model is being traced/);
    expect(trace(new Model(), [5, 3]).parameters).toHaveLength(11);
  });
});

describe("layers", () => {
  test("dense multiplies by its kernel, adds its bias, then activates; leading axes stay", async () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 1, 2], "float32");
    const { output, parameters } = traceModel(dense(2, { activation: "relu" }), graph, x);
    const [kernel, bias] = parameters;
    expect(output.shape).toEqual([2, 1, 2]);
    const [found] = await evaluate(
      [output],
      [
        [x, float32([2, 1, 2], [1, 2, 3, 4])],
        [kernel!.sym, float32([2, 2], [1, -1, 0.5, 2])],
        [bias!.sym, float32([2], [10, -4])],
      ],
    );
    expect(Array.from(found!.data)).toEqual([12, 0, 15, 1]);
  });

  test("dense without bias has a kernel alone, with the initializer it is given", () => {
    const { parameters } = trace(dense(3, { useBias: false, kernelInitializer: zeros }), [1, 2]);
    expect(parameters.map(({ parameter }) => parameter)).toEqual([
      { path: "kernel", shape: [2, 3], trainable: true, initializer: zeros },
    ]);
  });

  test.each(["relu", "gelu", "tanh", "sigmoid", "softmax"] as const)("dense activates with %s", (activation) => {
    const { output } = trace(dense(3, { activation, useBias: false }), [1, 2]);
    const graph = output.graph;
    const product = graph.syms.find(({ op }) => op.kind === "matmul")!;
    expect(output).toBe(ops[activation](product));
  });

  test("dense refuses units and activations that are none", () => {
    expect(() => dense(0)).toThrow(RangeError);
    expect(() => dense(1.5)).toThrow(/1.5 units/);
    expect(() => dense(1, { activation: "toString" as "relu" })).toThrow(
      /no activation 'toString', only linear, relu,/,
    );
  });

  test("flatten makes one row a sample", () => {
    expect(trace(flatten(), [4, 2, 3]).output.shape).toEqual([4, 6]);
    expect(trace(flatten(), [4]).output.shape).toEqual([4, 1]);
  });
});

describe("layers in training", () => {
  function traced(model: Layer, training: boolean): TracedModel {
    const graph = new Graph();
    return traceModel(model, graph, graph.input("x", [4, 6], "float32"), { training });
  }

  test("dropout draws a mask in training alone, named by its layer, and keeps 1 - rate of it", () => {
    const model = sequential([dropout(0.25), dropout(0.5, { noiseShape: [1] })]);
    expect(traced(model, false).output.op.kind).toBe("input");
    const { output } = traced(model, true);
    const x = output.graph.syms[0]!;
    const plan = output.graph.plan({ name: "train", feeds: { x }, state: {}, updates: {}, outputs: { output } });
    expect([...plan.randoms!]).toEqual([
      ["random/dropout/0", { shape: [4, 6], distribution: { kind: "bernoulli", probability: 0.75 } }],
      ["random/dropout_1/0", { shape: [4, 1], distribution: { kind: "bernoulli", probability: 0.5 } }],
    ]);
    expect([...plan.feeds.keys()]).toEqual(["x", "random/dropout/0", "random/dropout_1/0"]);
    expect(() => dropout(1)).toThrow(/rate 1 is not in \[0, 1\)/);
    expect(() => traced(sequential([dropout(0.5, { noiseShape: [5] })]), true)).toThrow(
      /in dropout .*does not broadcast/,
    );
  });

  test("state is updated in training alone, and not where the layer is frozen", () => {
    const model = sequential([batchNormalization(), dense(2)]);
    expect([...traced(model, true).updates.keys()]).toEqual([
      "batch_normalization/movingMean",
      "batch_normalization/movingVariance",
    ]);
    expect(traced(model, false).updates.size).toBe(0);
    model.trainable = false;
    const frozen = traced(model, true);
    expect(frozen.updates.size).toBe(0);
    expect(frozen.parameters.every(({ parameter }) => !parameter.trainable)).toBe(true);
  });

  test("updateState refuses what is no state", () => {
    class Wrong extends Layer {
      call(x: Sym): Sym {
        this.updateState("missing", x);
        return x;
      }
    }
    expect(() => traced(new Wrong(), true)).toThrow(/Cannot update 'missing': it is no state of Wrong/);
    expect(traced(new Wrong(), false).updates.size).toBe(0);
  });

  test("freezing one layer leaves the others trainable", () => {
    const model = sequential([dense(3, { trainable: false }), dense(2)]);
    const flags = traced(model, true).parameters.map(({ parameter }) => [parameter.path, parameter.trainable]);
    expect(Object.fromEntries(flags)).toEqual({
      "dense/kernel": false,
      "dense/bias": false,
      "dense_1/kernel": true,
      "dense_1/bias": true,
    });
  });

  test("mistakes name the layer, the option and what fits", () => {
    expect(() => dense(2, { units: 3 } as object)).toThrow(/no option 'units'/);
    expect(() => multiHeadAttention({ numHeads: 4, keyDim: 2, numKeyValueHeads: 3 })).toThrow(/do not share 3 heads/);
    expect(() => traced(sequential([multiHeadAttention({ numHeads: 2, keyDim: 2 })]), false)).toThrow(
      "Cannot trace multiHeadAttention in multi_head_attention (its input is float32 [4, 6]): it takes float32 [batch, length, n], not float32 [4, 6]",
    );
    expect(() => traced(sequential([groupNormalization({ groups: 4 })]), false)).toThrow(/do not make 4 groups/);
    expect(() => traced(sequential([batchNormalization({ axis: 2 })]), false)).toThrow(/along axis 2/);
    expect(() => traced(sequential([einsumDense("abc,cd->abd", { outputShape: [null, 3] })]), false)).toThrow(
      /in einsum_dense .*does not fit/,
    );
  });
});
