import { describe, expect, test } from "vitest";
import { elementCount, zeros } from "../../src/core/tensor.ts";
import { createReference } from "../../src/trainer/backends/reference.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import { adam, sgd, type Optimizer } from "../../src/trainer/optimizers.ts";
import { float32 } from "./evaluate.ts";

const START = [0.5, -1, 2];
const GRADIENTS = [
  [0.1, -0.2, 3],
  [0.3, 0.4, -1e-3],
  [0, -5, 1],
  [-0.7, 0.01, 1],
  [0.2, 0.2, -2],
];

/** Runs the optimizer's own graph on one parameter, a step for each gradient, and lists the parameter after each. */
async function run(optimizer: Optimizer): Promise<number[][]> {
  const graph = new Graph();
  const shape = [START.length];
  const parameter = graph.input("parameter", shape, "float32");
  const slope = graph.input("gradient", shape, "float32");
  const slots: Record<string, Sym> = {};
  for (const name of optimizer.slots) slots[name] = graph.input(name, shape, "float32");
  const scalars: Record<string, Sym> = {};
  for (const name of Object.keys(optimizer.scalars)) scalars[name] = graph.input(name, [], "float32");
  const advanced = optimizer.advance(scalars);
  const next = optimizer.update({ parameter, gradient: slope, slots, scalars: { ...scalars, ...advanced } });
  const plan = graph.plan({
    name: "step",
    feeds: { gradient: slope },
    state: { parameter, ...slots, ...scalars },
    updates: { parameter: next.parameter, ...next.slots, ...advanced },
    outputs: { parameter: next.parameter },
  });

  const state = new Map([["parameter", float32(shape, START)]]);
  for (const name of optimizer.slots) state.set(name, zeros("float32", shape));
  for (const [name, value] of Object.entries(optimizer.scalars)) state.set(name, float32([], [value]));
  const session = await (await createReference()).open(state);
  const program = await session.compile(plan);
  const steps: number[][] = [];
  for (const values of GRADIENTS) {
    const outputs = await program.run(new Map([["gradient", float32(shape, values)]]));
    steps.push(Array.from(outputs.get("parameter")!.data, Number));
  }
  expect(steps).toHaveLength(GRADIENTS.length);
  expect(elementCount(plan.nodes[plan.outputs.get("parameter")!]!.shape)).toBe(START.length);
  return steps;
}

/** The formulas in plain numbers: one element of a parameter over the steps. */
function steps(next: () => (value: number, gradient: number, step: number) => number): number[][] {
  const columns = START.map((start, i) => {
    const advance = next();
    let value = start;
    return GRADIENTS.map((gradients, step) => (value = advance(value, gradients[i]!, step + 1)));
  });
  return GRADIENTS.map((_, step) => columns.map((column) => column[step]!));
}

function expectClose(found: number[][], wanted: number[][]): void {
  for (const [step, values] of found.entries()) {
    for (const [i, value] of values.entries()) expect(value).toBeCloseTo(wanted[step]![i]!, 5);
  }
}

describe("optimizers follow Keras' formulas over several steps", () => {
  test("sgd", async () => {
    expectClose(
      await run(sgd()),
      steps(() => (value, g) => value - 0.01 * g),
    );
  });

  test("sgd with momentum", async () => {
    const wanted = steps(() => {
      let velocity = 0;
      return (value, g) => value + (velocity = 0.9 * velocity - 0.1 * g);
    });
    expectClose(await run(sgd({ learningRate: 0.1, momentum: 0.9 })), wanted);
  });

  test("sgd with Nesterov's momentum", async () => {
    const wanted = steps(() => {
      let velocity = 0;
      return (value, g) => {
        velocity = 0.8 * velocity - 0.1 * g;
        return value + 0.8 * velocity - 0.1 * g;
      };
    });
    expectClose(await run(sgd({ learningRate: 0.1, momentum: 0.8, nesterov: true })), wanted);
  });

  test.each([
    { options: {}, rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
    {
      options: { learningRate: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 0.01 },
      rate: 0.1,
      beta1: 0.5,
      beta2: 0.9,
      epsilon: 0.01,
    },
  ])("adam with $options", async ({ options, rate, beta1, beta2, epsilon }) => {
    const wanted = steps(() => {
      let m = 0;
      let v = 0;
      return (value, g, step) => {
        const alpha = (rate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step);
        m += (g - m) * (1 - beta1);
        v += (g * g - v) * (1 - beta2);
        return value - (m * alpha) / (Math.sqrt(v) + epsilon);
      };
    });
    expectClose(await run(adam(options)), wanted);
  });

  test("the first step of adam is the learning rate, whatever the gradient's size", async () => {
    const [first] = await run(adam({ learningRate: 0.01 }));
    expect(first![0]).toBeCloseTo(0.5 - 0.01, 5);
    expect(first![1]).toBeCloseTo(-1 + 0.01, 5);
    expect(first![2]).toBeCloseTo(2 - 0.01, 5);
  });
});

describe("optimizers refuse settings out of range", () => {
  test.each<[string, () => Optimizer]>([
    ["a negative learning rate", () => sgd({ learningRate: -1 })],
    ["an infinite learning rate", () => adam({ learningRate: Infinity })],
    ["a momentum above 1", () => sgd({ momentum: 1.1 })],
    ["nesterov without momentum", () => sgd({ nesterov: true })],
    ["a beta of 1", () => adam({ beta1: 1 })],
    ["a beta that is not a number", () => adam({ beta2: NaN })],
    ["an epsilon of 0", () => adam({ epsilon: 0 })],
  ])("%s", (_, make) => {
    expect(make).toThrow(RangeError);
  });
});
