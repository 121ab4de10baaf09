// Every backend against the reference backend, primitive by primitive. training-parity.test.ts has whole training runs.

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { RandomStream, deriveKeyFromName } from "../../../src/core/random.ts";
import { elementCount } from "../../../src/core/tensor.ts";
import type { HostTensor, Session } from "../../../src/trainer/backend.ts";
import type { Graph, Sym } from "../../../src/trainer/graph.ts";
import type { UnaryKind } from "../../../src/trainer/plan.ts";
import { openBackend } from "../../../src/trainer/registry.ts";
import { slideOver, type Pair, type Window } from "../../../src/trainer/windows.ts";
import { openCandidates } from "./candidates.ts";
import { bool, compute, elements, float32, int32 } from "./plans.ts";

/** What float32 kernels may differ by, in units of the result's size: sums are added up in another order. */
const KERNEL_TOLERANCE = 2e-6;
/** What exp, log and tanh may differ by, in units of each result. */
const ELEMENTARY_TOLERANCE = 1e-6;

const elementary = [
  ["exp", -80, 80],
  ["log", 1e-6, 1e-3],
  ["log", 0.5, 0.9999],
  ["log", 1.0001, 20],
  ["tanh", -12, -1e-3],
  ["tanh", 1e-6, 1e-3],
] as const;

interface Case {
  readonly title: string;
  readonly inputs: readonly HostTensor[];
  readonly build: (graph: Graph, syms: Sym[]) => Sym;
}

interface Convolution {
  readonly window: Window;
  readonly groups?: number;
  readonly channels?: number;
  readonly filters?: number;
  readonly input?: Pair;
}

/** Shapes that broadcast, from scalars to rank 4. */
const shapePairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[5], []],
  [[], [2, 3]],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 1, 4, 1],
    [3, 1, 5],
  ],
  [
    [2, 3, 4, 5],
    [2, 3, 4, 5],
  ],
];

const convolutions: readonly Convolution[] = [
  { window: slide([3, 3]) },
  { window: slide([3, 3], { before: [1, 1], after: [1, 1] }), channels: 1, filters: 4 },
  { window: slide([1, 1]), channels: 5, filters: 7 },
  { window: slide([1, 1], { strides: [2, 3] }) },
  { window: slide([3, 3], { strides: [2, 2], before: [0, 0], after: [1, 1] }), input: [8, 8] },
  { window: slide([2, 3], { strides: [3, 2], before: [1, 0], after: [0, 2] }) },
  { window: slide([2, 2], { dilations: [3, 2], before: [2, 1], after: [0, 1] }) },
  { window: slide([3, 2], { strides: [2, 3], dilations: [2, 2], before: [3, 1], after: [2, 2] }) },
  { window: slide([2, 2], { before: [3, 0], after: [0, 2] }) }, // more padding than the window is wide
  { window: slide([5, 5], { before: [2, 2], after: [2, 2] }), channels: 3, filters: 2 },
  { window: slide([3, 3], { before: [1, 1], after: [1, 1] }), groups: 4, channels: 4, filters: 4 },
  { window: slide([3, 3], { strides: [2, 2], before: [1, 1], after: [1, 1] }), groups: 3, channels: 3, filters: 6 },
  { window: slide([2, 1], { dilations: [2, 1], before: [0, 1] }), groups: 2, channels: 6, filters: 4 },
  { window: slide([7, 9]), input: [7, 9] }, // one result
];

const candidates = (await openCandidates()).filter(({ name }) => name !== "reference");
const expectations = await computeAll(cases());

describe.each(candidates)("$name", ({ backend, reason }) => {
  if (backend === undefined) {
    test.skip(`is not here: ${reason}`);
    return;
  }

  // One for all cases: to start a thread takes longer than a hundred of them.
  let session: Session;
  beforeAll(async () => {
    session = await backend.open(new Map());
  });
  afterAll(async () => {
    await session.close();
  });

  test.each(expectations)("agrees on $title", async ({ inputs, build, expected }) => {
    const actual = await runOnce(session, inputs, build);
    expect(actual.dtype).toBe(expected.dtype);
    expect(actual.shape).toEqual(expected.shape);
    if (expected.dtype !== "float32") {
      expect(elements(actual)).toEqual(elements(expected));
      return;
    }
    const bound = KERNEL_TOLERANCE * Math.max(...elements(expected).filter(Number.isFinite).map(Math.abs), 1e-30);
    for (const [place, value] of elements(expected).entries()) {
      const got = Number(actual.data[place]);
      const isNear = Number.isFinite(value) ? Math.abs(got - value) <= bound : Object.is(got, value);
      if (!isNear) expect.fail(`element ${place} is ${got}, the reference has ${value}, within ${bound}`);
    }
  });
});

