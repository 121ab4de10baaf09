import { beforeAll, describe, expect, test } from "vitest";
import type { Backend, HostTensor, Session } from "../../src/trainer/backend.ts";
import { createReference } from "../../src/trainer/backends/reference.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import type { Plan } from "../../src/trainer/plan.ts";
import * as optimizers from "../../src/trainer/optimizers.ts";
import type { Optimizer, ParameterSpec, ParameterStep } from "../../src/trainer/optimizers/optimizer.ts";
import { openCandidates, type Candidate } from "./backends/candidates.ts";
import { elements, float32, int32 } from "./evaluate.ts";
import { expectNear, readCases } from "./keras-cases.ts";

interface Case {
  readonly optimizer: "sgd";
  readonly options: Record<string, unknown>;
  readonly start: readonly number[][];
  readonly gradients: readonly (number | string)[][][];
  readonly steps: readonly number[][][];
  readonly schedule?: { readonly name: "cosineDecay"; readonly options: object };
  readonly averages?: readonly number[][][];
  readonly rates?: readonly number[];
  readonly scales?: readonly number[];
}

const parameters: readonly ParameterSpec[] = [
  { path: "dense/kernel", shape: [4, 3] },
  { path: "dense/bias", shape: [3] },
  { path: "embedding/table", shape: [3, 2] },
  { path: "tall/kernel", shape: [2, 3, 2] },
];

const cases = readCases<Case>("optimizers");

function optimizerOf({ optimizer, options, schedule }: Case): Optimizer {
  const scheduled = schedule && { learningRate: makeSchedule(schedule.name, schedule.options) };
  return optimizers[optimizer]({ ...options, ...scheduled });
}

function makeSchedule(name: "cosineDecay", options: object): optimizers.Schedule {
  return optimizers[name](options as Parameters<typeof optimizers.cosineDecay>[0]);
}

/** Plans one step of an optimizer that is fed its gradients, and the state it starts from. */
function planStep(
  optimizer: Optimizer,
  specs: readonly ParameterSpec[],
  start: readonly (readonly number[])[],
): { plan: Plan; state: Map<string, HostTensor> } {
  const graph = new Graph();
  const state = new Map<string, HostTensor>();
  const held: Record<string, Sym> = {};
  const feeds: Record<string, Sym> = {};
  function keep(name: string, value: HostTensor): Sym {
    state.set(name, value);
    return (held[name] = graph.input(name, value.shape, value.dtype));
  }
  const steps = specs.map(({ path, shape }, i): ParameterStep => {
    const slots = Object.entries(optimizer.slots({ path, shape })).map(([name, slot]) => {
      const size = slot.shape.reduce((a, b) => a * b, 1);
      return [name, keep(`${name}/${path}`, float32(slot.shape, new Float32Array(size).fill(slot.initial)))] as const;
    });
    feeds[`gradient/${path}`] = graph.input(`gradient/${path}`, shape, "float32");
    const parameter = keep(path, float32(shape, start[i]!));
    return { path, shape, parameter, gradient: feeds[`gradient/${path}`]!, slots: Object.fromEntries(slots) };
  });
  const scalars = Object.entries(optimizer.scalars).map(([name, { dtype, initial }]) => {
    return [name, keep(name, dtype === "int32" ? int32([], [initial]) : float32([], [initial]))] as const;
  });
  const next = optimizer.update(steps, Object.fromEntries(scalars));
  const updates: Record<string, Sym> = { ...next.scalars };
  for (const [i, { parameter, slots }] of next.parameters.entries()) {
    const { path } = specs[i]!;
    updates[path] = parameter;
    for (const [name, slot] of Object.entries(slots)) updates[`${name}/${path}`] = slot;
  }
  return { plan: graph.plan({ name: "step", feeds, state: held, updates, outputs: {} }), state };
}

/** Runs a case on a backend and gives the state after each step. */
async function replay(backend: Backend, given: Case): Promise<Map<string, HostTensor>[]> {
  const { plan, state } = planStep(optimizerOf(given), parameters, given.start);
  const session = await backend.open(state);
  const program = await session.compile(plan);
  const states: Map<string, HostTensor>[] = [];
  for (const gradients of given.gradients) {
    const feeds = parameters.map(
      ({ path, shape }, i) => [`gradient/${path}`, float32(shape, gradients[i]!.map(Number))] as const,
    );
    await program.run(new Map(feeds));
    states.push(await session.read());
  }
  await session.close();
  return states;
}

function expectSteps(states: readonly Map<string, HostTensor>[], given: Case): void {
  const share = given.optimizer === ("muon" as string) ? 5e-5 : 1e-5; // five products of matrices on end round more
  for (const [step, state] of states.entries()) {
    for (const [i, { path }] of parameters.entries()) {
      expectNear(state.get(path)!.data, given.steps[step]![i]!, share);
      const average = given.averages?.[step]?.[i];
      if (average) expectNear(state.get(`average/${path}`)!.data, average, share);
    }
    if (given.rates) expect(state.get("learningRate")!.data[0]).toBeCloseTo(given.rates[step]!, 6);
    if (given.scales) expect(state.get("lossScale")!.data[0]).toBe(given.scales[step]);
  }
}

describe("optimizers give Keras' parameters at each of eight steps", () => {
  test.each(cases.map((given) => ({ ...given, title: JSON.stringify(given.schedule ?? given.options) })))(
    "$optimizer with $title",
    async (given) => {
      expectSteps(await replay(await createReference(), given), given);
    },
  );
});

