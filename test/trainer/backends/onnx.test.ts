import { availableParallelism } from "node:os";

import * as onnxruntime from "onnxruntime-node";
import { describe, expect, test } from "vitest";

import { KdataError } from "../../../src/core/errors.ts";
import type { HostTensor, Knobs } from "../../../src/trainer/backend.ts";
import { planToOnnx } from "../../../src/trainer/backends/onnx-model.ts";
import { createOnnx } from "../../../src/trainer/backends/onnx.ts";
import { createReference } from "../../../src/trainer/backends/reference.ts";
import { Graph, type Sym } from "../../../src/trainer/graph.ts";
import * as layers from "../../../src/trainer/layers.ts";
import * as ops from "../../../src/trainer/ops.ts";
import * as optimizers from "../../../src/trainer/optimizers.ts";
import type { Plan } from "../../../src/trainer/plan.ts";
import { initialState, inspectModel, planPrediction } from "../../../src/trainer/train-step.ts";
import { accumulate, compute, double, elements, exchange, float32, int32 } from "./plans.ts";

describe("createOnnx()", () => {
  test("uses every core unless told otherwise, and says so", async () => {
    const backend = await createOnnx();
    expect(backend.engine).toMatch(/^onnxruntime-node \d+\.\d+\.\d+$/);
    const [automatic, one] = [await backend.open(new Map()), await backend.open(new Map(), knobs({ threads: "1" }))];
    expect(automatic.explain()).toMatchObject({ device: "cpu", threads: availableParallelism(), precision: "float32" });
    expect(one.explain()).toMatchObject({ threads: 1 });
  });

  test.each([
    [{ threads: 0 }, RangeError, /threads is 0, not a whole number from 1 on/],
    [{ threads: 1.5 }, RangeError, /threads is 1.5/],
    [{ threads: "many" }, RangeError, /threads is "many"/],
    [{ threads: true }, RangeError, /threads is true/],
    [{ spinning: 1 }, RangeError, /spinning is 1, not true or false/],
    [{ thread: 1 }, KdataError, /unknown knob 'thread' .*did you mean threads\?/],
    [
      { graphOptimization: "most" },
      RangeError,
      /graphOptimization is "most", not one of disabled, basic, extended, all/,
    ],
    [{ executionProvider: "gpu" }, RangeError, /executionProvider is "gpu", not one of cpu, webgpu, cuda/],
  ])("refuses the knobs %o", async (given, type, message) => {
    const backend = await createOnnx();
    const error: unknown = await backend.open(new Map(), knobs(given)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
  });

  test("says what an execution provider needs that does not run here", async () => {
    const backend = await createOnnx();
    for (const executionProvider of ["webgpu", "cuda"] as const) {
      const session = await backend.open(new Map(), { executionProvider }).catch((reason: unknown) => reason);
      if (!(session instanceof Error)) continue; // this machine has one
      expect(session).toMatchObject({
        code: "package",
        message: expect.stringContaining(`the executionProvider ${executionProvider} does not run here`) as string,
        hint: expect.stringContaining("executionProvider=cpu runs everywhere") as string,
      });
    }
  });

  test.each(["disabled", "basic", "extended", "all"] as const)(
    "computes the same with graphOptimization %s",
    async (level) => {
      const backend = await createOnnx();
      const session = await backend.open(new Map([["total", float32([1, 2, 3])]]), { graphOptimization: level });
      const program = await session.compile(accumulate());
      const outputs = await program.run(new Map([["x", float32([1, 1, 1])]]));
      expect(elements(outputs.get("after"))).toEqual([2, 3, 4]);
      expect(program.explain()).toMatchObject({ nodes: 3, operators: 3 });
      await session.close();
    },
  );

  test("tells why the engine refuses a plan, with its name", async () => {
    const session = await (await createOnnx()).open(new Map());
    const broken = brokenPlan();
    const error: unknown = await session.compile(broken).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(KdataError);
    expect(error).toMatchObject({
      code: "backend",
      message: expect.stringContaining("Cannot compile broken") as string,
      cause: expect.any(Error) as Error,
    });
  });
});

describe("planToOnnx()", () => {
  test("stores the given state in the model, whose inputs are the feeds alone", async () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3], "float32");
    const weights = graph.input("weights", [3, 1], "float32");
    const y = graph.node({ kind: "matmul", transposeA: false, transposeB: false }, [x, weights]);
    const plan = graph.plan({ name: "predict", feeds: { x }, state: { weights }, updates: {}, outputs: { y } });
    const state = new Map([
      ["weights", float32([1, 10, 100], [3, 1])],
      ["unrelated", float32([1])],
    ]);
    const session = await load(planToOnnx(plan, { state }));
    expect(session.inputNames).toEqual(["x"]);
    expect(session.outputNames).toEqual(["y"]);
    const results = await session.run({ x: new onnxruntime.Tensor("float32", [1, 2, 3, 4, 5, 6], [2, 3]) });
    expect(results["y"]!.dims).toEqual([2, 1]);
    expect(Array.from(results["y"]!.data as Float32Array)).toEqual([321, 654]);
  });

  test("makes state an input and an update an output when no state is given", async () => {
    const session = await load(planToOnnx(accumulate()));
    expect(session.inputNames).toEqual(["x", "state/total"]);
    expect(session.outputNames).toEqual(["before", "after", "update/total"]);
  });

  test("gives every value a name of its own when the plan's names meet", async () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const held = graph.input("state/x", [2], "float32");
    const y = graph.node({ kind: "add" }, [x, held]);
    const plan = graph.plan({
      name: "meeting",
      feeds: { x, "state/x": held },
      state: {},
      updates: {},
      outputs: { x: y, again: y, fed: x },
    });
    const session = await load(planToOnnx(plan));
    expect(session.inputNames).toEqual(["x", "state/x"]);
    expect(session.outputNames).toEqual(["x_1", "again", "fed"]);
    const results = await session.run({
      x: new onnxruntime.Tensor("float32", [1, 2], [2]),
      "state/x": new onnxruntime.Tensor("float32", [10, 20], [2]),
    });
    expect(Array.from(results["again"]!.data as Float32Array)).toEqual([11, 22]);
    expect(Array.from(results["fed"]!.data as Float32Array)).toEqual([1, 2]);
  });

  test("hands out constants and state that nothing changes", async () => {
    const plan = compute({}, (graph) => graph.constant(int32([4, 5, 6])));
    const results = await (await load(planToOnnx(plan))).run({});
    expect(Array.from(results["result"]!.data as Int32Array)).toEqual([4, 5, 6]);
    const session = await load(planToOnnx(exchange()));
    expect(session.outputNames).toHaveLength(4);
  });

  test("is a pure function of the plan", () => {
    expect(Buffer.from(planToOnnx(double())).equals(planToOnnx(double()))).toBe(true);
  });
});