const present = candidates.flatMap(({ name, backend }) => (backend === undefined ? [] : [{ name, backend }]));

test.each(present)("$name knows exp, log and tanh to the last digits, near 0 as well", async ({ backend }) => {
  const session = await backend.open(new Map());
  for (const [kind, from, to] of elementary) {
    const x = float32(Array.from({ length: 999 }, (_, i) => from + ((to - from) * i) / 999));
    const actual = await runOnce(session, [x], (graph, [a]) => graph.node({ kind }, [a!]));
    const misses = elements(x).map((value, i) => {
      const wanted = Math[kind](value);
      return Math.abs(Number(actual.data[i]) - wanted) / Math.abs(wanted);
    });
    expect(Math.max(...misses.filter((miss) => !Number.isNaN(miss)))).toBeLessThan(ELEMENTARY_TOLERANCE);
  }
  await session.close();
});

/** Computes every case on the reference backend. */
async function computeAll(given: readonly Case[]): Promise<(Case & { readonly expected: HostTensor })[]> {
  const session = await (await openBackend("reference")).open(new Map());
  const computed = [];
  for (const one of given) computed.push({ ...one, expected: await runOnce(session, one.inputs, one.build) });
  await session.close();
  return computed;
}

function cases(): Case[] {
  const wide = random("wide", [7, 33], 3);
  return [
    ...(["neg", "exp", "tanh", "erf", "sin", "cos", "floor"] as const).map((kind) => unary(kind, wide)),
    ...(["log", "sqrt"] as const).map((kind) => unary(kind, positive("positive", [7, 33]))),
    unary("erf", float32([-6, -4, -1, -1e-3, 0, 1e-6, 0.3, 2, 3.9, 5])),
    unary("tanh", float32([-20, -1e-3, 0, 1e-6, 0.4, 12])),
    unary("exp", float32([-100, -87, 0, 88])),
    ...binaryCases(),
    ...comparisonCases(),
    ...choiceCases(),
    ...reductionCases(),
    ...shapeCases(),
    ...indexCases(),
    ...productCases(),
    ...castCases(),
    ...cumsumCases(),
    ...convolutionCases(),
    ...poolingCases(),
  ];
}

function unary(kind: UnaryKind, x: HostTensor): Case {
  return { title: `${kind} of ${shown(x)}`, inputs: [x], build: (graph, [a]) => graph.node({ kind }, [a!]) };
}

function binaryCases(): Case[] {
  const floats = (["add", "sub", "mul", "div", "max"] as const).flatMap((kind) =>
    shapePairs.map(([a, b]) => [kind, random("a", a, 3), random("b", b, 3)] as const),
  );
  const ints = (["add", "sub", "mul", "max"] as const).flatMap((kind) =>
    shapePairs.map(([a, b]) => [kind, whole("a", a), whole("b", b)] as const),
  );
  return [...floats, ...ints].map(([kind, a, b]) => ({
    title: `${kind} of ${shown(a)} and ${shown(b)}`,
    inputs: [a, b],
    build: (graph, [x, y]) => graph.node({ kind }, [x!, y!]),
  }));
}

function comparisonCases(): Case[] {
  return (["equal", "greater", "greaterEqual"] as const).flatMap((relation) =>
    [whole, random].flatMap((make) =>
      shapePairs.map(([left, right]): Case => {
        const [a, b] = [make("left", left, 2), make("right", right, 2)];
        return {
          title: `${relation} of ${shown(a)} and ${shown(b)}`,
          inputs: [a, b],
          build: (graph, [x, y]) => graph.node({ kind: "compare", relation }, [x!, y!]),
        };
      }),
    ),
  );
}

