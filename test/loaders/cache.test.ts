// cache: samples kept in memory and in a folder.
import { spawn } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { copySample, emptyFeatures, type Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { FolderStore } from "../../src/loaders/cache-folder.ts";
import { loader, mix, type Loader, type LoaderOptions } from "../../src/loaders/index.ts";
import { cacheStats, folderCache } from "../../src/loaders/sample-cache.ts";
import { decodeSample, encodeSample } from "../../src/loaders/sample-bytes.ts";
import {
  bucketByLength,
  cache,
  filter,
  map,
  randomCrop,
  select,
  type CacheSettings,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { collect, digest } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const RECORDS = 100;
let folder: string;
let spec: string;
let module: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-cache-"));
  spec = writeShards(join(folder, "rows"), [61, 1, 38], 50);
  module = join(folder, "functions.mjs");
  writeFileSync(
    module,
    `import { appendFileSync } from "node:fs";
    export function slow(sample) {
      appendFileSync(${JSON.stringify(join(folder, "made.txt"))}, sample.key + "\\n");
      return sample;
    }
    export function noise(sample, random) {
      const { x } = sample.features;
      const data = x.data.map((value) => value + random.uniform());
      return { ...sample, features: { ...sample.features, x: { ...x, data } } };
    }`,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** How many samples were made since it was asked last. */
function countMade(): number {
  const path = join(folder, "made.txt");
  const made = existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0;
  rmSync(path, { force: true });
  return made;
}

function chain(settings?: CacheSettings): TransformDescription[] {
  const before = [filter({ feature: "y", max: -3 }), map(module, "noise"), map(module, "slow")];
  return [...before, settings ? cache(settings) : select(["ok", "x", "y"]), map(module, "noise")];
}

function open(settings?: CacheSettings, changes: Partial<LoaderOptions> = {}): Promise<Loader> {
  const transforms = chain(settings);
  return loader(spec, { batchSize: 8, workers: 0, shuffle: true, seed: 9, onError: "skip", transforms, ...changes });
}

async function epochs(train: Loader, count: number): Promise<string[]> {
  const hashes: string[] = [];
  for (let epoch = 0; epoch < count; epoch++) hashes.push(digest(await collect(train)));
  return hashes;
}

/** Files of a cache. */
function entryFiles(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".kcache"))
    .sort()
    .map((name) => join(path, name));
}

const KEPT = RECORDS - 3 - 1; // three are filtered out, which is kept too, and one is bad

test("samples as bytes come back bit for bit, or are not encoded", () => {
  const features = Object.assign(emptyFeatures(), {
    x: tensor("float64", [2, 1], Float64Array.of(-0, NaN)),
    n: tensor("int64", [], BigInt64Array.of(-(2n ** 63n))),
    ok: tensor("bool", [3], Uint8Array.of(1, 0, 1)),
    none: tensor("float32", [0, 4], new Float32Array(0)),
    raw: Uint8Array.of(1, 2, 3),
    list: [Uint8Array.of(4), new Uint8Array(0), Uint8Array.of(5, 6)],
    text: "\ud800 ä \0",
    json: { json: { a: [1, null, "b"], __proto__: undefined } as unknown as null },
    __proto__x: "y",
  });
  const sample: Sample = { key: "k/ü", origin: { source: "s", record: 7 }, features };
  const bytes = encodeSample(sample)!;
  const memory = new Uint8Array(bytes.length + 24);
  memory.set(bytes, 24);
  expect(copySample(decodeSample(memory.buffer, 24, bytes.length))).toEqual(
    copySample({ ...sample, features: { ...features, json: { json: { a: [1, null, "b"] } } } }),
  );
  for (const unwritable of [-0, Infinity, NaN]) {
    expect(encodeSample({ ...sample, features: { json: { json: [unwritable] } } })).toBeUndefined();
  }
  for (let end = 4; end < bytes.length - 8; end += 8) {
    expect(() => decodeSample(bytes.buffer, 0, end)).toThrow();
  }
});

test.each([
  ["memory", 0],
  ["memory", 2],
  ["a folder", 0],
  ["a folder", 2],
] as const)(
  "in %s with %d workers each sample is made once, and what comes behind is as ever",
  async (where, workers) => {
    const settings = where === "memory" ? {} : { folder: join(folder, `kept-${workers}`) };
    countMade();
    const plain = await open();
    const [first] = await epochs(plain, 1);
    await plain.close();
    expect(countMade()).toBe(RECORDS - 4);
    const train = await open({ ...settings, ...(where === "memory" && { maxBytes: 2 ** 20 }) }, { workers });
    const hashes = await epochs(train, 3);
    expect(hashes[0]).toBe(first);
    expect(new Set(hashes).size).toBe(3);
    expect(countMade()).toBe(RECORDS - 4);
    const { cache: stats } = train.stats();
    expect(stats).toMatchObject({
      stored: RECORDS - 1,
      damaged: 0,
      isFull: false,
      failures: 0,
      hits: 2 * (RECORDS - 1),
    });
    expect(train.ledger()).toMatchObject({ read: RECORDS, filtered: 3, delivered: KEPT, skipped: { count: 1 } });
    await train.close();
    if (where === "memory") return;
    const again = await open(settings, { workers: 0 });
    expect(await epochs(again, 3)).toEqual(hashes);
    expect(countMade()).toBe(0);
    await again.close();
  },
);

test("what a cache holds behind it depends on neither workers nor a resume", async () => {
  const train = await open({ maxBytes: 2 ** 20 });
  const all = await collect(train);
  const next = await collect(train);
  train.load({ ...train.state(), epoch: 0, samples: 40 });
  expect(digest(await collect(train))).toBe(digest(all.slice(5)));
  train.load({ ...train.state(), epoch: 1, samples: 40 });
  expect(digest(await collect(train))).toBe(digest(next.slice(5)));
  await train.close();
});

test.each(["memory", "folder"])("a %s that is full keeps what it has and makes the others again", async (where) => {
  const path = join(folder, "small");
  const whole = await open();
  const expected = await epochs(whole, 1);
  await whole.close();
  const train = await open({ maxBytes: 8000, ...(where === "folder" && { folder: path }) });
  expect(await epochs(train, 1)).toEqual(expected);
  await epochs(train, 1);
  const stats = train.stats().cache!;
  expect(stats.isFull).toBe(true);
  expect(stats.stored).toBeGreaterThan(5);
  expect(stats.stored).toBeLessThan(RECORDS - 1);
  expect(stats.hits).toBe(stats.stored);
  await train.close();
  if (where === "folder") expect(statSync(entryFiles(path)[0]!).size).toBeLessThanOrEqual(8048);
});

test("whatever byte of a cache file is changed and wherever it is cut, the samples are the same", async () => {
  const settings = { folder: join(folder, "damaged") };
  const few = writeShards(join(folder, "few"), [3]);
  const openFew = (): Promise<Loader> =>
    loader(few, { batchSize: 3, workers: 0, transforms: [map(module, "slow"), cache(settings)] });
  const train = await openFew();
  const expected = await epochs(train, 1);
  await train.close();
  const [file] = entryFiles(settings.folder);
  const whole = readFileSync(file!);
  countMade();
  let remade = 0;
  // All that says what is where, and some of what is there.
  const places = Array.from({ length: whole.length }, (_, at) => at).filter((at) => at < 80 || at % 23 === 0);
  const forms = [
    ...places.map((at) => {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1 << (at % 8);
      return changed;
    }),
    ...places.map((at) => whole.subarray(0, at)),
    Buffer.concat([whole, whole.subarray(48)]),
    Buffer.concat([whole, Buffer.alloc(100)]),
  ];
  for (const form of forms) {
    for (const other of entryFiles(settings.folder)) rmSync(other);
    writeFileSync(file!, form);
    const again = await openFew();
    if (digest(await collect(again)) !== expected[0]) expect(form).toBe("harmless");
    await again.close();
    remade += countMade();
  }
  expect(remade).toBeGreaterThan(places.length);
});

test("damage under a running loader is found, counted and mended", async () => {
  const settings = { folder: join(folder, "mended") };
  const train = await open(settings);
  const [first] = await epochs(train, 1);
  const [file] = entryFiles(settings.folder);
  const bytes = readFileSync(file!);
  bytes[bytes.length - 12]! ^= 4;
  writeFileSync(file!, bytes);
  train.load({ ...train.state(), epoch: 0, samples: 0 });
  expect(await epochs(train, 1)).toEqual([first]);
  expect(train.stats().cache).toMatchObject({ damaged: 1, stored: RECORDS });
  truncateSync(file!, 60);
  train.load({ ...train.state(), epoch: 0, samples: 0 });
  expect(await epochs(train, 1)).toEqual([first]);
  expect(train.stats().cache!.damaged).toBeGreaterThan(50);
  await train.close();
});

test("data, a chain or a module that changed has a cache of its own", async () => {
  const path = join(folder, "keys");
  const data = join(folder, "data.jsonl");
  const code = join(folder, "code.mjs");
  const write = (factor: number): void => {
    writeFileSync(
      code,
      `export default (sample) => ({ ...sample, features: { y: String(sample.features.y.data[0] * BigInt(${factor})) } });`,
    );
  };
  const keysAfter = async (transforms: TransformDescription[]): Promise<number> => {
    const train = await loader(data, {
      batchSize: 2,
      workers: 0,
      transforms: [...transforms, cache({ folder: path })],
    });
    await collect(train);
    await train.close();
    return readdirSync(path).length;
  };
  writeFileSync(data, '{"y": 1}\n{"y": 2}\n');
  write(1);
  expect(await keysAfter([])).toBe(1);
  expect(await keysAfter([filter({ feature: "y", min: 2 })])).toBe(2);
  expect(await keysAfter([map(code)])).toBe(3);
  expect(await keysAfter([map(code)])).toBe(3);
  write(2);
  expect(await keysAfter([map(code)])).toBe(4);
  utimesSync(data, 1, 1);
  expect(await keysAfter([map(code)])).toBe(5);
  writeFileSync(data, '{"y": 1}\n{"y": 2}\n{"y": 3}\n');
  expect(await keysAfter([map(code)])).toBe(6);
});

test("a process that is killed while it writes leaves a cache that others go on with", async () => {
  const settings = { folder: join(folder, "killed") };
  const calm = await open({ maxBytes: 2 ** 20 });
  const expected = await epochs(calm, 2);
  await calm.close();
  const script = `
    import { loader } from ${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)};
    const train = await loader(${JSON.stringify(spec)}, { batchSize: 2, workers: 2, shuffle: true, seed: 9, onError: "skip",
      transforms: ${JSON.stringify(chain(settings))} });
    for (;;) for await (const batch of train) process.stdout.write(batch.size + "\\n");`;
  for (let round = 0; round < 2; round++) {
    const children = [0, 1].map(() => spawn(process.execPath, ["--input-type=module", "-e", script]));
    await Promise.all(
      children.map(async (child, number) => {
        let [lines, errors] = [0, ""];
        child.stderr.on("data", (data: Buffer) => (errors += String(data)));
        child.stdout.on("data", (data: Buffer) => (lines += String(data).split("\n").length - 1));
        while (lines < 5 + 7 * number + 20 * round && child.exitCode === null) await sleep(2);
        child.kill("SIGKILL");
        await new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) resolve();
          else
            child.once("exit", () => {
              resolve();
            });
        });
        expect(errors).toBe("");
      }),
    );
    for (const file of entryFiles(settings.folder)) appendFileSync(file, readFileSync(file).subarray(48, 90)); // torn
    const train = await open(settings);
    expect(train.stats().cache!.bytes).toBeGreaterThan(0);
    expect(await epochs(train, 2)).toEqual(expected);
    expect(train.stats().cache!.hits).toBeGreaterThan(RECORDS);
    await train.close();
  }
});

