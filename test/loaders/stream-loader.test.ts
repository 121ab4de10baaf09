import { execFileSync } from "node:child_process";
import { createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import type { Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { loader, type StreamLoader, type StreamOptions, type StreamState } from "../../src/loaders/index.ts";
import { drawFromBuffer } from "../../src/loaders/shuffle-buffer.ts";
import { deriveKey, RandomStream } from "../../src/core/random.ts";
import { streamSource } from "../../src/readers/index.ts";
import { cast, reshape, select } from "../../src/transforms/index.ts";
import { collect, digest, keysOf, openFiles } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const COUNTS = [13, 1, 23]; // 37 lines, a prime
const RECORDS = 37;

let folder: string;
let spec: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-stream-"));
  mkdirSync(join(folder, "lines"));
  let first = 0;
  for (const [shard, count] of COUNTS.entries()) {
    const text = Array.from({ length: count }, (_, n) => `{"n": ${first + n}, "v": [${n}, 0.5]}\n`).join("");
    writeFileSync(join(folder, "lines", `${"abc"[shard]}.jsonl.gz`), gzipSync(text));
    first += count;
  }
  spec = join(folder, "lines", "*.jsonl.gz");
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function open(options: Partial<StreamOptions> = {}, from = spec): Promise<StreamLoader> {
  return loader(from, { batchSize: 4, ...options, stream: true });
}

async function* numbers(count: number): AsyncGenerator<Sample> {
  for (let n = 0; n < count; n++) {
    yield await Promise.resolve({
      key: `n${n}`,
      origin: { source: "numbers", record: n },
      features: { n: tensor("int32", [], Int32Array.of(n)) },
    });
  }
}

/** An iterable that begins again. */
function again(count: number): AsyncIterable<Sample> {
  return { [Symbol.asyncIterator]: () => numbers(count) };
}

/** The number of a line by its key. */
function numberOf(key: string): number {
  return Number(key.split("/")[1]);
}

/** The keys of all ranks in the order of the global batches. */
async function onRanks(worldSize: number, options: Partial<StreamOptions>): Promise<string[]> {
  const ranks: Batch[][] = [];
  for (let rank = 0; rank < worldSize; rank++) ranks.push(await collect(await open({ ...options, rank, worldSize })));
  expect(new Set(ranks.map((batches) => batches.length)).size).toBe(1);
  return ranks[0]!.flatMap((_, step) => keysOf(ranks.map((batches) => batches[step]!)));
}

describe("loader() with stream", () => {
  test("gives the batches that random access gives, without shuffle", async () => {
    const seeking = await loader(spec, { batchSize: 4, workers: 0, transforms: [cast("n", "float32")] });
    const streaming = await open({ transforms: [cast("n", "float32")] });
    for (let epoch = 0; epoch < 2; epoch++)
      expect(digest(await collect(streaming))).toBe(digest(await collect(seeking)));
    expect(streaming.stats()).toMatchObject({ batches: 20, samples: 2 * RECORDS, passedOver: 0 });
    await seeking.close();
    expect("stepsPerEpoch" in streaming).toBe(false);
  });

  test("shuffles shards and samples, another order in each epoch, the same one again from the seed", async () => {
    const stored = keysOf(await collect(await open()));
    const [one, two] = [await open({ shuffle: true, seed: 3 }), await open({ shuffle: true, seed: 3, bufferSize: 8 })];
    const orders: string[][] = [];
    for (const train of [one, two]) for (let epoch = 0; epoch < 3; epoch++) orders.push(keysOf(await collect(train)));
    expect(new Set(orders.map((keys) => keys.join())).size).toBe(6);
    for (const keys of orders) expect([...keys].sort()).toEqual([...stored].sort());
    expect(keysOf(await collect(await open({ shuffle: true, seed: 3 })))).toEqual(orders[0]);
    // A buffer of one only changes the order of the shards.
    const train = await open({ shuffle: true, seed: 1, bufferSize: 1 });
    const shards = keysOf(await collect(train)).map((key) => key[0]);
    expect(shards.filter((shard, i) => shard !== shards[i - 1]).length).toBe(3);
  });

  test.each([1, 2, 3, 5, 8])("divides the order of one process over %d ranks", async (worldSize) => {
    for (const options of [{}, { shuffle: true, bufferSize: 9, batchSize: 3 }]) {
      const one = keysOf(await collect(await open(options)));
      expect(await onRanks(worldSize, options)).toEqual(one);
    }
  });

  test("deals with the remainder when the stream ends, as every loader does", async () => {
    for (const remainder of ["drop", "pad", "short"] as const) {
      for (const count of [1, 2, 7, 8, 9, 16]) {
        for (const worldSize of [1, 2, 3]) {
          const options = { batchSize: 3, remainder, worldSize };
          const path = join(folder, `count-${count}.jsonl`);
          writeFileSync(path, Array.from({ length: count }, (_, n) => `{"n": ${n}}\n`).join(""));
          for (let rank = 0; rank < worldSize; rank++) {
            const seeking = await loader(path, { ...options, rank, workers: 0 });
            expect(digest(await collect(await open({ ...options, rank }, path)))).toBe(digest(await collect(seeking)));
            await seeking.close();
          }
        }
      }
    }
  });

  test("goes on from every cut by counting, with another batch size and other ranks", async () => {
    const options = { shuffle: true, seed: 5, bufferSize: 10 };
    const whole = await open(options);
    const keys = keysOf(await collect(whole));
    const next = keysOf(await collect(whole));
    for (let cut = 0; cut <= 10; cut++) {
      const train = await open(options);
      if (cut > 0) await collect(train, cut);
      const text = JSON.stringify(train.state());
      expect(text.length).toBeLessThan(1024);
      const state = JSON.parse(text) as StreamState;
      const rest = cut === 10 ? next : keys.slice(cut * 4);
      for (const batchSize of [4, 5, 64]) {
        const resumed = await open({ ...options, batchSize, state });
        expect(keysOf(await collect(resumed))).toEqual(rest);
        expect(resumed.epoch).toBe(cut === 10 ? 2 : 1);
        if (cut > 0) expect(resumed.stats().passedOver).toBe(Math.min(RECORDS, cut * 4));
      }
      expect(await onRanks(3, { ...options, batchSize: 2, state })).toEqual(rest);
    }
  });

  test("refuses a state of other shards, another seed or buffer, or of more samples than there are", async () => {
    const state = (await open({ shuffle: true, seed: 5 })).state();
    const refused: [Partial<StreamOptions>, string][] = [
      [{ shuffle: true, seed: 6 }, "seed 5 in the state, 6 here"],
      [{ seed: 5 }, "bufferSize 1024 in the state, 0 here"],
      [{ shuffle: true, seed: 5, state: { ...state, names: "x" } }, "shards were renamed"],
      [{ shuffle: true, seed: 5, state: { ...state, samples: -1 } }, "samples is -1"],
    ];
    for (const [options, message] of refused) {
      await expect(open({ state, ...options })).rejects.toMatchObject({
        code: "state",
        message: expect.stringContaining(message) as string,
      });
    }
    const beyond = await open({ shuffle: true, seed: 5, state: { ...state, samples: 40 } });
    await expect(collect(beyond)).rejects.toMatchObject({
      code: "state",
      message: "Cannot resume loader: the stream ended after 37 samples, 40 were delivered",
    });
  });

  test("ends a stream that is cut with an error, wherever it is cut, never with a short epoch", async () => {
    const whole = readFileSync(join(folder, "lines", "c.jsonl.gz"));
    const path = join(folder, "cut.jsonl.gz");
    for (let length = 20; length < whole.length; length += 3) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      const cut = await open({ format: "jsonl", shuffle: length % 2 === 0, bufferSize: 4 }, path);
      await expect(collect(cut)).rejects.toMatchObject({ name: "KdataError", code: "truncated" });
    }
  });

  test("refuses a format that needs to seek, options it does not know, and numbers out of range", async () => {
    const arrays = writeShards(join(folder, "arrays"), [3]);
    await expect(open({}, arrays)).rejects.toMatchObject({ code: "unsupported" });
    await expect(open({ workers: 2 } as never)).rejects.toMatchObject({ code: "usage" });
    await expect(open({ buffersize: 2 } as never)).rejects.toMatchObject({ hint: "did you mean 'bufferSize'?" });
    for (const options of [{ bufferSize: 0 }, { batchSize: 0 }, { rank: 2, worldSize: 2 }, { seed: -1 }]) {
      await expect(open(options)).rejects.toThrow(RangeError);
    }
    await expect(open({ shuffle: { blockSize: 3 } } as never)).rejects.toThrow(TypeError);
  });

  describe("with bad samples", () => {
    const BAD = [0, 3, 8, 9, 10, 11, 17, 22];
    const transforms = [select(["v"]), reshape("v", [2])];

    /** Lines of two numbers each; the bad ones have three. */
    function writeLines(name: string, count: number, bad: readonly number[]): string {
      const path = join(folder, `${name}.jsonl`);
      const line = (n: number) => JSON.stringify({ v: bad.includes(n) ? [n, n, n] : [n, n] });
      writeFileSync(path, Array.from({ length: count }, (_, n) => `${line(n)}\n`).join(""));
      return path;
    }

    test("leaves them out as random access does, with the same ledger", async () => {
      const path = writeLines("bad", 23, BAD);
      for (const batchSize of [1, 3, 4, 7]) {
        for (const remainder of ["drop", "pad", "short"] as const) {
          const options = { batchSize, remainder, transforms, onError: "skip" } as const;
          const [seeking, streaming] = [await loader(path, { ...options, workers: 0 }), await open(options, path)];
          for (let epoch = 0; epoch < 2; epoch++) {
            expect(digest(await collect(streaming))).toBe(digest(await collect(seeking)));
            expect(streaming.ledger()).toEqual(seeking.ledger());
          }
          const { batches, samples, bytesDelivered } = seeking.stats();
          expect(streaming.stats()).toMatchObject({ batches, samples, bytesDelivered });
          await seeking.close();
        }
      }
    });

    test("throws the first one, or what is one too many; a rate is refused: of what, is not known", async () => {
      const path = writeLines("bad", 23, BAD);
      await expect(collect(await open({ transforms }, path))).rejects.toMatchObject({
        code: "shape",
        at: { record: 0 },
      });
      const few = await open({ transforms, onError: "skip", maxFailures: 2 }, path);
      await expect(collect(few)).rejects.toMatchObject({ code: "shape", at: { record: 8 } });
      expect(keysOf(await collect(await open({ transforms, onError: "skip", maxFailures: 8 }, path))).length).toBe(15);
      await expect(open({ onError: "skip", maxFailures: 0.5 })).rejects.toThrow(RangeError);
      await expect(open({ maxFailures: 2 })).rejects.toMatchObject({ code: "usage" });
    });

    test("gives every rank every step: a padded sample where a rank has none, no step where none has", async () => {
      // Two ranks of two: [0 1 | 2 3] [4 5 | 6 7] [8 9 | 10 11] [12].
      const path = writeLines("ranks", 13, [2, 3, 8, 9, 10, 11]);
      const start = writeLines("start", 13, [0, 2, 3, 8, 9, 10, 11]);
      const deal = async (from: string) => {
        const ranks: [number, string[], number][][] = [];
        for (const rank of [0, 1]) {
          const train = await open({ batchSize: 2, rank, worldSize: 2, transforms, onError: "skip" }, from);
          ranks.push(
            (await collect(train)).map(({ step, keys, padded }) => [step, keys.map(numberOf), padded] as never),
          );
        }
        return ranks;
      };
      expect(await deal(path)).toEqual([
        [
          [0, [0, 1], 0],
          [1, [4, 5], 0],
          [2, [0], 1],
          [3, [12], 0],
        ],
        [
          [0, [0], 1],
          [1, [6, 7], 0],
          [2, [0], 1],
          [3, [0], 1],
        ],
      ]);
      expect(await deal(start)).toEqual([
        [
          [0, [1], 0],
          [1, [4, 5], 0],
          [3, [12], 0],
        ],
        [
          [0, [1], 1],
          [1, [6, 7], 0],
          [3, [12], 1],
        ],
      ]);
    });

    test("ends with what cannot be read: nothing behind it can be found", async () => {
      const path = join(folder, "damaged.jsonl");
      writeFileSync(path, '{"v": [1, 2]}\n{"v": [1,\n{"v": [3, 4]}\n');
      const train = await open({ transforms, onError: "skip", batchSize: 1 }, path);
      await expect(collect(train)).rejects.toMatchObject({ code: "format", at: { record: 1 } });
      expect(train.ledger()).toMatchObject({ read: 1, delivered: 1 });
    });

    test("goes on from a state in a rest that has no good sample, without the next epoch", async () => {
      const path = writeLines("rest", 8, [4, 5, 6, 7]);
      const options = { batchSize: 4, transforms, onError: "skip" } as const;
      const train = await open(options, path);
      await collect(train, 1);
      const resumed = await open({ ...options, state: train.state() }, path);
      expect(await collect(resumed)).toEqual([]);
      expect(resumed.ledger()).toMatchObject({ epoch: 0, read: 4, skipped: { count: 4 } });
      expect((await collect(resumed)).map(({ epoch }) => epoch)).toEqual([1]);
    });
  });

  test("leaves no file open after break, close, the abort signal and an error", async () => {
    const lines = join(folder, "lines");
    const controller = new AbortController();
    const train = await open({ signal: controller.signal });
    await collect(train, 2);
    const iterator = train[Symbol.asyncIterator]();
    await iterator.next();
    controller.abort(new RangeError("enough"));
    await expect(iterator.next()).rejects.toMatchObject({ code: "aborted", cause: new RangeError("enough") });
    const closed = await open();
    const running = closed[Symbol.asyncIterator]();
    await running.next();
    await closed.close();
    await closed.close();
    await expect(running.next()).rejects.toMatchObject({ code: "aborted" });
    await expect(collect(closed)).rejects.toThrow(TypeError);
    if (process.platform === "linux") expect(openFiles(lines)).toEqual([]);
  });

  test("a new iteration and load() end the one before", async () => {
    const train = await open();
    const start = train.state();
    const first = train[Symbol.asyncIterator]();
    await first.next();
    const second = await collect(train, 2);
    expect(second[0]!.epoch).toBe(1);
    expect(await first.next()).toEqual({ done: true, value: undefined });
    train.load(start);
    expect(keysOf(await collect(train)).length).toBe(RECORDS);
  });
});

describe("loader() of an iterable", () => {
  test("gives epochs of one that begins again", async () => {
    const train = await loader(again(10), { batchSize: 3, shuffle: true, bufferSize: 4 });
    const epochs = [keysOf(await collect(train)), keysOf(await collect(train))];
    for (const keys of epochs) expect(new Set(keys).size).toBe(10);
    expect(epochs[0]).not.toEqual(epochs[1]);
  });

  test("refuses a second epoch of one that is over, instead of an empty one", async () => {
    const train = await loader(numbers(5), { batchSize: 3 });
    expect(keysOf(await collect(train))).toEqual(["n0", "n1", "n2", "n3", "n4"]);
    await expect(collect(train)).rejects.toMatchObject({ code: "input" });
  });

  test("copies what the iterable may overwrite", async () => {
    async function* reusing(): AsyncGenerator<Sample> {
      const data = new Int32Array(1);
      for (let n = 0; n < 6; n++) {
        data[0] = n;
        const features = { n: tensor("int32", [], data) };
        yield await Promise.resolve({ key: `n${n}`, origin: { source: "reusing", record: n }, features });
      }
    }
    const [batch] = await collect(await loader(reusing(), { batchSize: 6 }));
    expect(batch!.features["n"]).toMatchObject({ data: Int32Array.of(0, 1, 2, 3, 4, 5) });
  });

  test("tells an error of the iterable, and what is no sample", async () => {
    async function* failing(): AsyncGenerator<Sample> {
      yield* numbers(4);
      throw new RangeError("gone");
    }
    await expect(collect(await loader(failing(), { batchSize: 3 }))).rejects.toThrow(new RangeError("gone"));
    const bytes = createReadStream(join(folder, "lines", "a.jsonl.gz")) as unknown as AsyncIterable<Sample>;
    await expect(collect(await loader(bytes, { batchSize: 3 }))).rejects.toThrow(TypeError);
    await expect(loader(again(3), { batchSize: 3, format: "npy" })).rejects.toMatchObject({ code: "usage" });
  });
});

test("loader() of a stream source reads it once", async () => {
  const file = createReadStream(join(folder, "lines", "a.jsonl.gz"));
  const train = await loader(streamSource("a.jsonl", file), { batchSize: 5 });
  expect((await collect(train)).map(({ size }) => size)).toEqual([5, 5, 3]);
  await expect(collect(train)).rejects.toMatchObject({ code: "input", at: { source: "a.jsonl" } });
});

test("loader('-') reads standard input, and goes on from a state", () => {
  const url = new URL("../../dist/loaders/index.js", import.meta.url).href;
  const script = `
    import { loader } from ${JSON.stringify(url)};
    const state = process.env.STATE ? JSON.parse(process.env.STATE) : undefined;
    const train = await loader("-", { batchSize: 5, shuffle: true, bufferSize: 6, ...(state && { state }) });
    const lines = [];
    for await (const batch of train) lines.push([batch.keys, train.state()]);
    console.log(JSON.stringify(lines));`;
  const input = readFileSync(join(folder, "lines", "c.jsonl.gz"));
  function run(state: string): [string[], StreamState][] {
    const env = { ...process.env, STATE: state };
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      input,
      env,
      timeout: 30_000,
    });
    return JSON.parse(output.toString()) as [string[], StreamState][];
  }
  const all = run("");
  expect(all.map(([keys]) => keys.length)).toEqual([5, 5, 5, 5, 3]);
  const rest = run(JSON.stringify(all[1]![1]));
  expect(rest.map(([keys]) => keys)).toEqual(all.slice(2).map(([keys]) => keys));
});