function choiceCases(): Case[] {
  const conditions = [flags([2, 3]), flags([3]), flags([]), flags([2, 1])];
  const values = [
    [random("yes", [2, 3], 1), random("no", [], 1)],
    [whole("yes", [2, 3]), whole("no", [3])],
    [flags([2, 3]), flags([2, 1])],
  ] as const;
  return conditions.flatMap((condition) =>
    values.map(([yes, no]): Case => {
      return {
        title: `where of ${shown(condition)}, ${shown(yes)} and ${shown(no)}`,
        inputs: [condition, yes, no],
        build: (graph, [c, a, b]) => graph.node({ kind: "where" }, [c!, a!, b!]),
      };
    }),
  );
}

function reductionCases(): Case[] {
  const shapes = [
    { shape: [6], axes: [0] },
    { shape: [4, 5], axes: [0] },
    { shape: [4, 5], axes: [1] },
    { shape: [4, 5], axes: [0, 1] },
    { shape: [2, 3, 4, 5], axes: [1, 3] },
    { shape: [2, 3, 4, 5], axes: [0, 1, 2] },
    { shape: [96, 80], axes: [0] }, // large enough for backends that treat column sums on their own
    { shape: [16, 16, 40], axes: [0, 1] },
    { shape: [16, 16, 40], axes: [0] },
  ];
  const reductions = shapes.flatMap(({ shape, axes }) =>
    (["sum", "reduceMax"] as const).flatMap((kind) =>
      [true, false].flatMap((keepDims) =>
        [random("reduced", shape, 2), whole("reduced", shape)].map((x): Case => ({
          title: `${kind} of ${shown(x)} over [${axes.join(", ")}], ${keepDims ? "kept" : "removed"}`,
          inputs: [x],
          build: (graph, [a]) => graph.node({ kind, axes, keepDims }, [a!]),
        })),
      ),
    ),
  );
  const greatest = [
    { x: random("greatest", [3, 7], 2), axis: 1 },
    { x: random("greatest", [3, 7], 2), axis: 0 },
    { x: random("greatest", [2, 3, 4], 2), axis: 1 },
    { x: float32([-3, -1, -1, -2]), axis: 0 },
    { x: int32([5, 7, 7, -9]), axis: 0 },
  ].map(({ x, axis }): Case => {
    return {
      title: `argmax of ${shown(x)} along ${axis}`,
      inputs: [x],
      build: (graph, [a]) => graph.node({ kind: "argmax", axis }, [a!]),
    };
  });
  return [...reductions, ...greatest];
}

function shapeCases(): Case[] {
  return [random("moved", [2, 3, 4], 2), whole("moved", [2, 3, 4]), flags([2, 3, 4])].flatMap((x): Case[] => [
    {
      title: `reshape of ${shown(x)}`,
      inputs: [x],
      build: (g, [a]) => g.node({ kind: "reshape", shape: [6, 4] }, [a!]),
    },
    {
      title: `transpose of ${shown(x)}`,
      inputs: [x],
      build: (g, [a]) => g.node({ kind: "transpose", perm: [2, 0, 1] }, [a!]),
    },
    {
      title: `broadcast of ${shown(x)}`,
      inputs: [x],
      build: (g, [a]) => {
        const thin = g.node({ kind: "slice", starts: [0, 1, 0], ends: [2, 2, 4] }, [a!]);
        return g.node({ kind: "broadcast", shape: [3, 2, 5, 4] }, [thin]);
      },
    },
    {
      title: `slice of ${shown(x)}`,
      inputs: [x],
      build: (g, [a]) => g.node({ kind: "slice", starts: [0, 1, 2], ends: [2, 3, 3] }, [a!]),
    },
    {
      title: `pad of ${shown(x)}`,
      inputs: [x],
      build: (g, [a]) => g.node({ kind: "pad", before: [1, 0, 2], after: [0, 3, 1] }, [a!]),
    },
    {
      title: `concat of ${shown(x)}`,
      inputs: [x, x],
      build: (g, [a, b]) => g.node({ kind: "concat", axis: 1 }, [a!, b!]),
    },
    { title: `stopGradient of ${shown(x)}`, inputs: [x], build: (g, [a]) => g.node({ kind: "stopGradient" }, [a!]) },
    {
      title: `iota beside ${shown(x)}`,
      inputs: [x],
      build: (g) => g.node({ kind: "iota", shape: [2, 3, 4], axis: 1 }, []),
    },
  ]);
}

