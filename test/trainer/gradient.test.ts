import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import type { OpKind } from "../../src/trainer/plan.ts";
import { slideOver, type Pair, type Window } from "../../src/trainer/windows.ts";
import { checkGradient, spread, type Checked } from "./check-gradient.ts";
import { elements, evaluate, float32, int32 } from "./evaluate.ts";

const positive = (value: number): number => 1.5 + value;

function indices(graph: Graph, shape: readonly number[], values: readonly number[]): Sym {
  return graph.constant(int32(shape, values));
}

/** Windows over [5, 6] with everything that may differ, and groups. */
const windows: readonly (readonly [Window, number])[] = [
  [slide([3, 3]), 1],
  [slide([1, 1]), 1],
  [slide([3, 2], { strides: [2, 3], before: [1, 0], after: [0, 2] }), 1], // leaves elements over
  [slide([2, 2], { dilations: [2, 3], after: [1, 1] }), 1],
  [slide([3, 3], { before: [1, 1], after: [1, 1] }), 2],
  [slide([2, 3], { strides: [2, 1], before: [0, 1] }), 3],
  [slide([1, 1], { strides: [3, 4] }), 1],
];

const pools: readonly Window[] = [
  slide([2, 2], { strides: [2, 2] }),
  slide([3, 2], { strides: [2, 1], before: [1, 0], after: [1, 1] }),
  slide([2, 2], { strides: [3, 3] }),
];

function slide(size: Pair, differing: Partial<Window> = {}): Window {
  return { size, strides: [1, 1], dilations: [1, 1], before: [0, 0], after: [0, 0], ...differing };
}

