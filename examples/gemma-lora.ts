// `npm run example:gemma-lora`: a Gemma decoder learns to answer questions by low-rank adaptation, then answers some.
//
//   npm run example:gemma-lora                                           a tiny model of random weights
//   npm run example:gemma-lora -- --model DIR --data dolly.jsonl         Gemma's own files and databricks-dolly-15k
//
// DIR has config.json, tokenizer.json and the weights, as Hugging Face distributes Gemma 1 and 2. Without it the tiny model is
// trained whole first, so that there is something to adapt. --backend (else KDATA_BACKEND, else onnx),
// --length (512 with --model), --packed, --epochs, --rank, --output DIR for the merged weights.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  enableLora,
  losses,
  metrics,
  optimizers,
  progressBar,
  Trainer,
  type BatchSource,
  type Lora,
} from "kdata/trainer";
import { openDolly, promptOf, readTokenizer, type TextTokens } from "./gemma/dolly.ts";
import { Generator } from "./gemma/generate.ts";
import { gemma, type Gemma, type GemmaConfig, type Weights } from "./gemma/model.ts";
import { readConfig, readWeights, writeModel } from "./gemma/weights.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const QUESTIONS = ["What colour is the grass?", "How many legs does a spider have?", "What is the opposite of hot?"];

/** A model small enough for two cores; the vocabulary is the tokenizer's. */
const TINY: Omit<GemmaConfig, "vocab_size"> = {
  model_type: "gemma",
  hidden_size: 48,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 1,
  head_dim: 16,
  rms_norm_eps: 1e-6,
  rope_theta: 10_000,
  query_pre_attn_scalar: 16,
};

const { values: flags } = parseArgs({
  options: {
    model: { type: "string" },
    data: { type: "string", default: join(fixtures, "dolly/dolly.jsonl") },
    backend: { type: "string" },
    length: { type: "string" },
    "batch-size": { type: "string" },
    packed: { type: "boolean", default: false },
    "pre-epochs": { type: "string", default: "70" },
    epochs: { type: "string" },
    rank: { type: "string", default: "4" },
    output: { type: "string" },
  },
});

const tokens = readTokenizer(join(flags.model ?? join(fixtures, "gemma/tokenizer"), "tokenizer.json"));
const length = Number(flags.length ?? (flags.model === undefined ? 64 : 512));
const batchSize = Number(flags["batch-size"] ?? (flags.model === undefined ? 8 : 1));
const data = await openDolly(flags.data, tokens, { sequenceLength: length, batchSize, packed: flags.packed });
try {
  await run();
} finally {
  await data.close?.();
}

async function run(): Promise<void> {
  const config = flags.model === undefined ? { ...TINY, vocab_size: tokens.vocabularySize } : readConfig(flags.model);
  const weights = flags.model === undefined ? await pretrain(config) : readWeights(flags.model, config);

  const model = gemma(config, weights);
  const lora = enableLora(model, { rank: Number(flags.rank), targets: ["query", "value"] });
  const adapted = await fineTune(model, lora);
  const merged = lora.merge(adapted);
  lora.disable();

  const folder = flags.output ?? mkdtempSync(join(tmpdir(), "kdata-gemma-"));
  try {
    writeModel(folder, config, merged);
    const read = readWeights(folder, config);
    say(`\nmerged weights written and read back: ${[...read.keys()].length} tensors`);
    await answer(gemma(config, read), read);
  } finally {
    if (flags.output === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

/** Trains the tiny model as a whole, in place of the months that a published one took. */
async function pretrain(config: GemmaConfig): Promise<Weights> {
  say("pre-training the tiny model");
  const trainer = trainerOf(gemma(config), optimizers.adamW({ learningRate: 5e-3, weightDecay: 0.01 }));
  try {
    await fit(trainer, data, Number(flags["pre-epochs"]));
    return await trainer.weights();
  } finally {
    await trainer.close();
  }
}

async function fineTune(model: Gemma, lora: Lora): Promise<Weights> {
  say(`\nfine-tuning ${lora.layers.length} matrices: ${lora.layers.join(", ")}`);
  // SGD as published for the real model; for the tiny one Adam, whose few steps show.
  const isTiny = flags.model === undefined;
  const rate = isTiny ? 5e-3 : 1e-4;
  const optimizer = isTiny ? optimizers.adamW({ learningRate: rate }) : optimizers.sgd({ learningRate: rate });
  const trainer = trainerOf(model, optimizer);
  try {
    await fit(trainer, data, Number(flags.epochs ?? 10));
    const total = trainer.summary().split("\n").at(-2);
    say(total ?? "");
    return await trainer.weights();
  } finally {
    await trainer.close();
  }
}

function trainerOf(model: Gemma, optimizer: optimizers.Optimizer): Trainer {
  return new Trainer(model, {
    optimizer,
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    metrics: [metrics.sparseCategoricalAccuracy()],
    input: ["tokens", "segments"],
    target: "targets",
    sampleWeight: "weights",
    ...(flags.backend !== undefined && { backend: flags.backend }),
  });
}

async function fit(trainer: Trainer, source: BatchSource, epochs: number): Promise<void> {
  const history = await trainer.fit(source, { epochs, callbacks: [progressBar(process.stderr)] });
  for (const name of ["loss", "accuracy"]) {
    const [first, last] = [history[name]?.[0] ?? NaN, history[name]?.at(-1) ?? NaN];
    say(`  ${name.padEnd(8)}  ${first.toFixed(4)} in the first epoch, ${last.toFixed(4)} in the last`);
  }
}

async function answer(model: Gemma, weights: Weights): Promise<void> {
  const generator = await Generator.open(model, weights, {
    maxLength: length,
    ...(flags.backend !== undefined && { backend: flags.backend }),
  });
  try {
    for (const question of QUESTIONS) {
      const greedy = await complete(generator, tokens, question, 1);
      const drawn = await complete(generator, tokens, question, 5);
      say(`\n${question}\n  greedy  ${greedy}\n  top 5   ${drawn}`);
    }
  } finally {
    await generator.close();
  }
}

async function complete(generator: Generator, { tokenizer, end }: TextTokens, question: string, topK: number) {
  const prompt = tokenizer.encode(promptOf(question)).ids;
  const made = await generator.generate(prompt, { maxTokens: 32, endToken: end, topK, seed: 1 });
  return JSON.stringify(tokenizer.decode(made));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