function indexCases(): Case[] {
  const indices = [int32([2], []), int32([3, 0, 3, 1]), int32([0, 1, 2, 3, 3, 3], [2, 3])];
  const tables = [
    random("table", [4], 2),
    random("table", [4, 5], 2),
    random("table", [4, 2, 3], 2),
    whole("table", [4, 5]),
  ];
  const gathers = [...tables, flags([4, 5])].flatMap((table) =>
    indices.map((at): Case => {
      return {
        title: `gather of ${shown(table)} at ${shown(at)}`,
        inputs: [table, at],
        build: (graph, [t, i]) => graph.node({ kind: "gather" }, [t!, i!]),
      };
    }),
  );
  const scatters = tables.flatMap((table) =>
    indices.map((at): Case => {
      const shape = [...at.shape, ...table.shape.slice(1)];
      const rows = table.dtype === "int32" ? whole("rows", shape) : random("rows", shape, 2);
      return {
        title: `scatterAdd of ${shown(rows)} at ${shown(at)}`,
        inputs: [at, rows],
        build: (graph, [i, r]) => graph.node({ kind: "scatterAdd", rows: 5 }, [i!, r!]),
      };
    }),
  );
  const crowded = int32(Array.from({ length: 4096 }, (_, place) => place % 3));
  const ones = float32(new Float32Array(4096 * 16).fill(1), [4096, 16]);
  return [
    ...gathers,
    ...scatters,
    {
      title: "scatterAdd of thousands of rows to the same three",
      inputs: [crowded, ones],
      build: (graph, [i, r]) => graph.node({ kind: "scatterAdd", rows: 3 }, [i!, r!]),
    },
  ];
}

function productCases(): Case[] {
  return [[], [3], [2, 2]].flatMap((leading) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB): Case => {
        const a = random("left", [...leading, ...(transposeA ? [9, 5] : [5, 9])], 2);
        const b = random("right", [...leading, ...(transposeB ? [4, 9] : [9, 4])], 2);
        return {
          title: `matmul of ${shown(a)}${transposeA ? " transposed" : ""} and ${shown(b)}${transposeB ? " transposed" : ""}`,
          inputs: [a, b],
          build: (graph, [x, y]) => graph.node({ kind: "matmul", transposeA, transposeB }, [x!, y!]),
        };
      }),
    ),
  );
}

function castCases(): Case[] {
  const sources = [float32([-2.7, -0.5, 0, 0.5, 1.999, 300.2]), int32([-3, 0, 7, 256]), bool([true, false])];
  return sources.flatMap((x) =>
    (["float32", "int32", "bool"] as const).map((dtype): Case => {
      return {
        title: `cast of ${shown(x)} to ${dtype}`,
        inputs: [x],
        build: (graph, [a]) => graph.node({ kind: "cast", dtype }, [a!]),
      };
    }),
  );
}

function cumsumCases(): Case[] {
  return [random("summed", [3, 40, 2], 2), whole("summed", [3, 4, 2])].flatMap((x) =>
    [0, 1, 2].flatMap((axis) =>
      [false, true].flatMap((exclusive) =>
        [false, true].map((reverse): Case => {
          return {
            title: `cumsum of ${shown(x)} along ${axis}${exclusive ? ", exclusive" : ""}${reverse ? ", reverse" : ""}`,
            inputs: [x],
            build: (graph, [a]) => graph.node({ kind: "cumsum", axis, exclusive, reverse }, [a!]),
          };
        }),
      ),
    ),
  );
}

function slide(size: Pair, differing: Partial<Window> = {}): Window {
  return { size, strides: [1, 1], dilations: [1, 1], before: [0, 0], after: [0, 0], ...differing };
}