/** One or more checks for each primitive; the compiler asks for those of a new one. `none` has no derivative. */
const checks: { readonly [K in OpKind]: readonly Checked[] | "none" } = {
  input: [{ shapes: [[2]], build: (x) => x }],
  const: "none",
  iota: "none",
  compare: "none",
  argmax: "none",
  roundTo: "none", // a step function; its gradient is that of what it rounds, rounded: precision.test.ts
  cast: "none",
  stopGradient: "none",
  neg: [{ shapes: [[2, 3]], build: ops.neg }],
  exp: [{ shapes: [[2, 3]], build: ops.exp }],
  log: [{ shapes: [[2, 3]], build: ops.log, domain: positive }],
  sqrt: [{ shapes: [[2, 3]], build: ops.sqrt, domain: positive }],
  tanh: [{ shapes: [[2, 3]], build: ops.tanh }],
  erf: [{ shapes: [[2, 3]], build: ops.erf }],
  add: [
    {
      shapes: [
        [2, 3],
        [2, 3],
      ],
      build: ops.add,
    },
  ],
  sub: [
    {
      shapes: [
        [2, 3],
        [2, 3],
      ],
      build: ops.sub,
    },
  ],
  mul: [
    {
      shapes: [
        [2, 3],
        [2, 3],
      ],
      build: ops.mul,
    },
    { shapes: [[3]], build: (x) => ops.mul(x, x) },
  ],
  div: [
    {
      shapes: [
        [2, 3],
        [2, 3],
      ],
      build: ops.div,
      domain: positive,
    },
  ],
  max: [{ shapes: [[5], [5]], build: (a, b) => ops.max(a, ops.mul(b, -1)) }],
  where: [{ shapes: [[4], [4]], build: (a, b) => ops.where(ops.greater(a, 0), ops.exp(a), ops.square(b)) }],
  sum: [
    { shapes: [[2, 3, 2]], build: (x) => ops.sum(x, { axes: [0, 2] }) },
    { shapes: [[2, 3]], build: (x) => ops.sum(x, { axes: 1, keepDims: true }) },
    { shapes: [[2, 3]], build: (x) => ops.sum(x) },
  ],
  reduceMax: [
    { shapes: [[3, 4]], build: (x) => ops.reduceMax(x, { axes: 0 }) },
    { shapes: [[3, 4]], build: (x) => ops.reduceMax(x, { axes: 1, keepDims: true }) },
  ],
  reshape: [{ shapes: [[2, 6]], build: (x) => ops.exp(ops.reshape(x, [3, 4])) }],
  broadcast: [{ shapes: [[3, 1]], build: (x) => ops.broadcastTo(x, [2, 3, 2]) }],
  transpose: [{ shapes: [[2, 3, 4]], build: (x) => ops.transpose(x, [1, 2, 0]) }],
  slice: [{ shapes: [[3, 4]], build: (x) => ops.slice(x, [1, 0], [3, 3]) }],
  pad: [{ shapes: [[2, 3]], build: (x) => ops.pad(x, [1, 0], [0, 2]) }],
  concat: [
    {
      shapes: [
        [2, 1],
        [2, 3],
        [2, 2],
      ],
      build: (a, b, c) => ops.concat([a, b, c], 1),
    },
    { shapes: [[2, 2]], build: (x) => ops.concat([x, x], 0) },
  ],
  gather: [{ shapes: [[3, 2]], build: (x) => ops.gather(x, indices(x.graph, [2, 2], [2, 0, 2, 1])) }],
  scatterAdd: [{ shapes: [[3, 2]], build: (x) => ops.scatterAdd(indices(x.graph, [3], [1, 0, 1]), x, 4) }],
  matmul: [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) => {
      const [a, b] = [transposeA ? [3, 2] : [2, 3], transposeB ? [4, 3] : [3, 4]];
      const build = (x: Sym, y: Sym) => ops.matmul(x, y, { transposeA, transposeB });
      return [
        { shapes: [a, b], build },
        {
          shapes: [
            [2, ...a],
            [2, ...b],
          ],
          build,
        },
        { shapes: [[2, ...a], b], build },
        { shapes: [a, [2, ...b]], build },
      ];
    }),
  ),
  sin: [{ shapes: [[2, 3]], build: ops.sin }],
  cos: [{ shapes: [[2, 3]], build: ops.cos }],
  floor: "none",
  cumsum: [
    { shapes: [[2, 3]], build: (x) => ops.cumsum(x) },
    { shapes: [[3, 2]], build: (x) => ops.cumsum(x, { axis: 0, exclusive: true, reverse: true }) },
  ],
  conv2d: windows.map(([window, groups]) => ({
    shapes: [
      [2, 2 * groups, 5, 6],
      [...window.size, 2, 2 * groups],
    ],
    build: (x, kernel) => ops.conv2d(x, kernel, { window, groups }),
  })),
  conv2dInputGradient: windows.map(([window, groups]) => ({
    shapes: [
      [2, 2 * groups, ...slideOver([5, 6], window)],
      [...window.size, 2, 2 * groups],
    ],
    build: (result, kernel) => ops.conv2dInputGradient(result, kernel, { window, groups, inputSize: [5, 6] }),
  })),
  conv2dKernelGradient: windows.map(([window, groups]) => ({
    shapes: [
      [2, 2 * groups, 5, 6],
      [2, 2 * groups, ...slideOver([5, 6], window)],
    ],
    build: (x, result) => ops.conv2dKernelGradient(x, result, { window, groups }),
  })),
  maxPool2d: pools.map((window) => ({ shapes: [[2, 2, 5, 6]], build: (x) => ops.maxPool2d(x, window) })),
  maxPool2dGradient: "none", // not differentiable, which has a test of its own
  avgPool2d: pools.map((window) => ({ shapes: [[2, 2, 5, 6]], build: (x) => ops.avgPool2d(x, window) })),
  avgPool2dGradient: pools.map((window) => ({
    shapes: [[2, 2, ...slideOver([5, 6], window)]],
    build: (gradient) => ops.avgPool2dGradient(gradient, window, [5, 6]),
  })),
} as const;