describe("planToOnnx() of a function of the batch size", () => {
  test("gives one model that computes what the plan of each batch size computes", async () => {
    const model = layers.sequential([
      layers.dense(3), // of three axes: a reshape to rows and back
      layers.flatten(),
      layers.dense(7, { activation: "relu" }),
      layers.dense(5, { activation: "gelu" }),
      layers.dense(4, { activation: "softmax" }),
    ]);
    const { parameters } = inspectModel(model, { shape: [1, 3, 2], dtype: "float32" });
    const state = initialState(
      parameters.map(({ parameter }) => parameter),
      optimizers.sgd(),
      1,
    );
    const planOf = (batch: number) => planPrediction(model, { shape: [batch, 3, 2], dtype: "float32" });
    const session = await load(planToOnnx(planOf, { state }));
    const reference = await (await createReference()).open(state);
    for (const batch of [1, 3, 700]) {
      const input = float32(
        Float32Array.from({ length: batch * 6 }, (_, i) => Math.sin(i)),
        [batch, 3, 2],
      );
      const expected = (await (await reference.compile(planOf(batch))).run(new Map([["input", input]]))).get(
        "prediction",
      );
      const results = await session.run({ input: new onnxruntime.Tensor("float32", input.data, input.shape) });
      expect(results["prediction"]!.dims).toEqual([batch, 4]);
      const misses = elements(expected).map((value, i) => Math.abs(value - Number(results["prediction"]!.data[i])));
      expect(Math.max(...misses)).toBeLessThan(1e-6);
    }
  });

  test("names the batch in the types of inputs and outputs", async () => {
    const session = await load(planToOnnx((batch) => ofBatch(batch, (graph, x) => graph.node({ kind: "exp" }, [x]))));
    expect(session.inputMetadata).toMatchObject([{ shape: ["batch", 2] }]);
    expect(session.outputMetadata).toMatchObject([{ shape: ["batch", 2] }]);
  });

  test.each<[string, (graph: Graph, x: Sym) => Sym]>([
    ["an average over the batch", (_, x) => ops.mean(x)],
    [
      "a constant of the batch's size",
      (graph, x) => ops.add(x, graph.constant(float32(new Float32Array(x.shape[0]!).fill(2), [x.shape[0]!, 1]))),
    ],
    ["a value repeated for each sample", (graph, x) => ops.broadcastTo(graph.constant(float32([1, 2])), x.shape)],
    ["a place counted from the end of the batch", (_, x) => ops.slice(x, [x.shape[0]! - 1, 0], [x.shape[0]!, 2])],
    ["a place that a small batch lacks", (_, x) => ops.slice(x, [0, 0], [4, 2])],
    ["a count of the samples", (graph, x) => ops.iota(graph, x.shape)],
  ])("refuses %s", (_what, build) => {
    expect(() => planToOnnx((batch) => ofBatch(batch, build))).toThrow(
      expect.objectContaining({
        code: "unsupported",
        message: expect.stringMatching(/^Cannot write compute for any batch size at \w+: /) as string,
      }),
    );
  });
});

/** A plan without state over `x` `[batch, 2]`. */
function ofBatch(batch: number, build: (graph: Graph, x: Sym) => Sym): Plan {
  return compute({ x: { shape: [batch, 2], dtype: "float32" } }, (graph, [x]) => build(graph, x!));
}

/** A plan whose declared shape is wrong, as the tracer never makes one. */
function brokenPlan(): Plan {
  const x: HostTensor = float32([1, 2]);
  const plan = compute({ x }, (graph, [a]) => graph.node({ kind: "exp" }, [a!]));
  return { ...plan, name: "broken", nodes: plan.nodes.map((node) => ({ ...node, inputs: [] })) };
}

function load(bytes: Uint8Array): Promise<onnxruntime.InferenceSession> {
  return onnxruntime.InferenceSession.create(bytes);
}

/** Knobs as a command line gives them: of any type. */
function knobs(given: Readonly<Record<string, unknown>>): Knobs {
  return given as Knobs;
}
