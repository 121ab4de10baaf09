// What the suites over all backends do not say of `jax`.

import { describe, expect, test } from "vitest";

import type { HostTensor, Program, Session } from "../../../src/trainer/backend.ts";
import { createJax } from "../../../src/trainer/backends/jax.ts";
import { Graph } from "../../../src/trainer/graph.ts";
import * as ops from "../../../src/trainer/ops.ts";

const ROWS = 3;
const LONG = 100_003; // no multiple of anything that a long sum is divided by

describe("the backend jax", () => {
  test.each([
    { axes: [1], keepDims: true },
    { axes: [0, 1], keepDims: false },
  ])("adds up $axes of long rows without losing digits", async ({ axes, keepDims }) => {
    const graph = new Graph();
    const x = graph.input("x", [ROWS, LONG], "float32");
    const outputs = { total: ops.sum(x, { axes, keepDims }) };
    const { session, program } = await compile(
      graph.plan({ name: "sum", feeds: { x }, state: {}, updates: {}, outputs }),
    );
    const data = Float32Array.from({ length: ROWS * LONG }, (_, i) => 0.1 + (i % 7));
    const results = await program.run(
      new Map<string, HostTensor>([["x", { dtype: "float32", shape: [ROWS, LONG], data }]]),
    );
    const rows = Array.from({ length: ROWS }, (_, row) =>
      data.subarray(row * LONG, (row + 1) * LONG).reduce((sum, value) => sum + value, 0),
    );
    const expected = axes.length === 1 ? rows : [rows.reduce((sum, value) => sum + value, 0)];
    const total = results.get("total");
    expect(total?.shape).toEqual(keepDims ? [ROWS, 1] : []);
    expected.forEach((value, row) => {
      expect(Math.abs(Number(total?.data[row]) / value - 1)).toBeLessThan(5e-6); // one after the other it would be off by 1e-3
    });
    await session.close();
  });

  test("keeps its memory over many steps", async () => {
    const graph = new Graph();
    const x = graph.input("x", [256, 256], "float32");
    const w = graph.input("w", [256, 256], "float32");
    const next = ops.sub(w, ops.mul(ops.matmul(x, w), 1e-6));
    const outputs = { size: ops.sum(ops.square(next)) };
    const plan = graph.plan({ name: "train", feeds: { x }, state: { w }, updates: { w: next }, outputs });
    const w0: HostTensor = { dtype: "float32", shape: [256, 256], data: new Float32Array(65_536).fill(0.5) };
    const { session, program } = await compile(plan, new Map([["w", w0]]));
    const feeds = new Map<string, HostTensor>([["x", { ...w0, data: new Float32Array(65_536).fill(0.1) }]]);
    for (let step = 0; step < 50; step++) await program.run(feeds);
    const before = process.memoryUsage().rss;
    // Were one array a step lost, this would take 75 MB.
    for (let step = 0; step < 300; step++) await program.run(feeds);
    expect(process.memoryUsage().rss - before).toBeLessThan(40e6);
    await session.close();
  });
});

async function compile(
  plan: Parameters<Session["compile"]>[0],
  state = new Map<string, HostTensor>(),
): Promise<{ session: Session; program: Program }> {
  const session = await (await createJax()).open(state);
  return { session, program: await session.compile(plan) };
}
