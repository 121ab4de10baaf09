import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";

import { enginePackages } from "../../../src/trainer/backends/tfjs-engines.ts";
import { createTfjs } from "../../../src/trainer/backends/tfjs.ts";
import { openBackend } from "../../../src/trainer/registry.ts";
import { accumulate, compute, elements, exchange, float32, int32 } from "./plans.ts";

const WASM = "@tensorflow/tfjs-backend-wasm";
const CPU = "@tensorflow/tfjs-backend-cpu";

describe("createTfjs()", () => {
  test("says which engines it passed over and why", async () => {
    const backend = await createTfjs(["@tensorflow/tfjs-node-gpu", WASM]);
    const session = await backend.open(new Map());
    expect(backend.engine).toMatch(/^@tensorflow\/tfjs-backend-wasm \d+\.\d+\.\d+$/);
    expect(session.explain()).toMatchObject({ "passed over": "@tensorflow/tfjs-node-gpu: not installed" });
    const first = await (await createTfjs([WASM])).open(new Map());
    expect(first.explain()).not.toHaveProperty("passed over");
  });

  test("tells what to install when no engine is there", async () => {
    await expect(createTfjs(["@tensorflow/tfjs-node-gpu"])).rejects.toMatchObject({
      code: "package",
      message: expect.stringContaining("@tensorflow/tfjs-node-gpu: not installed") as string,
      hint: expect.stringContaining("npm install @tensorflow/tfjs-core") as string,
    });
  });

  test("tries WebAssembly before plain JavaScript, and native engines before both", () => {
    expect(enginePackages.indexOf(WASM)).toBeLessThan(enginePackages.indexOf(CPU));
    expect(enginePackages.indexOf("@tensorflow/tfjs-node")).toBeLessThan(enginePackages.indexOf(WASM));
  });

  test("leaves no listener for the errors of the whole process behind", async () => {
    const before = [process.listenerCount("uncaughtException"), process.listenerCount("unhandledRejection")];
    await createTfjs();
    expect([process.listenerCount("uncaughtException"), process.listenerCount("unhandledRejection")]).toEqual(before);
  });
});

describe.each([WASM, CPU])("a session on %s", (packageName) => {
  test("holds as many tensors after a hundred steps as after one, and none once it is closed", async () => {
    const backend = await createTfjs([packageName]);
    const before = tf.memory().numTensors;
    const session = await backend.open(new Map([["total", float32([0, 0, 0])]]));
    const program = await session.compile(accumulate());
    const feeds = new Map([["x", float32([1, 2, 3])]]);
    await program.run(feeds);
    const afterOne = tf.memory();
    for (let step = 1; step < 100; step++) await program.run(feeds);
    expect(tf.memory().numTensors).toBe(afterOne.numTensors);
    expect(tf.memory().numBytes).toBe(afterOne.numBytes);
    expect(elements((await session.read()).get("total"))).toEqual([100, 200, 300]);
    await session.close();
    expect(tf.memory().numTensors).toBe(before);
  });

  test("lets go of everything when a run fails", async () => {
    const session = await (await createTfjs([packageName])).open(new Map());
    const inputs = { table: float32([1, 2, 3]), at: int32([0, 9]) };
    const plan = compute(inputs, (graph, [table, at]) =>
      graph.node({ kind: "gather" }, [graph.node({ kind: "exp" }, [table!]), at!]),
    );
    const program = await session.compile(plan);
    const before = tf.memory().numTensors;
    await expect(program.run(new Map(Object.entries(inputs)))).rejects.toMatchObject({ code: "backend" });
    expect(tf.memory().numTensors).toBe(before);
  });

  test("runs on its own engine when somebody sets another for the process", async () => {
    const session = await (await createTfjs([packageName])).open(new Map([["total", float32([0, 0, 0])]]));
    const program = await session.compile(accumulate());
    const feeds = new Map([["x", float32([1, 2, 3])]]);
    await program.run(feeds);
    await createTfjs([packageName === WASM ? CPU : WASM]);
    await program.run(feeds);
    expect(elements((await session.read()).get("total"))).toEqual([2, 4, 6]);
    await session.close();
  });
});

describe("two backends in one process", () => {
  test("take turns without touching each other's state", async () => {
    const [onnx, tfjs] = [await openBackend("onnx"), await openBackend("tfjs")];
    const state = new Map([
      ["a", float32([1, 2])],
      ["b", float32([3, 4])],
      ["count", int32([0], [])],
    ]);
    const sessions = [await onnx.open(state), await tfjs.open(state)];
    const programs = await Promise.all(sessions.map((session) => session.compile(exchange())));
    for (let step = 0; step < 3; step++) await Promise.all(programs.map((program) => program.run(new Map())));
    for (const session of sessions) {
      const held = await session.read();
      expect(elements(held.get("a"))).toEqual([3, 4]);
      expect(elements(held.get("count"))).toEqual([3]);
      await session.close();
    }
  });
});
