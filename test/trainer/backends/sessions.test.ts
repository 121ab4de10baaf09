// What a session promises, on every backend: state that programs share, feeds that may be reused, errors that say where.

import { afterEach, describe, expect, test } from "vitest";

import { copyTensor } from "../../../src/core/tensor.ts";
import type { Backend, HostTensor, Session } from "../../../src/trainer/backend.ts";
import { Graph } from "../../../src/trainer/graph.ts";
import { openCandidates } from "./candidates.ts";
import { accumulate, compute, double, elements, exchange, float32, int32 } from "./plans.ts";

const candidates = await openCandidates();
const badIndex = { name: "KdataError", message: expect.stringMatching(/gather|scatter/i) as string };

describe.each(candidates)("$name", ({ backend, reason }) => {
  if (backend === undefined) {
    test.skip(`is not here: ${reason}`);
    return;
  }
  const sessions: Session[] = [];

  async function open(state: Record<string, HostTensor>): Promise<Session> {
    const session = await (backend as Backend).open(new Map(Object.entries(state)));
    sessions.push(session);
    return session;
  }

  afterEach(async () => {
    for (const session of sessions.splice(0)) await session.close();
  });

  test("names its engine and device", () => {
    expect(backend.engine).not.toBe("");
    expect(backend.device).not.toBe("");
  });

  test("updates state from step to step and hands out old and new values", async () => {
    const session = await open({ total: float32([1, 2, 3]) });
    const program = await session.compile(accumulate());
    await program.run(feed(float32([1, 1, 1])));
    const outputs = await program.run(feed(float32([10, 20, 30])));
    expect(elements(outputs.get("before"))).toEqual([2, 3, 4]);
    expect(elements(outputs.get("after"))).toEqual([12, 23, 34]);
    expect(elements((await session.read(["total"])).get("total"))).toEqual([12, 23, 34]);
  });

  test("shares state between the programs of a session", async () => {
    const session = await open({ total: float32([1, 2, 3]) });
    const [train, predict] = [await session.compile(accumulate()), await session.compile(double())];
    expect(elements((await predict.run(new Map())).get("doubled"))).toEqual([2, 4, 6]);
    for (let step = 1; step <= 3; step++) {
      await train.run(feed(float32([1, 1, 1])));
      const outputs = await predict.run(new Map());
      expect(elements(outputs.get("doubled"))).toEqual([1, 2, 3].map((start) => 2 * (start + step)));
    }
    await session.write(new Map([["total", float32([7, 8, 9])]]));
    expect(elements((await predict.run(new Map())).get("doubled"))).toEqual([14, 16, 18]);
  });

  test("keeps two sessions apart", async () => {
    const [first, second] = [await open({ total: float32([0, 0, 0]) }), await open({ total: float32([5, 5, 5]) })];
    const [one, two] = [await first.compile(accumulate()), await second.compile(accumulate())];
    await one.run(feed(float32([1, 1, 1])));
    await two.run(feed(float32([1, 1, 1])));
    expect(elements((await first.read()).get("total"))).toEqual([1, 1, 1]);
    expect(elements((await second.read()).get("total"))).toEqual([6, 6, 6]);
  });

  test("exchanges two states at once and counts in int32", async () => {
    const session = await open({ a: float32([1, 2]), b: float32([3, 4]), count: int32([0], []) });
    const program = await session.compile(exchange());
    for (let step = 0; step < 3; step++) await program.run(new Map());
    const state = await session.read();
    expect(elements(state.get("a"))).toEqual([3, 4]);
    expect(elements(state.get("b"))).toEqual([1, 2]);
    expect(state.get("count")).toEqual(int32([3], []));
  });

  test("copies: the memory of state, feeds and results is the caller's", async () => {
    const start = float32([1, 1, 1]);
    const session = await open({ total: start });
    const program = await session.compile(accumulate());
    start.data.fill(99);
    const x = float32([1, 2, 3]);
    const outputs = await program.run(feed(x));
    const kept = copyTensor(outputs.get("after")!);
    const read = await session.read();
    x.data.fill(99);
    read.get("total")!.data.fill(99);
    await program.run(feed(float32([1, 1, 1])));
    expect(outputs.get("after")).toEqual(kept);
    outputs.get("after")!.data.fill(99);
    expect(elements((await session.read()).get("total"))).toEqual([3, 4, 5]);
  });

  test("takes feeds out of shared memory, which the next batch overwrites", async () => {
    const session = await open({ total: float32([0, 0, 0]) });
    const program = await session.compile(accumulate());
    const shared = new Float32Array(new SharedArrayBuffer(32), 8, 3);
    for (const value of [1, 2, 3]) {
      shared.fill(value);
      await program.run(feed({ dtype: "float32", shape: [3], data: shared }));
    }
    shared.fill(99);
    expect(elements((await session.read()).get("total"))).toEqual([6, 6, 6]);
  });

  test("takes feeds that are a part of a larger buffer", async () => {
    const session = await open({ total: float32([0, 0, 0]) });
    const program = await session.compile(accumulate());
    const part = Float32Array.of(9, 1, 2, 3, 9).subarray(1, 4);
    const outputs = await program.run(feed({ dtype: "float32", shape: [3], data: part }));
    expect(elements(outputs.get("after"))).toEqual([1, 2, 3]);
  });

  test("refuses a feed that is missing, or of another shape or dtype, and names it", async () => {
    const session = await open({ total: float32([0, 0, 0]) });
    const program = await session.compile(accumulate());
    const refused = { code: "shape", message: expect.stringMatching(/accumulate.*'x'/) as string };
    await expect(program.run(new Map())).rejects.toMatchObject(refused);
    await expect(program.run(feed(float32([1, 2])))).rejects.toMatchObject(refused);
    await expect(program.run(feed(int32([1, 2, 3])))).rejects.toMatchObject(refused);
    expect(elements((await session.read()).get("total"))).toEqual([0, 0, 0]);
  });

  test("refuses state that it does not hold, or of another shape", async () => {
    const session = await open({ total: float32([0, 0, 0]) });
    await expect(session.compile(accumulate([4]))).rejects.toMatchObject({ code: "state" });
    await expect(session.compile(exchange())).rejects.toMatchObject({ code: "state" });
    await expect(session.read(["nothing"])).rejects.toMatchObject({ code: "state" });
    const wrong = new Map([["total", float32([1, 2])]]);
    await expect(session.write(wrong)).rejects.toMatchObject({ code: "state" });
    await expect(session.write(new Map([["nothing", float32([1])]]))).rejects.toMatchObject({ code: "state" });
  });

  test("refuses an unknown knob", async () => {
    await expect(backend.open(new Map(), { treads: 2 })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("treads") as string,
    });
  });

  test.each([3, -1])("refuses to gather row %i of three and names the operation", async (row) => {
    const session = await open({});
    const feeds = { table: float32([1, 2, 3]), at: int32([0, row]) };
    const program = await session.compile(
      compute(feeds, (graph, [table, at]) => graph.node({ kind: "gather" }, [table!, at!])),
    );
    await expect(program.run(new Map(Object.entries(feeds)))).rejects.toMatchObject(badIndex);
  });

  test.each([3, -1])("refuses to add to row %i of three and names the operation", async (row) => {
    const session = await open({});
    const feeds = { at: int32([0, row]), rows: float32([1, 2]) };
    const program = await session.compile(
      compute(feeds, (graph, [at, rows]) => graph.node({ kind: "scatterAdd", rows: 3 }, [at!, rows!])),
    );
    await expect(program.run(new Map(Object.entries(feeds)))).rejects.toMatchObject(badIndex);
  });

  test("leaves the state as it was when a run fails", async () => {
    const session = await open({ total: float32([1, 2, 3]) });
    const graph = new Graph();
    const at = graph.input("at", [3], "int32");
    const total = graph.input("total", [3], "float32");
    const next = graph.node({ kind: "add" }, [total, graph.node({ kind: "gather" }, [total, at])]);
    const program = await session.compile(
      graph.plan({ name: "train", feeds: { at }, state: { total }, updates: { total: next }, outputs: { next } }),
    );
    await expect(program.run(new Map([["at", int32([0, 1, 7])]]))).rejects.toMatchObject(badIndex);
    expect(elements((await session.read()).get("total"))).toEqual([1, 2, 3]);
    const outputs = await program.run(new Map([["at", int32([0, 0, 0])]]));
    expect(elements(outputs.get("next"))).toEqual([2, 3, 4]);
  });

  test("closes twice without harm, and its programs with it", async () => {
    const session = await open({ total: float32([0, 0, 0]) });
    const program = await session.compile(accumulate());
    await session.close();
    await session.close();
    await expect(program.run(feed(float32([1, 1, 1])))).rejects.toThrow("closed");
  });
});

function feed(x: HostTensor): Map<string, HostTensor> {
  return new Map([["x", x]]);
}