function convolutionCases(): Case[] {
  return convolutions.flatMap(({ window, groups = 1, channels = 2, filters = 3, input = [7, 9] }): Case[] => {
    const x = random("planes", [3, channels, ...input], 1);
    const kernel = random("kernel", [...window.size, channels / groups, filters], 1);
    const result = random("result", [3, filters, ...slideOver(input, window)], 1);
    const where = `${groups} groups of ${shown(x)}, ${JSON.stringify(window)}`;
    return [
      {
        title: `conv2d over ${where}`,
        inputs: [x, kernel],
        build: (graph, [a, b]) => graph.node({ kind: "conv2d", window, groups }, [a!, b!]),
      },
      {
        title: `conv2dInputGradient over ${where}`,
        inputs: [result, kernel],
        build: (graph, [a, b]) =>
          graph.node({ kind: "conv2dInputGradient", window, groups, inputSize: input }, [a!, b!]),
      },
      {
        title: `conv2dKernelGradient over ${where}`,
        inputs: [x, result],
        build: (graph, [a, b]) => graph.node({ kind: "conv2dKernelGradient", window, groups }, [a!, b!]),
      },
    ];
  });
}

function poolingCases(): Case[] {
  const windows = [
    slide([2, 2], { strides: [2, 2] }),
    slide([2, 2], { strides: [2, 2], before: [1, 0], after: [0, 1] }),
    slide([3, 3], { strides: [2, 2], before: [1, 1], after: [1, 1] }),
    slide([3, 2]),
    slide([1, 2], { strides: [3, 4] }),
    slide([7, 9]),
  ];
  return windows.flatMap((window): Case[] => {
    const gradient = random("gradient", [2, 3, ...slideOver([7, 9], window)], 1);
    const tied = float32(elements(random("tied", [2, 3, 7, 9], 2)).map(Math.round), [2, 3, 7, 9]); // many are equal
    return [
      ...[random("planes", [2, 3, 7, 9], 2), tied].flatMap((x, place): Case[] => {
        const where = `${place === 0 ? "distinct" : "equal"} elements, ${JSON.stringify(window)}`;
        return [
          {
            title: `maxPool2d over ${where}`,
            inputs: [x],
            build: (graph, [a]) => graph.node({ kind: "maxPool2d", window }, [a!]),
          },
          {
            title: `maxPool2dGradient over ${where}`,
            inputs: [x, gradient],
            build: (graph, [a, b]) => graph.node({ kind: "maxPool2dGradient", window }, [a!, b!]),
          },
          {
            title: `maxPool2d with its gradient over ${where}`,
            inputs: [x, gradient],
            build: (graph, [a, b]) => {
              const pooled = graph.node({ kind: "maxPool2d", window }, [a!]);
              const product = graph.node({ kind: "mul" }, [pooled, b!]);
              return graph.node({ kind: "maxPool2dGradient", window }, [a!, product]);
            },
          },
        ];
      }),
      {
        title: `avgPool2d over ${JSON.stringify(window)}`,
        inputs: [tied],
        build: (graph, [a]) => graph.node({ kind: "avgPool2d", window }, [a!]),
      },
      {
        title: `avgPool2dGradient over ${JSON.stringify(window)}`,
        inputs: [gradient],
        build: (graph, [a]) => graph.node({ kind: "avgPool2dGradient", window, inputSize: [7, 9] }, [a!]),
      },
    ];
  });
}

async function runOnce(
  session: Session,
  inputs: readonly HostTensor[],
  build: (graph: Graph, syms: Sym[]) => Sym,
): Promise<HostTensor> {
  const feeds = Object.fromEntries(inputs.map((input, place) => [`input${place}`, input]));
  const program = await session.compile(compute(feeds, build));
  const outputs = await program.run(new Map(Object.entries(feeds)));
  return outputs.get("result")!;
}

/** Draws from [-bound, bound). */
function random(name: string, shape: readonly number[], bound: number): HostTensor {
  const stream = new RandomStream(deriveKeyFromName(7, name));
  return float32(
    Array.from({ length: elementCount(shape) }, () => (2 * stream.uniform() - 1) * bound),
    shape,
  );
}

function positive(name: string, shape: readonly number[]): HostTensor {
  return float32(
    elements(random(name, shape, 8)).map((value) => Math.exp(value)),
    shape,
  );
}

/** Draws whole numbers from -9 to 9. */
function whole(name: string, shape: readonly number[]): HostTensor {
  return int32(elements(random(name, shape, 10)).map(Math.trunc), shape);
}

function flags(shape: readonly number[]): HostTensor {
  return bool(
    elements(random("flags", shape, 1)).map((value) => value > 0),
    shape,
  );
}

function shown({ dtype, shape }: HostTensor): string {
  return `${dtype} [${shape.join(", ")}]`;
}
