import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loader, type LoaderOptions } from "../../src/loaders/index.ts";
import {
  cast,
  cutmix,
  filter,
  map,
  mixup,
  oneHot,
  pack,
  pad,
  padBatch,
  parseJson,
  rename,
  reshape,
  select,
  stack,
  template,
  tokenize,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { collect, digest } from "./epochs.ts";

const ROWS = 53;
const module = new URL("../transforms/user-module.mjs", import.meta.url);
const typed = new URL("../transforms/user-module.ts", import.meta.url);
const tokenizer = new URL("../../fixtures/tokenizer/wordpiece.json", import.meta.url);
let folder: string;
let spec: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-transforms-"));
  spec = join(folder, "rows.jsonl");
  const words = "the quick brown fox jumps over a lazy dog".split(" ");
  const rows = Array.from({ length: ROWS }, (_, n) => ({
    n: n + 0.5,
    label: n % 7,
    text: Array.from({ length: (n * 5) % 11 }, (_, i) => words[(n + i) % words.length]).join(" "),
    more: JSON.stringify({ score: n / 4 }),
  }));
  writeFileSync(spec, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const labelled = [cast("label", "int32"), oneHot("label", 7, { smoothing: 0.1 }), rename({ label: "y" })];
const chains: Record<string, readonly TransformDescription[]> = {
  "text, padded by batch and mixed": [
    filter({ feature: "text", minLength: 1 }),
    parseJson("more", { fields: ["score"] }),
    template("prompt", "{n}: {text}"),
    tokenize("prompt", { tokenizer, into: "ids", maxLength: 9 }),
    cast("ids", "float32"),
    ...labelled,
    select(["ids", "y", "score"]),
    padBatch("ids", { multipleOf: 4, lengths: "length", mask: "mask" }),
    mixup("ids", "y", { alpha: 0.4 }),
  ],
  "text, packed": [
    filter({ feature: "label", notIn: [3] }),
    tokenize("text", { tokenizer, into: "ids", maxLength: 12 }),
    select(["ids"]),
    pack("ids", { length: 16 }),
  ],
  "functions of a module": [
    map(module, "draw"),
    map(typed, "negate"),
    map(module, "repeat"),
    filter(module, "isEven"),
    pad("x", { length: 5, mask: "m" }),
    select(["n", "x", "m", "drawn"]),
  ],
  "images, cut and mixed": [
    stack(["n", "n", "n", "n"], "x"),
    cast("x", "float32"),
    reshape("x", [1, 2, 2]),
    ...labelled,
    select(["x", "y"]),
    cutmix("x", "y", { alpha: 2 }),
    mixup("x", "y", { probability: 0.5 }),
  ],
};

async function open(transforms: readonly TransformDescription[], options: Partial<LoaderOptions> = {}) {
  return loader(spec, { batchSize: 6, shuffle: true, seed: 11, workers: 0, transforms, ...options });
}

test.each(Object.entries(chains))("%s: one hash, whatever workers, another in the next epoch", async (_name, chain) => {
  const hashes = [];
  for (const workers of [0, 1, 2]) {
    const train = await open(chain, { workers });
    hashes.push([digest(await collect(train)), digest(await collect(train))]);
    await train.close();
  }
  expect(hashes[1]).toEqual(hashes[0]);
  expect(hashes[2]).toEqual(hashes[0]);
  expect(hashes[0]?.[1]).not.toBe(hashes[0]?.[0]);
});

test.each(Object.entries(chains))("%s: resumes at every batch with the same tail", async (_name, chain) => {
  const train = await open(chain);
  const whole = await collect(train);
  train.load({ ...train.state(), epoch: 0, samples: 0 });
  let delivered = 0;
  for await (const { step } of train) {
    delivered = step + 1;
    const rest = await open(chain, { workers: delivered % 3 === 0 ? 1 : 0, state: train.state() });
    if (delivered < whole.length) expect(digest(await collect(rest))).toBe(digest(whole.slice(delivered)));
    await rest.close();
  }
  await train.close();
});

test.each(["short", "pad", "drop"] as const)(
  "packed: every rank makes as many steps, and the books balance (%s)",
  async (remainder) => {
    const keys: string[] = [];
    const steps = [];
    for (const rank of [0, 1, 2]) {
      const chain = chains["text, packed"] as readonly TransformDescription[];
      const train = await open(chain, { rank, worldSize: 3, batchSize: 5, remainder });
      const batches = await collect(train);
      steps.push(batches.length);
      const { delivered, filtered, read } = train.ledger();
      expect(delivered + filtered).toBe(read);
      const own = batches
        .flatMap((batch) => batch.keys.slice(0, batch.size - batch.padded))
        .flatMap((key) => key.split(","));
      expect(own.length).toBe(delivered);
      expect(train.stats().samples).toBe(delivered);
      keys.push(...own);
      await train.close();
    }
    expect(new Set(steps).size).toBe(1);
    expect(new Set(keys).size).toBe(keys.length);
    if (remainder !== "drop") expect(keys.length).toBe(ROWS - Math.ceil((ROWS - 3) / 7));
  },
);

test("each rank mixes its own batches", async () => {
  const chain = chains["images, cut and mixed"] as readonly TransformDescription[];
  const ranks = await Promise.all(
    [0, 1].map(async (rank) => collect(await open(chain, { rank, worldSize: 2, batchSize: 3 }))),
  );
  const again = await collect(await open(chain, { rank: 1, worldSize: 2, batchSize: 3, workers: 1 }), 3);
  expect(digest(again)).toBe(digest(ranks[1]?.slice(0, 3) ?? []));
});

test("what a function throws is the error of its batch, or a sample that is skipped, from a worker too", async () => {
  for (const workers of [0, 1]) {
    const chain = [parseJson("more", { fields: ["score"] }), map(module, "explode"), select(["n"])];
    const source = join(folder, "three.jsonl");
    writeFileSync(source, '{"n":1,"more":"{\\"score\\":1}"}\n{"n":3,"more":"{\\"score\\":1}"}\n');
    const strict = await loader(source, { batchSize: 2, workers, transforms: chain });
    await expect(collect(strict)).rejects.toMatchObject({ code: "format", at: { source, record: 1 } });
    await strict.close();
    const lenient = await loader(source, { batchSize: 2, workers, transforms: chain, onError: "skip" });
    expect((await collect(lenient)).map(({ size }) => size)).toEqual([1]);
    expect(lenient.ledger().skipped.first[0]).toMatchObject({ record: 1, code: "format" });
    await lenient.close();
  }
});

test("a module or tokenizer that is missing, and a transform at a wrong place, are errors before the first batch", async () => {
  await expect(open([map("nowhere.mjs")])).rejects.toMatchObject({ code: "input" });
  await expect(open([tokenize("text", { tokenizer: join(folder, "none.json") })])).rejects.toMatchObject({
    code: "input",
  });
  await expect(open([padBatch("x"), select(["x"])])).rejects.toMatchObject({ code: "usage" });
});

test("stats() times transforms of batches by name", async () => {
  const train = await open(chains["text, padded by batch and mixed"] as readonly TransformDescription[]);
  await collect(train);
  const names = train.stats().transforms.map(({ name }) => name);
  expect(names.slice(-2)).toEqual(["padBatch", "mixup"]);
  expect(train.stats().transforms.every(({ ms }) => ms > 0)).toBe(true);
  await train.close();
});