test("a folder that cannot be written is left with a warning, one that cannot be made is an error", async () => {
  const settings = { folder: join(folder, "readonly") };
  const train = await open(settings);
  const key = readdirSync(settings.folder)[0]!;
  rmSync(join(settings.folder, key), { recursive: true });
  writeFileSync(join(settings.folder, key), "a file in its place");
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  const plain = await open({ maxBytes: 2 ** 20 });
  expect(await epochs(train, 2)).toEqual(await epochs(plain, 2));
  expect(train.stats().cache).toMatchObject({ stored: 0, failures: 1 });
  expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(settings.folder), { code: "KDATA_CACHE" });
  warned.mockRestore();
  await Promise.all([train.close(), plain.close()]);
  await expect(open(settings)).rejects.toMatchObject({ code: "input", at: { source: join(settings.folder, key) } });
});

test.runIf(existsSync("/dev/full"))("where a disk is full, samples are made again, with one warning", () => {
  const kept = { folder: join(folder, "full"), key: "ab".repeat(32), maxBytes: Infinity };
  const path = join(kept.folder, kept.key.slice(0, 32));
  mkdirSync(path, { recursive: true });
  const shared = folderCache(3, kept);
  const stores = [0, 1].map(() => new FolderStore(shared, kept));
  const sample = { key: "k", origin: { source: "s", record: 0 }, features: emptyFeatures() };
  stores[0]!.put(0, sample);
  expect(stores[1]!.find(0)).toEqual(sample);
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  // The store writes where its file was, which is a device without room now.
  const own = readdirSync("/proc/self/fd").find((number) => isLinkTo(number, join(path, "000001.kcache")));
  closeSync(Number(own));
  expect(openSync("/dev/full", "r+")).toBe(Number(own));
  stores[0]!.put(1, sample);
  stores[0]!.put(2, sample);
  expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("ENOSPC"), { code: "KDATA_CACHE" });
  warned.mockRestore();
  expect([0, 1, 2].map((record) => stores[1]!.find(record)?.key)).toEqual(["k", undefined, undefined]);
  expect(cacheStats(shared)).toMatchObject({ stored: 1, failures: 1 });
  for (const store of stores) store.close();

  function isLinkTo(number: string, target: string): boolean {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === target;
    } catch {
      return false; // closed since it was listed
    }
  }
});

