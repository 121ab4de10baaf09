import { expect, test } from "vitest";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import { costOf, type PlanCost } from "../../src/trainer/plan-cost.ts";

function cost(shapes: readonly (readonly number[])[], build: (a: Sym, b: Sym) => Sym): PlanCost {
  const graph = new Graph();
  const inputs = shapes.map((shape, i) => graph.input(`x${i}`, shape, "float32"));
  const result = graph.scope("layer", () => build(inputs[0]!, inputs[1]!));
  const feeds = Object.fromEntries(inputs.map((sym, i) => [`x${i}`, sym]));
  return costOf(graph.plan({ name: "test", feeds, state: {}, updates: {}, outputs: { result } }));
}

const window = { size: [3, 3], strides: [1, 1], dilations: [1, 1], before: [0, 0], after: [0, 0] } as const;

test("costOf() counts multiplications and additions of products and convolutions, gradients too", () => {
  expect(
    cost(
      [
        [5, 7],
        [7, 3],
      ],
      (a, b) => ops.matmul(a, b),
    ).flops,
  ).toBe(2 * 5 * 7 * 3);
  expect(
    cost(
      [
        [7, 5],
        [3, 7],
      ],
      (a, b) => ops.matmul(a, b, { transposeA: true, transposeB: true }),
    ).flops,
  ).toBe(210);
  const flops = 2 * (2 * 6 * 4 * 5) * (3 * 3 * 4); // results times the elements of a window
  expect(
    cost(
      [
        [2, 4, 6, 7],
        [3, 3, 4, 6],
      ],
      (x, k) => ops.conv2d(x, k, { window }),
    ).flops,
  ).toBe(flops);
  const back = cost(
    [
      [2, 6, 4, 5],
      [3, 3, 4, 6],
    ],
    (g, k) => ops.conv2dInputGradient(g, k, { window, inputSize: [6, 7] }),
  );
  expect(back.flops).toBe(flops);
  const kernel = cost(
    [
      [2, 4, 6, 7],
      [2, 6, 4, 5],
    ],
    (x, g) => ops.conv2dKernelGradient(x, g, { window }),
  );
  expect(kernel.flops).toBe(flops);
  expect(kernel.flopsByScope).toEqual(new Map([["layer", flops]]));
});

test("costOf() counts nothing for moving, one operation an element else, and every byte read and written", () => {
  expect(cost([[5, 7]], (x) => ops.transpose(x))).toMatchObject({ flops: 0, bytesMoved: 2 * 140 });
  expect(cost([[5, 7]], (x) => ops.sum(x))).toMatchObject({ flops: 35, bytesMoved: 140 + 4 });
  expect(cost([[5, 7], [7]], ops.add)).toMatchObject({ flops: 35, bytesMoved: 140 + 28 + 140 });
});

test("costOf() finds the most bytes at a time: values go after their last use, views have no memory, inputs do not count", () => {
  expect(cost([[10]], (x) => ops.exp(ops.exp(ops.exp(x)))).peakBytes).toBe(80);
  expect(cost([[10]], (x) => ops.exp(ops.reshape(ops.exp(x), [2, 5]))).peakBytes).toBe(80);
  expect(
    cost([[10]], (x) => {
      const kept = ops.exp(x);
      const first = ops.tanh(ops.sqrt(kept));
      return ops.add(ops.reshape(kept, [10]), first);
    }).peakBytes,
  ).toBe(120);
  expect(cost([[10]], (x) => ops.reshape(x, [5, 2])).peakBytes).toBe(0);
});
