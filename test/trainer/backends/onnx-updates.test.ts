// The end of a step as loops over the state: what is split off a plan, and that the state comes out to the bit as on the reference backend.

import { describe, expect, test } from "vitest";

import type { HostTensor } from "../../../src/trainer/backend.ts";
import { Graph, type Sym } from "../../../src/trainer/graph.ts";
import * as layers from "../../../src/trainer/layers.ts";
import * as losses from "../../../src/trainer/losses.ts";
import * as ops from "../../../src/trainer/ops.ts";
import * as optimizers from "../../../src/trainer/optimizers.ts";
import { splitUpdates } from "../../../src/trainer/backends/onnx-updates.ts";
import type { Plan } from "../../../src/trainer/plan.ts";
import { openBackend } from "../../../src/trainer/registry.ts";
import { planTraining } from "../../../src/trainer/train-step.ts";
import { elements, float32 } from "./plans.ts";

type Values = Record<"w" | "v", Sym>;

/** A step that feeds `g` and `rate` and replaces `w` and `v`, of so many elements. */
function planOf(size: number, next: (now: Values, g: Sym, rate: Sym) => Partial<Values>): Plan {
  const graph = new Graph();
  const [g, rate] = [graph.input("g", [size], "float32"), graph.input("rate", [], "float32")];
  const state = { w: graph.input("w", [size], "float32"), v: graph.input("v", [size], "float32") };
  const outputs = { norm: ops.sum(ops.mul(state.w, state.w)) };
  return graph.plan({ name: "step", feeds: { g, rate }, state, updates: { ...next(state, g, rate) }, outputs });
}

function momentum({ w, v }: Values, g: Sym, rate: Sym): Values {
  const moved = ops.add(v, ops.mul(ops.sub(ops.square(g), v), 0.25));
  return { v: moved, w: ops.sub(w, ops.div(ops.mul(rate, g), ops.add(ops.sqrt(moved), 1e-3))) };
}

function values(size: number, from: number): HostTensor {
  return float32(Array.from({ length: size }, (_, i) => Math.fround(from + i / 7)));
}

/** What the state is and what was handed out after some steps of each plan in turn. */
async function train(name: string, plans: readonly Plan[], size: number): Promise<number[][]> {
  const backend = await openBackend(name);
  const session = await backend.open(
    new Map([
      ["w", values(size, 1)],
      ["v", values(size, 0.5)],
    ]),
  );
  const handedOut: number[] = [];
  const programs = [];
  for (const plan of plans) programs.push(await session.compile(plan));
  for (let step = 0; step < 3; step++) {
    for (const program of programs) {
      const feeds = new Map([
        ["g", values(size, step - 1)],
        ["rate", { dtype: "float32", shape: [], data: Float32Array.of(0.1) } satisfies HostTensor],
      ]);
      for (const output of (await program.run(feeds)).values()) handedOut.push(...elements(output));
    }
    if (step === 0) await session.write(new Map([["v", values(size, 0.125)]]));
  }
  const state = await session.read(["w", "v"]);
  await session.close();
  return [...[...state.values()].map((tensor) => elements(tensor)), handedOut];
}

describe("splitUpdates()", () => {
  test("leaves the gradients to the model and takes the optimizer's state from it", () => {
    const model = layers.sequential([layers.dense(8, { activation: "relu" }), layers.dense(4)]);
    const recipe = {
      model,
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      metrics: [],
      optimizer: optimizers.adam(),
    };
    const { plan } = planTraining(recipe, { shape: [4, 6], dtype: "float32" }, { shape: [4], dtype: "int32" });
    const { plan: rest, loops } = splitUpdates(plan);
    expect(loops.map(({ elements: count }) => count).sort((a, b) => a - b)).toEqual([4, 8, 32, 48]);
    expect([...rest.state.keys()].filter((name) => /[/](m|v)$|[/](m|v)[/]/.test(name))).toEqual([]);
    for (const loop of loops) {
      expect(loop.results.size).toBe(3);
      expect(loop.tensors.filter((tensor) => "output" in tensor)).toHaveLength(1);
    }
  });

  test("leaves alone what needs more than its own element", () => {
    const mixed = planOf(6, ({ w, v }, g) => ({ w: ops.mul(w, ops.sum(ops.add(v, g))) }));
    expect(splitUpdates(mixed).loops.flatMap(({ tensors }) => tensors)).not.toContainEqual({ state: "v" });
    const turned = planOf(6, ({ w }, g) => ({ v: ops.add(w, g) })); // would read w, which no loop replaces
    expect(splitUpdates(turned)).toEqual({ plan: turned, loops: [] });
    const exchanged = planOf(6, ({ w, v }, g) => ({ w: ops.add(v, g), v: ops.neg(w) })); // two loops, each for the other's state
    expect(splitUpdates(exchanged)).toEqual({ plan: exchanged, loops: [] });
  });

  test("hands over one gradient, not the parts that it is the sum of", () => {
    const plan = planOf(6, ({ w, v }, g, rate) => {
      const gradient = ops.add(ops.neg(ops.exp(g)), ops.tanh(g));
      return { w: ops.sub(w, ops.mul(gradient, rate)), v: ops.add(v, gradient) };
    });
    const { loops } = splitUpdates(plan);
    expect(loops).toHaveLength(1);
    expect(loops[0]?.tensors.filter((tensor) => "output" in tensor)).toHaveLength(1);
  });
});

describe("onnx", () => {
  test.each([2, 3, 4, 5, 64, 1001])("updates %i elements to the bit as the reference backend does", async (size) => {
    const plan = planOf(size, momentum);
    expect(splitUpdates(plan).loops).toHaveLength(1);
    const [w, v] = await train("onnx", [plan], size);
    const [expectedW, expectedV] = await train("reference", [plan], size);
    expect(w).toEqual(expectedW);
    expect(v).toEqual(expectedV);
  });

  test("reads all state before it replaces any", async () => {
    const plan = planOf(5, ({ w, v }, g) => ({ w: ops.add(ops.sub(v, w), g), v: ops.neg(w) }));
    expect(splitUpdates(plan).loops).toHaveLength(1);
    expect((await train("onnx", [plan], 5)).slice(0, 2)).toEqual((await train("reference", [plan], 5)).slice(0, 2));
  });

  test("shares the state between loops, programs that came later, and programs without loops", async () => {
    const whole = planOf(20_000, ({ w }, g, rate) => ({ w: ops.where(ops.greater(g, rate), w, ops.neg(w)) }));
    expect(splitUpdates(whole).loops).toHaveLength(0);
    const plans = [planOf(20_000, ({ w }, g) => ({ w: ops.sub(w, g) })), whole, planOf(20_000, momentum)];
    expect((await train("onnx", plans, 20_000)).slice(0, 2)).toEqual(
      (await train("reference", plans, 20_000)).slice(0, 2),
    );
  });
});