describe("every backend gives the same", () => {
  let candidates: Candidate[] = [];
  beforeAll(async () => {
    candidates = await openCandidates();
  });

  test.each(
    cases.filter(({ optimizer }, i) => cases.findIndex((other) => (other.optimizer as string) === optimizer) === i),
  )("$optimizer", async (given) => {
    for (const { backend } of candidates) if (backend) expectSteps(await replay(backend, given), given);
  });

  test("accumulation, averages and a dynamic loss scale", async () => {
    const wanted = cases.filter(
      ({ averages, scales, options }) => averages ?? scales ?? options["gradientAccumulationSteps"],
    );
    expect(wanted.length).toBeGreaterThan(3);
    for (const given of wanted) {
      for (const { backend } of candidates) if (backend) expectSteps(await replay(backend, given), given);
    }
  });
});

describe("schedules give Keras' learning rates", () => {
  const schedules = readCases<{ schedule: "cosineDecay"; options: object; steps: number[]; rates: number[] }>(
    "schedules",
  );
  test.each(schedules.map((given) => ({ ...given, title: JSON.stringify(given.options) })))(
    "$schedule with $title",
    async ({ schedule, options, steps, rates }) => {
      const made = makeSchedule(schedule, options);
      expect(made.initial).toBeCloseTo(rates[0]!, 7);
      for (const [i, step] of steps.entries()) {
        const [rate] = await elements(made.build(new Graph().constant(step, "int32")));
        expect(rate, `step ${step}`).toBeCloseTo(rates[i]!, 6);
      }
    },
  );

  test("a cosine by its peak is one with a warm-up from 0, and the end stays", async () => {
    const made = optimizers.cosineDecay({ peak: 0.4, warmupSteps: 4, steps: 12, alpha: 0.5 });
    const rates = [0, 2, 4, 8, 12, 100].map((step) => elements(made.build(new Graph().constant(step, "int32"))));
    const found = (await Promise.all(rates)).flat();
    for (const [i, rate] of [0, 0.2, 0.4, 0.3, 0.2, 0.2].entries()) expect(found[i]).toBeCloseTo(rate, 6);
  });

  test("restarts are where the sums of the periods say, far beyond what float32 counts", async () => {
    const made = optimizers.cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 1000, tMul: 2 });
    const start = 1000 * (2 ** 15 - 1); // above 2^24
    const [rate] = await elements(made.build(new Graph().constant(start, "int32")));
    expect(rate).toBeCloseTo(1, 6);
  });
});

describe("optimizer state", () => {
  const one: ParameterSpec = { path: "w", shape: [2] };

  async function opened(optimizer: Optimizer): Promise<{ session: Session; step: (g: number[]) => Promise<void> }> {
    const { plan, state } = planStep(optimizer, [one], [[1, 1]]);
    const session = await (await createReference()).open(state);
    const program = await session.compile(plan);
    return {
      session,
      step: async (g) => {
        await program.run(new Map([["gradient/w", float32([2], g)]]));
      },
    };
  }

  test("counts steps beyond 2^24 one by one", async () => {
    const { session, step } = await opened(optimizers.adam());
    await session.write(new Map([["steps", int32([], [2 ** 24])]]));
    for (let i = 0; i < 3; i++) await step([1, 1]);
    expect((await session.read()).get("steps")).toMatchObject({ dtype: "int32", data: Int32Array.of(2 ** 24 + 3) });
  });

  test("a dynamic loss scale leaves everything as it was where a gradient is not finite, and halves", async () => {
    const { session, step } = await opened(
      optimizers.adam({ lossScale: "dynamic", gradientAccumulationSteps: 2, useEma: true }),
    );
    await step([1, 2]);
    const before = await session.read();
    await step([NaN, 1]);
    const after = await session.read();
    for (const [name, { data }] of before) {
      if (name === "lossScale") expect(after.get(name)!.data[0]).toBe(data[0]! / 2);
      else if (name !== "finiteSteps") expect(after.get(name)!.data, name).toEqual(data);
    }
    expect(after.get("finiteSteps")!.data[0]).toBe(0);
  });

  test("adafactor keeps rows and columns of a matrix, not the matrix", () => {
    expect(optimizers.adafactor().slots({ path: "w", shape: [5, 7, 3] })).toEqual({
      r: { shape: [5, 7], initial: 0 },
      c: { shape: [5, 3], initial: 0 },
    });
  });
});

describe("optimizers refuse settings out of range", () => {
  test.each<[string, () => unknown]>([
    ["a negative learning rate", () => optimizers.sgd({ learningRate: -1 })],
    ["an infinite learning rate", () => optimizers.adam({ learningRate: Infinity })],
    ["a momentum above 1", () => optimizers.sgd({ momentum: 1.1 })],
    ["nesterov without momentum", () => optimizers.sgd({ nesterov: true })],
    ["a beta of 1", () => optimizers.adam({ beta1: 1 })],
    ["a beta that is not a number", () => optimizers.adam({ beta2: NaN })],
    ["an epsilon of 0", () => optimizers.lamb({ epsilon: 0 })],
    ["two ways of clipping", () => optimizers.lion({ clipNorm: 1, clipValue: 1 })],
    ["half a step of accumulation", () => optimizers.rmsprop({ gradientAccumulationSteps: 1.5 })],
    ["a decay over no steps", () => optimizers.cosineDecay({ initialLearningRate: 1, decaySteps: 0 })],
    ["a warm-up as long as all steps", () => optimizers.cosineDecay({ peak: 1, steps: 5, warmupSteps: 5 })],
    [
      "boundaries that do not ascend",
      () => optimizers.piecewiseConstantDecay({ boundaries: [3, 3], values: [1, 2, 3] }),
    ],
  ])("%s", (_, make) => {
    expect(make).toThrow(RangeError);
  });

  test("and options that do not exist, with the nearest one", () => {
    const options = { weightdecay: 0.1 };
    expect(() => optimizers.adamW(options as object)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'weightDecay'?" }),
    );
  });
});