/** Functions composed of the primitives whose derivative has a corner or a shape to get wrong. */
const composed: readonly (Checked & { readonly title: string })[] = [
  ...(
    ["geluTanh", "silu", "softplus", "logSigmoid", "elu", "selu", "leakyRelu", "hardSigmoid", "logSoftmax"] as const
  ).map((title) => ({ title, shapes: [[2, 3]], build: (x: Sym) => ops[title](x) })),
  { title: "pow", shapes: [[2, 3]], build: (x) => ops.add(ops.pow(x, 3), ops.pow(x, -1.5)), domain: positive },
  { title: "logSumExp", shapes: [[2, 3]], build: (x) => ops.logSumExp(x, { axes: 0 }) },
  { title: "variance", shapes: [[2, 3]], build: (x) => ops.variance(x, { axes: 1 }) },
  { title: "layerNorm", shapes: [[2, 3, 2]], build: (x) => ops.layerNorm(x, { axes: [1, 2], epsilon: 0.1 }) },
  { title: "rmsNorm", shapes: [[2, 3], [3]], build: (x, gamma) => ops.rmsNorm(x, { axes: 1, epsilon: 0.1, gamma }) },
  {
    title: "einsum",
    shapes: [
      [2, 3, 4],
      [4, 2],
    ],
    build: (a, b) => ops.einsum("abc,cd->dba", a, b),
  },
  { title: "repeat", shapes: [[2, 3]], build: (x) => ops.repeat(x, 2, 0) },
  { title: "stack", shapes: [[2], [2]], build: (a, b) => ops.stack([a, b, a], 1) },
  {
    title: "takeAlongAxis",
    shapes: [[2, 3]],
    build: (x) => ops.takeAlongAxis(x, indices(x.graph, [2, 2], [2, 0, 1, 1])),
  },
  { title: "rotaryEmbedding", shapes: [[1, 3, 1, 4]], build: (x) => ops.rotaryEmbedding(x, { base: 10, offset: 1 }) },
  {
    title: "attention",
    shapes: [
      [1, 3, 2, 2],
      [1, 3, 1, 2],
      [1, 3, 1, 2],
    ],
    build: (q, k, v) => ops.attention(q, k, v, { causal: true, softCap: 2 }),
  },
];