test("a mixture keeps the samples of all its sources", async () => {
  const sources = [
    { source: spec, weight: 2, transforms: [map(module, "slow")] },
    { source: join(folder, "rows", "c.*.npy") },
  ];
  const options = { batchSize: 6, workers: 0, shuffle: true, onError: "skip", stop: "all-exhausted" } as const;
  const openMix = (transforms: TransformDescription[]): Promise<Loader> => mix(sources, { ...options, transforms });
  const plain = await openMix([select(["ok", "x", "y"]), map(module, "noise")]);
  const expected = await epochs(plain, 2);
  await plain.close();
  countMade();
  const train = await openMix([cache({ maxBytes: 2 ** 20 }), map(module, "noise")]);
  expect(await epochs(train, 2)).toEqual(expected);
  expect(countMade()).toBe(RECORDS - 1 + 1); // one more was looked at before there was an order
  await train.close();
});

test("bucketByLength behind a cache measures what is kept", async () => {
  countMade();
  const transforms = [map(module, "slow"), cache({ maxBytes: 2 ** 20 }), bucketByLength("x", { window: 3 })];
  const train = await loader(spec, { batchSize: 8, workers: 0, onError: "skip", transforms });
  await epochs(train, 2);
  expect(countMade()).toBe(RECORDS - 1);
  await train.close();
});

test("a cache behind what is random, two of them, and one in a stream are refused", async () => {
  await expect(open(undefined, { transforms: [randomCrop("x", 2), cache()] })).rejects.toThrow(
    "Cannot cache after randomCrop",
  );
  await expect(open(undefined, { transforms: [cache(), cache()] })).rejects.toThrow("Cannot cache twice");
  await expect(loader(spec, { batchSize: 1, stream: true, transforms: [cache()] })).rejects.toThrow(
    "Cannot load stream: cache",
  );
  await expect(mix([{ source: spec, transforms: [cache()] }], { batchSize: 1 })).rejects.toThrow(
    "cache is of all sources",
  );
  expect(() => cache({ maxByte: 1 } as object)).toThrow("maxBytes");
});
