import { describe, expect, test } from "vitest";

import type { HostTensor } from "../../src/trainer/backend.ts";
import { Graph } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import type { Plan } from "../../src/trainer/plan.ts";
import { openInThread } from "../../src/trainer/threaded-backend.ts";

const SIZE = 96;

describe("openInThread()", () => {
  test("leaves the event loop free while a step computes", async () => {
    const session = await (await openInThread("reference")).open(new Map());
    const program = await session.compile(longPlan());
    let isDone = false;
    let turns = 0;
    function turn(): void {
      turns++;
      if (!isDone) setImmediate(turn);
    }
    setImmediate(turn);
    const outputs = await program.run(feeds());
    isDone = true;
    expect(outputs.get("total")?.shape).toEqual([]);
    expect(turns).toBeGreaterThan(10); // in the same thread it would be one
    await session.close();
  });

  test("keeps sessions apart and answers them in order", async () => {
    const backend = await openInThread("reference");
    const a = await backend.open(new Map([["w", scalar(1)]]));
    const b = await backend.open(new Map([["w", scalar(10)]]));
    const [increaseA, increaseB] = [await a.compile(increase()), await b.compile(increase())];
    await Promise.all([increaseA.run(new Map()), increaseB.run(new Map()), increaseA.run(new Map())]);
    expect((await a.read()).get("w")?.data).toEqual(Float32Array.of(3));
    await a.close();
    expect((await b.read()).get("w")?.data).toEqual(Float32Array.of(11));
    await b.close();
    const again = await backend.open(new Map([["w", scalar(5)]]));
    expect((await again.read()).get("w")?.data).toEqual(Float32Array.of(5));
    await again.close();
  });

  test("gives errors with class, code and reason", async () => {
    const backend = await openInThread("onnx");
    await expect(backend.open(new Map(), { treads: 2 })).rejects.toMatchObject({
      name: "KdataError",
      code: "usage",
      message: expect.stringContaining("treads") as string,
    });
    await expect(openInThread("onx")).rejects.toMatchObject({ code: "usage" });
  });

  test("says that a session computes in a thread", async () => {
    const session = await (await openInThread("reference")).open(new Map());
    expect(session.explain()).toMatchObject({ thread: "its own" });
    await session.close();
  });
});

function longPlan(): Plan {
  const graph = new Graph();
  const x = graph.input("x", [SIZE, SIZE], "float32");
  let y = x;
  for (let i = 0; i < 10; i++) y = ops.mul(ops.matmul(y, x), 0.01);
  return graph.plan({ name: "long", feeds: { x }, state: {}, updates: {}, outputs: { total: ops.sum(y) } });
}

function feeds(): Map<string, HostTensor> {
  const data = new Float32Array(SIZE * SIZE).fill(0.5);
  return new Map([["x", { dtype: "float32", shape: [SIZE, SIZE], data }]]);
}

function increase(): Plan {
  const graph = new Graph();
  const w = graph.input("w", [], "float32");
  return graph.plan({ name: "increase", feeds: {}, state: { w }, updates: { w: ops.add(w, 1) }, outputs: {} });
}

function scalar(value: number): HostTensor {
  return { dtype: "float32", shape: [], data: Float32Array.of(value) };
}
