// The Gemma example: held to the transformers library (fixtures/generators/gemma.py), its files, its data, its program.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDolly, promptOf, readTokenizer } from "../../examples/gemma/dolly.ts";
import { Generator } from "../../examples/gemma/generate.ts";
import { gemma } from "../../examples/gemma/model.ts";
import { readConfig, readWeights, writeModel } from "../../examples/gemma/weights.ts";
import { losses, optimizers, Trainer } from "kdata/trainer";
import { batch, source } from "../trainer/batches.ts";

const TOLERANCE = 1e-4;
const run = promisify(execFile);

interface Expected {
  readonly prompt: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly generated: readonly number[];
}

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "kdata-gemma-"))));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function load(name: string) {
  const path = `fixtures/gemma/${name}`;
  const config = readConfig(path);
  const expected = JSON.parse(readFileSync(join(path, "expected.json"), "utf8")) as Expected;
  return { path, config, weights: readWeights(path, config), expected };
}

function tokensOf(ids: readonly number[]) {
  return batch(1, { tokens: { dtype: "int32", shape: [1, ids.length], data: Int32Array.from(ids) } });
}

function trainerOf(model: ReturnType<typeof gemma>, backend: string) {
  return new Trainer(model, {
    backend,
    input: "tokens",
    optimizer: optimizers.sgd(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
}

describe.each(["gemma-1", "gemma-2", "gemma-1-bfloat16"])("%s", (name) => {
  test.each(["onnx", "tfjs", "jax"])("gives the logits of transformers on %s", async (backend) => {
    const { config, weights, expected } = load(name);
    await using trainer = trainerOf(gemma(config, weights), backend);
    const { data } = await trainer.predict(source([tokensOf(expected.prompt)]));
    const wanted = expected.logits.flat();
    expect(data.length).toBe(wanted.length);
    data.forEach((value, i) => {
      expect(Math.abs(value - wanted[i]!)).toBeLessThan(TOLERANCE);
    });
  });

  test("generates greedily what transformers generates, token by token from its cache", async () => {
    const { config, weights, expected } = load(name);
    const { prompt, generated } = expected;
    for (const maxLength of [16, 5 + prompt.length + generated.length]) {
      const generator = await Generator.open(gemma(config, weights), weights, { maxLength, backend: "onnx" });
      expect(await generator.generate(prompt, { maxTokens: 8 })).toEqual(generated);
      await generator.close();
    }
  });

  test("is written and read back without a change, in shards as well", () => {
    const { config, weights } = load(name);
    for (const maxShardBytes of [1 << 30, 6000]) {
      const copy = join(folder, `${name}-${maxShardBytes}`);
      writeModel(copy, config, weights, { maxShardBytes });
      expect(readConfig(copy)).toEqual(config);
      expect(readWeights(copy, config)).toEqual(weights);
    }
  });
});

test("a prompt longer than a chunk goes on as if it had been read at once", async () => {
  const { config, weights } = load("gemma-2");
  const prompt = Array.from({ length: 23 }, (_, i) => (i * 7) % 48);
  const chunked = await Generator.open(gemma(config, weights), weights, { maxLength: 40, backend: "onnx" });
  const [next] = await chunked.generate(prompt, { maxTokens: 1 });
  await chunked.close();
  await using trainer = trainerOf(gemma(config, weights), "onnx");
  const { data } = await trainer.predict(source([tokensOf(prompt)]));
  const last = data.slice(-48);
  expect(next).toBe(last.indexOf(Math.max(...last)));
});

test("top-k draws depend on the seed alone and stay within the k greatest", async () => {
  const { config, weights, expected } = load("gemma-1");
  const generator = await Generator.open(gemma(config, weights), weights, { maxLength: 24, backend: "onnx" });
  const draw = (seed: number) => generator.generate(expected.prompt, { maxTokens: 1, topK: 3, seed });
  const best = expected.logits.at(-1)!.map((score, token) => ({ score, token }));
  const top = best
    .sort((a, b) => b.score - a.score)
    .slice(0, 3)
    .map(({ token }) => token);
  const drawn = new Set<number>();
  for (let seed = 0; seed < 12; seed++) {
    const [token] = await draw(seed);
    expect([token]).toEqual(await draw(seed));
    expect(top).toContain(token);
    drawn.add(token!);
  }
  expect(drawn.size).toBeGreaterThan(1);
  await generator.close();
});

test("a text that shares a row with others is seen as if it were alone", async () => {
  const { config, weights } = load("gemma-2");
  const parts = [
    [2, 7, 31, 9, 5],
    [2, 40, 11],
  ];
  const packed = parts.flat();
  const segments = Int32Array.from(parts.flatMap((part, i) => part.map(() => i)));
  const both = batch(1, {
    tokens: { dtype: "int32", shape: [1, packed.length], data: Int32Array.from(packed) },
    segments: { dtype: "int32", shape: [1, packed.length], data: segments },
  });
  await using together = new Trainer(gemma(config, weights), {
    backend: "onnx",
    input: ["tokens", "segments"],
    optimizer: optimizers.sgd(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
  });
  const { data } = await together.predict(source([both]));
  let at = 0;
  for (const part of parts) {
    await using alone = trainerOf(gemma(config, weights), "onnx");
    for (const value of (await alone.predict(source([tokensOf(part)]))).data) {
      expect(Math.abs(value - data[at++]!)).toBeLessThan(1e-5);
    }
  }
});

test("weights that are cut off or missing are refused", () => {
  const { config } = load("gemma-1");
  const copy = join(folder, "damaged");
  cpSync("fixtures/gemma/gemma-1", copy, { recursive: true });
  truncateSync(join(copy, "model.safetensors"), 20_000);
  expect(() => readWeights(copy, config)).toThrow(/the file does not end with its last tensor/);
  expect(() => readWeights("fixtures/gemma/gemma-1", { ...config, num_hidden_layers: 3 })).toThrow(
    /has no 'model.layers.2/,
  );
});

test("the tokenizer gives the tokens of Hugging Face's own", () => {
  const { tokenizer } = readTokenizer("fixtures/gemma/tokenizer/tokenizer.json");
  const samples = JSON.parse(readFileSync("fixtures/gemma/tokenizer/expected.json", "utf8")) as {
    readonly text: string;
    readonly ids: readonly number[];
  }[];
  for (const { text, ids } of samples) expect(tokenizer.encode(text).ids).toEqual(ids);
});

test.each([false, true])("rows of tokens hold each sample without a context once (packed: %s)", async (packed) => {
  const tokens = readTokenizer("fixtures/gemma/tokenizer/tokenizer.json");
  const { tokenizer, pad } = tokens;
  const options = { sequenceLength: 64, batchSize: 4, packed, responseOnly: true };
  const data = await openDolly("fixtures/dolly/dolly.jsonl", tokens, options);
  const found: string[] = [];
  let rows = 0;
  for await (const { features, size } of data) {
    const column = (name: string) => (features[name] as { readonly data: ArrayLike<number> }).data;
    for (let row = 0; row < size; row++, rows++) {
      const texts = new Map<number, { ids: number[]; answer: number[] }>();
      for (let i = row * 64; i < (row + 1) * 64; i++) {
        const segment = column("segments")[i]!;
        if (segment < 0) {
          expect([column("tokens")[i], column("weights")[i]]).toEqual([pad, 0]);
          continue;
        }
        const text = texts.get(segment) ?? { ids: [], answer: [] };
        texts.set(segment, text);
        text.ids.push(column("tokens")[i]!);
        if (column("weights")[i] === 1) text.answer.push(column("targets")[i]!);
      }
      for (const { ids, answer } of texts.values()) {
        const text = tokenizer.decode(ids, { skip_special_tokens: true });
        expect(text.endsWith(tokenizer.decode(answer, { skip_special_tokens: true }))).toBe(true);
        found.push(text);
      }
    }
  }
  await data.close?.();
  const lines = readFileSync("fixtures/dolly/dolly.jsonl", "utf8").trim().split("\n");
  const samples = lines.map((line) => JSON.parse(line) as Record<string, string>);
  const wanted = samples.filter(({ context }) => context === "");
  expect(found.sort()).toEqual(wanted.map((s) => `${promptOf(s["instruction"]!)}${s["response"]!}`).sort());
  expect(packed ? rows < wanted.length : rows === wanted.length).toBe(true);
});

test("the program adapts a tiny model, and writes weights that answer", async () => {
  const output = join(folder, "merged");
  const flags = [
    "--pre-epochs",
    "2",
    "--epochs",
    "1",
    "--length",
    "48",
    "--packed",
    "--backend",
    "onnx",
    "--output",
    output,
  ];
  const args = ["scripts/run-example.mjs", "examples/gemma-lora.ts", ...flags];
  const { stdout } = await run(process.execPath, args);
  expect(stdout).toContain("fine-tuning 4 matrices: blocks/0/attention/query, blocks/0/attention/value");
  expect(stdout).toMatch(/greedy {2}"/);
  expect(readConfig(output).hidden_size).toBe(48);
});