describe("drawFromBuffer()", () => {
  async function drawn(count: number, size: number, seed: number): Promise<number[]> {
    async function* items(): AsyncGenerator<number> {
      for (let n = 0; n < count; n++) yield await Promise.resolve(n);
    }
    const out: number[] = [];
    for await (const item of drawFromBuffer(items(), size, new RandomStream(deriveKey(seed)))) out.push(item);
    return out;
  }

  test("gives every item once, none more than the buffer's size earlier", async () => {
    for (const count of [0, 1, 5, 40]) {
      for (const size of [1, 2, 7, 100]) {
        const order = await drawn(count, size, 1);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, n) => n));
        for (const [place, item] of order.entries()) expect(item - place).toBeLessThan(size);
        if (size === 1) expect(order).toEqual([...order].sort((a, b) => a - b));
      }
    }
  });

  test("puts each item of a buffer that holds all at each place about equally often", async () => {
    const counts = Array.from({ length: 5 }, () => new Float64Array(5));
    for (let seed = 0; seed < 2000; seed++) {
      for (const [place, item] of (await drawn(5, 5, seed)).entries()) counts[place]![item]!++;
    }
    const chiSquare = counts.flatMap((row) => [...row]).reduce((sum, n) => sum + (n - 400) ** 2 / 400, 0);
    expect(chiSquare).toBeLessThan(16 + 5 * Math.SQRT2 * 4);
  });
});