describe("gradient()", () => {
  test.each(composed)("agrees with finite differences of $title", async (checked) => {
    await checkGradient(checked);
  });

  const cases = Object.entries(checks).flatMap(([kind, list]) => (list === "none" ? [] : [[kind, list] as const]));
  test.each(cases)("of %s agrees with central differences", async (_, list) => {
    for (const check of list) await checkGradient(check);
  });

  test.each<[string, Checked]>([
    ["gelu", { shapes: [[6]], build: ops.gelu }],
    ["sigmoid", { shapes: [[6]], build: ops.sigmoid }],
    ["softmax", { shapes: [[2, 4]], build: (x) => ops.softmax(x) }],
    ["logSoftmax along the first axis", { shapes: [[3, 2]], build: (x) => ops.logSoftmax(x, 0) }],
    ["mean", { shapes: [[2, 3]], build: (x) => ops.mean(x, { axes: 0 }) }],
    ["min", { shapes: [[4], [4]], build: (a, b) => ops.min(a, ops.mul(b, -1)) }],
    ["abs", { shapes: [[4]], build: ops.abs }],
  ])("of %s agrees with central differences", async (_, check) => {
    await checkGradient(check);
  });

  test("sums over the axes along which operands of any shapes were broadcast", async () => {
    const shapes = fc
      .array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 })
      .chain((shape) => fc.tuple(narrowed(shape), narrowed(shape)));
    const binary = fc.constantFrom(ops.add, ops.sub, ops.mul, ops.div);
    await fc.assert(
      fc.asyncProperty(shapes, binary, async ([a, b], operation) => {
        await checkGradient({ shapes: [a, b], build: operation, domain: positive });
      }),
      { numRuns: 40 },
    );
  });

  test("splits at corners as documented: max to the second operand, reduceMax evenly", async () => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", [2], "float32"), graph.input("b", [2], "float32")];
    const values = float32([2], [1, 0]);
    async function gradients(value: Sym): Promise<number[][]> {
      const found = await evaluate(gradient(ops.sum(value), [a, b]), [
        [a, values],
        [b, values],
      ]);
      return found.map(({ data }) => Array.from(data, Number));
    }
    expect(await gradients(ops.max(a, b))).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect((await gradients(ops.relu(a)))[0]).toEqual([1, 0]);
    expect((await gradients(ops.abs(a)))[0]).toEqual([1, 0]);
    expect((await gradients(ops.reduceMax(ops.concat([a, b]))))[0]).toEqual([0.5, 0]);
  });

  test("is zero where the loss does not depend on a value, and behind stopGradient, comparisons, casts and indices", async () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const other = graph.input("other", [3], "float32");
    const blocked = [
      ops.stopGradient(x),
      ops.cast(ops.greater(x, 0), "float32"),
      ops.cast(ops.cast(x, "int32"), "float32"),
      ops.gather(graph.constant(float32([2], [5, 6])), ops.cast(x, "int32")),
      ops.cast(ops.argmax(x), "float32"),
    ];
    for (const value of blocked) {
      const gradients = gradient(ops.sum(ops.mul(value, 3)), [x, other]);
      const found = await evaluate(gradients, [[x, float32([2], [0.5, 1])]]);
      expect(found.map(({ shape, data }) => [shape, [...data]])).toEqual([
        [[2], [0, 0]],
        [[3], [0, 0, 0]],
      ]);
    }
  });

  test("adds up over every way from a value to the loss, and passes through values it is also asked for", async () => {
    const graph = new Graph();
    const x = graph.input("x", [], "float32");
    const y = ops.mul(x, x);
    const loss = ops.add(ops.mul(y, x), ops.mul(y, 2)); // x^3 + 2 x^2
    const [dx, dy] = gradient(loss, [x, y]);
    const found = await evaluate([dx!, dy!], [[x, float32([], [3])]]);
    expect(found.map(({ data }) => data[0])).toEqual([39, 5]);
  });

  test("can be differentiated again", async () => {
    const graph = new Graph();
    const x = graph.input("x", [], "float32");
    const cube = ops.mul(ops.square(x), x);
    const [first] = gradient(cube, [x]);
    const [second] = gradient(first!, [x]);
    const [third] = gradient(second!, [x]);
    const [atTwo] = await evaluate([second!], [[x, float32([], [2])]]);
    expect(atTwo!.data[0]).toBe(12);
    expect(await elements(third!, [[x, float32([], [2])]])).toEqual([6]);
  });

  test("of convolutions can be taken again; of max pooling it cannot, and says so", async () => {
    const graph = new Graph();
    const x = graph.input("x", [1, 1, 3, 3], "float32");
    const kernel = graph.input("kernel", [2, 2, 1, 1], "float32");
    const window = slide([2, 2]);
    const [first] = gradient(ops.sum(ops.square(ops.conv2d(x, kernel, { window }))), [x]);
    const [second] = gradient(ops.sum(first!), [x]); // 2 times the kernel's own correlation, summed
    const found = await elements(second!, [
      [x, float32([1, 1, 3, 3], spread(9, 1))],
      [kernel, float32([2, 2, 1, 1], [1, 2, 3, 4])],
    ]);
    expect(found).toEqual([20, 60, 40, 80, 200, 120, 60, 140, 80]);

    const [pooled] = gradient(ops.sum(ops.square(ops.maxPool2d(x, window))), [x]);
    expect(() => gradient(ops.sum(pooled!), [x])).toThrow(/maxPool2d can be differentiated once only/);
  });

  test("of max pooling goes to the first of equal elements, once for each window that has it", async () => {
    const x = new Graph().input("x", [1, 1, 2, 3], "float32");
    const [dx] = gradient(ops.sum(ops.maxPool2d(x, slide([2, 2]))), [x]);
    expect(await elements(dx!, [[x, float32([1, 1, 2, 3], [1, 7, 7, 7, 0, 7])]])).toEqual([0, 2, 0, 0, 0, 0]);
  });

  test("of the loss itself is one", async () => {
    const x = new Graph().input("x", [], "float32");
    expect(await elements(gradient(x, [x])[0]!)).toEqual([1]);
  });

  test("does not meet 0 times infinity in sigmoid and softmax of extreme values", async () => {
    const graph = new Graph();
    const x = graph.input("x", [4], "float32");
    for (const value of [ops.sigmoid(x), ops.softmax(x), ops.logSoftmax(x), ops.gelu(x)]) {
      const [dx] = gradient(ops.sum(ops.mul(value, graph.constant(float32([4], [1, 2, 3, 4])))), [x]);
      expect((await elements(dx!, [[x, float32([4], [-500, 500, 0, 80])]])).every(Number.isFinite)).toBe(true);
    }
  });

  test("refuses what has no gradient", () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const i = graph.input("i", [2], "int32");
    expect(() => gradient(x, [x])).toThrow(/Cannot differentiate float32 \[2\]/);
    expect(() => gradient(ops.sum(i), [x])).toThrow(TypeError);
    expect(() => gradient(ops.sum(x), [i])).toThrow(/by int32 \[2\]/);
    expect(() => gradient(ops.sum(x), [new Graph().input("y", [], "float32")])).toThrow(/another graph/);
  });
});

/** The shape with some axes of size 1 and some leading axes missing: it broadcasts to the shape. */
function narrowed(shape: readonly number[]): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.tuple(...shape.map((size) => fc.constantFrom(size, 1))), fc.nat({ max: shape.length }))
    .map(([sizes, missing]) => sizes.slice(missing));
}
