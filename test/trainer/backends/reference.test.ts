import { describe, expect, test } from "vitest";
import { tensor } from "../../../src/core/tensor.ts";
import type { HostTensor } from "../../../src/trainer/backend.ts";
import { createReference } from "../../../src/trainer/backends/reference.ts";
import { gradient } from "../../../src/trainer/gradient.ts";
import { Graph } from "../../../src/trainer/graph.ts";
import { dense, sequential, traceModel } from "../../../src/trainer/layers.ts";
import { sparseCategoricalCrossentropy } from "../../../src/trainer/losses.ts";
import * as ops from "../../../src/trainer/ops.ts";
import { sgd } from "../../../src/trainer/optimizers.ts";
import { deriveKeyFromName, RandomStream } from "../../../src/core/random.ts";
import { float32, int32 } from "../evaluate.ts";

/** `count += x`, with the old and the new count as outputs. */
function counter() {
  const graph = new Graph();
  const x = graph.input("x", [2], "float32");
  const count = graph.input("count", [2], "float32");
  const next = ops.add(count, x);
  return graph.plan({
    name: "count",
    feeds: { x },
    state: { count },
    updates: { count: next },
    outputs: { before: count, after: next, fed: x },
  });
}

async function open(state: Record<string, HostTensor> = { count: float32([2], [0, 0]) }) {
  return (await createReference()).open(new Map(Object.entries(state)));
}

describe("reference backend", () => {
  test("keeps state between runs and changes it only after all outputs are computed", async () => {
    const session = await open();
    const program = await session.compile(counter());
    await program.run(new Map([["x", float32([2], [1, 2])]]));
    const outputs = await program.run(new Map([["x", float32([2], [1, 2])]]));
    expect(outputs.get("before")!.data).toEqual(Float32Array.of(1, 2));
    expect(outputs.get("after")!.data).toEqual(Float32Array.of(2, 4));
    expect((await session.read()).get("count")!.data).toEqual(Float32Array.of(2, 4));
  });

  test("shares no memory with its caller, in either direction", async () => {
    const initial = float32([2], [0, 0]);
    const session = await open({ count: initial });
    const program = await session.compile(counter());
    initial.data.fill(9);
    const feed = tensor("float32", [2], new Float32Array(new SharedArrayBuffer(8)));
    feed.data.set([1, 2]);
    const outputs = await program.run(new Map([["x", feed]]));
    feed.data.fill(7);
    expect(outputs.get("fed")!.data).toEqual(Float32Array.of(1, 2));
    outputs.get("after")!.data.fill(5);
    const read = await session.read(["count"]);
    expect(read.get("count")!.data).toEqual(Float32Array.of(1, 2));
    read.get("count")!.data.fill(3);
    const written = float32([2], [10, 20]);
    await session.write(new Map([["count", written]]));
    written.data.fill(4);
    expect((await session.read()).get("count")!.data).toEqual(Float32Array.of(10, 20));
  });

  test("copies a feed that becomes state, reshaped or not", async () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const [flat, column] = [graph.input("flat", [2], "float32"), graph.input("column", [2, 1], "float32")];
    const updates = { flat: x, column: ops.reshape(x, [2, 1]) };
    const plan = graph.plan({ name: "keep", feeds: { x }, state: { flat, column }, updates, outputs: {} });
    const session = await open({ flat: float32([2], [0, 0]), column: float32([2, 1], [0, 0]) });
    const program = await session.compile(plan);
    const feed = float32([2], [1, 2]);
    await program.run(new Map([["x", feed]]));
    feed.data.fill(9);
    for (const { data } of (await session.read()).values()) expect(data).toEqual(Float32Array.of(1, 2));
  });

  test("refuses knobs, unknown state, wrong feeds, and everything once closed", async () => {
    const backend = await createReference();
    await expect(backend.open(new Map(), { threads: 2 })).rejects.toMatchObject({ code: "usage" });
    const session = await open();
    await expect(session.read(["weights"])).rejects.toMatchObject({ code: "state" });
    await expect(session.write(new Map([["count", float32([3], [1, 2, 3])]]))).rejects.toMatchObject({ code: "state" });
    const program = await session.compile(counter());
    await expect(program.run(new Map())).rejects.toMatchObject({ code: "shape" });
    await expect(program.run(new Map([["x", int32([2], [1, 2])]]))).rejects.toMatchObject({ code: "shape" });
    await expect((await open({})).compile(counter())).rejects.toMatchObject({ code: "state" });
    await session.close();
    await session.close();
    await expect(program.run(new Map([["x", float32([2], [1, 2])]]))).rejects.toThrow(TypeError);
    await expect(session.read()).rejects.toThrow(/session is closed/);
  });

  test("a run that fails leaves the state as it was", async () => {
    const graph = new Graph();
    const index = graph.input("index", [1], "int32");
    const table = graph.input("table", [2, 1], "float32");
    const plan = graph.plan({
      name: "look up",
      feeds: { index },
      state: { table },
      updates: { table: ops.add(table, 1) },
      outputs: { row: ops.gather(table, index) },
    });
    const session = await open({ table: float32([2, 1], [5, 6]) });
    const program = await session.compile(plan);
    await expect(program.run(new Map([["index", int32([1], [2])]]))).rejects.toMatchObject({ code: "shape" });
    expect((await session.read()).get("table")!.data).toEqual(Float32Array.of(5, 6));
  });

  test("a small network learns exclusive or", async () => {
    const graph = new Graph();
    const x = graph.input("x", [4, 2], "float32");
    const y = graph.input("y", [4], "int32");
    const model = traceModel(sequential([dense(8, { activation: "tanh" }), dense(2)]), graph, x);
    const loss = ops.mean(sparseCategoricalCrossentropy({ fromLogits: true }).build(y, model.output));
    const syms = model.parameters.map(({ sym }) => sym);
    const optimizer = sgd({ learningRate: 0.5 });
    const gradients = gradient(loss, syms);
    const steps = model.parameters.map(({ parameter: { path, shape }, sym }, i) => {
      return { path, shape, parameter: sym, gradient: gradients[i]!, slots: {} };
    });
    const rate = graph.constant(0.5);
    const next = optimizer.update(steps, { learningRate: rate, steps: graph.constant(0, "int32") });
    const named = model.parameters.map(({ parameter, sym }, i) => {
      const values = parameter.initializer.create(
        parameter.shape,
        new RandomStream(deriveKeyFromName(1, parameter.path)),
      );
      return { parameter, sym, next: next.parameters[i]!.parameter, initial: float32(parameter.shape, values) };
    });
    const plan = graph.plan({
      name: "train",
      feeds: { x, y },
      state: Object.fromEntries(named.map(({ parameter, sym }) => [parameter.path, sym])),
      updates: Object.fromEntries(named.map(({ parameter, next }) => [parameter.path, next])),
      outputs: { loss, classes: ops.argmax(model.output) },
    });
    const session = await open(Object.fromEntries(named.map(({ parameter, initial }) => [parameter.path, initial])));
    const program = await session.compile(plan);
    const feeds = new Map([
      ["x", float32([4, 2], [0, 0, 0, 1, 1, 0, 1, 1])],
      ["y", int32([4], [0, 1, 1, 0])],
    ]);
    const first = (await program.run(feeds)).get("loss")!.data[0]!;
    for (let step = 0; step < 300; step++) await program.run(feeds);
    const last = await program.run(feeds);
    expect(first).toBeGreaterThan(0.5);
    expect(last.get("loss")!.data[0]).toBeLessThan(0.05);
    expect(last.get("classes")!.data).toEqual(Int32Array.of(0, 1, 1, 0));
  });
});
