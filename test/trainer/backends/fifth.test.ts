// A backend of one's own takes one file and one line; and backends live side by side in one process.

import { describe, expect, test } from "vitest";

import { elementCount } from "../../../src/core/tensor.ts";
import { layers, losses, openBackend, optimizers, registerBackend, Trainer } from "../../../src/trainer/index.ts";
import type { Backend, HostTensor, Session } from "../../../src/trainer/index.ts";
import { backendNames, openForTraining } from "../../../src/trainer/registry.ts";
import { checkFeeds, checkKnobs } from "../../../src/trainer/session-checks.ts";
import { compute } from "../../../src/trainer/backends/reference-kernels.ts";
import { blobs, source } from "../batches.ts";

/** The file of the fifth backend: state in a map, plans by a loop. */
function createFifth(): Promise<Backend> {
  return Promise.resolve({
    name: "fifth",
    engine: "a loop",
    device: "cpu",
    open(initial, knobs = {}): Promise<Session> {
      checkKnobs("fifth", knobs, []);
      const state = new Map(initial);
      return Promise.resolve({
        compile: (plan) =>
          Promise.resolve({
            run: (feeds) => {
              checkFeeds(plan, feeds);
              const values: HostTensor[] = [];
              for (const [name, id] of [...plan.feeds, ...plan.state])
                values[id] = (feeds.get(name) ?? state.get(name))!;
              for (const node of plan.nodes)
                values[node.id] ??= compute(
                  node,
                  node.inputs.map((id) => values[id]!),
                );
              for (const [name, id] of plan.updates) state.set(name, values[id]!);
              return Promise.resolve(new Map(Array.from(plan.outputs, ([name, id]) => [name, values[id]!])));
            },
            explain: () => ({ nodes: plan.nodes.length }),
          }),
        read: (names = [...state.keys()]) => Promise.resolve(new Map(names.map((name) => [name, state.get(name)!]))),
        write: (given) => {
          for (const [name, value] of given) state.set(name, value);
          return Promise.resolve();
        },
        explain: () => ({ engine: "a loop" }),
        close: () => Promise.resolve(),
      });
    },
  });
}
registerBackend("fifth", createFifth); // and its registry line

describe("a backend of one's own", () => {
  test("trains as the reference does", async () => {
    const data = source(blobs(60, 20));
    await using fifth = trainer("fifth");
    await using reference = trainer("reference");
    expect(await fifth.fit(data, { epochs: 2 })).toEqual(await reference.fit(data, { epochs: 2 }));
    expect(await fifth.predict(data)).toEqual(await reference.predict(data));
    expect(fifth.explain()).toEqual({ engine: "a loop" });
  });

  test("is listed where a name is not known, and refused where it is taken", async () => {
    expect((await openBackend("fifth")).engine).toBe("a loop");
    expect((await openForTraining("fifth")).engine).toBe("a loop");
    expect(() => trainer("fith")).toThrow("known: onnx, tfjs, jax, reference, fifth; did you mean fifth?");
    expect(() => {
      registerBackend("onnx", createFifth);
    }).toThrow("Cannot register backend 'onnx': there is one of that name");
  });
});

test("a backend of one's own is closed with the trainer, also before its first step and when a knob is refused", async () => {
  let closed = 0;
  registerBackend("closing", async () => ({
    ...(await createFifth()),
    knobs: { pace: { kind: "count", about: "how fast", default: 1 } },
    close: () => {
      closed++;
      return Promise.resolve();
    },
  }));
  const opened = trainer("closing");
  await opened.backend();
  await opened.close();
  expect(closed).toBe(1);
  await expect(openForTraining("closing", false, { pace: 0 })).rejects.toThrow(/pace/);
  expect(closed).toBe(2);
});

describe("backends in one process", () => {
  test("train side by side, step by step in turn, each as if it were alone", async () => {
    const data = source(blobs(60, 20));
    const alone = await Promise.all(
      backendNames.map(async (name) => {
        await using one = trainer(name);
        return await one.fit(data, { epochs: 3 });
      }),
    );
    const trainers = backendNames.map((name) => trainer(name, false)); // all in this thread
    const together = await Promise.all(trainers.map((one) => one.fit(data, { epochs: 3 })));
    const weights = await Promise.all(trainers.map((one) => one.weights()));
    for (const one of trainers) await one.close();
    expect(together).toEqual(alone);
    for (const own of weights) {
      const kernel = own.get("dense/kernel")!;
      expect(kernel.data).toHaveLength(elementCount(kernel.shape));
      for (const [i, value] of kernel.data.entries()) {
        expect(value).toBeCloseTo(Number(weights.at(-1)!.get("dense/kernel")!.data[i]), 4);
      }
    }
  });

  test("stay usable when another one is closed", async () => {
    const data = source(blobs(20, 20));
    await using onnx = trainer("onnx");
    await onnx.fit(data);
    for (const name of ["tfjs", "jax"]) {
      await using other = trainer(name, false);
      await other.fit(data);
    }
    const history = await onnx.fit(data);
    expect(history["loss"]![0]).toBeLessThan(1);
  });
});

function trainer(backend: string, computeThread?: boolean): Trainer {
  return new Trainer(layers.sequential([layers.dense(8, { activation: "tanh" }), layers.dense(2)]), {
    backend,
    ...(computeThread !== undefined && { computeThread }),
    optimizer: optimizers.adam({ learningRate: 0.01 }),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 4,
  });
}
