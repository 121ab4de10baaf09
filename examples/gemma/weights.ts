// Gemma's files in the Hugging Face layout: config.json, and model.safetensors or its shards with an index.
// https://huggingface.co/docs/safetensors/index#format

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { bytesOf, decodeHalf, elementCount, KdataError, tensor, type Tensor } from "kdata/core";
import { formatSafetensorsHeader, parseSafetensorsHeader, type StoredTensor } from "kdata/readers";
import type { GemmaConfig, Weights } from "./model.ts";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const MAX_HEADER_BYTES = 100_000_000; // the specification's own bound
const LENGTH_BYTES = 8;
const MAX_SHARD_BYTES = 4 * 2 ** 30;

/** Where a model's tensor is stored, and whether as `[out, in]`, the transpose of ours. */
type Names = ReadonlyMap<string, { readonly stored: string; readonly isTransposed: boolean }>;

/** Reads config.json. */
export function readConfig(folder: string): GemmaConfig {
  const path = join(folder, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const { model_type: type } = config;
  if (type !== "gemma" && type !== "gemma2") {
    throw new KdataError(
      "unsupported",
      `Cannot read model: model_type is ${JSON.stringify(type)}, not gemma or gemma2`,
      {
        at: { source: path },
      },
    );
  }
  function size(name: string, otherwise?: number): number {
    const value = config[name] ?? otherwise;
    if (typeof value === "number" && value > 0) return value;
    throw new KdataError("format", `Cannot read model: ${name} is ${JSON.stringify(value)}`, { at: { source: path } });
  }
  function option(name: string): number | undefined {
    return type === "gemma" || config[name] === null || config[name] === undefined ? undefined : size(name);
  }
  const { rope_parameters: rope } = config;
  const base = typeof rope === "object" && rope !== null && "rope_theta" in rope ? Number(rope.rope_theta) : 10_000;
  return {
    model_type: type,
    vocab_size: size("vocab_size"),
    hidden_size: size("hidden_size"),
    intermediate_size: size("intermediate_size"),
    num_hidden_layers: size("num_hidden_layers"),
    num_attention_heads: size("num_attention_heads"),
    num_key_value_heads: size("num_key_value_heads"),
    head_dim: size("head_dim"),
    rms_norm_eps: size("rms_norm_eps", 1e-6),
    rope_theta: size("rope_theta", base),
    query_pre_attn_scalar: type === "gemma" ? size("head_dim") : size("query_pre_attn_scalar"),
    attn_logit_softcapping: option("attn_logit_softcapping"),
    final_logit_softcapping: option("final_logit_softcapping"),
    sliding_window: option("sliding_window"),
  };
}

/**
 * Reads a model's weights as float32, by the paths of our model.
 *
 * @throws {KdataError} `format`, `truncated` or `limit` when a file is damaged, `state` when a tensor is missing or of another dtype.
 */
export function readWeights(folder: string, config: GemmaConfig): Map<string, Tensor<"float32">> {
  const stored = new Map<string, Tensor<"float32">>();
  const wanted = new Set(Array.from(namesOf(config).values(), (name) => name.stored));
  for (const file of filesOf(folder)) readFile(join(folder, file), wanted, stored);
  const weights = new Map<string, Tensor<"float32">>();
  for (const [path, { stored: name, isTransposed }] of namesOf(config)) {
    const found = stored.get(name);
    if (found === undefined) throw new KdataError("state", `Cannot read model: ${folder} has no '${name}'`);
    weights.set(path, isTransposed ? transpose(found) : found);
    stored.delete(name);
  }
  return weights;
}

/** Writes config.json and the weights as float32: one file, or shards of `maxShardBytes` with an index. */
export function writeModel(
  folder: string,
  config: GemmaConfig,
  weights: Weights,
  { maxShardBytes = MAX_SHARD_BYTES }: { readonly maxShardBytes?: number } = {},
): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "config.json"),
    `${JSON.stringify({ ...config, architectures: [architectureOf(config)] }, null, 2)}\n`,
  );
  const shards: [string, Tensor<"float32">][][] = [[]];
  let bytes = 0;
  for (const [path, { stored, isTransposed }] of namesOf(config)) {
    const weight = weights.get(path);
    if (weight === undefined) throw new KdataError("state", `Cannot write model: the weights have no '${path}'`);
    const plain = tensor("float32", weight.shape, Float32Array.from(weight.data, Number));
    if (bytes > 0 && bytes + plain.data.byteLength > maxShardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)?.push([stored, isTransposed ? transpose(plain) : plain]);
    bytes += plain.data.byteLength;
  }
  const number = (i: number): string => String(i).padStart(5, "0");
  const places: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const file = shards.length === 1 ? SINGLE : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeFile(join(folder, file), shard);
    for (const [name] of shard) places[name] = file;
  }
  if (shards.length === 1) return;
  const total = shards.flat().reduce((sum, [, { data }]) => sum + data.byteLength, 0);
  const index = { metadata: { total_size: total }, weight_map: places };
  writeFileSync(join(folder, INDEX), `${JSON.stringify(index, null, 2)}\n`);
}

function architectureOf({ model_type: type }: GemmaConfig): string {
  return type === "gemma" ? "GemmaForCausalLM" : "Gemma2ForCausalLM";
}

function namesOf(config: GemmaConfig): Names {
  const names = new Map([["embedding/embeddings", { stored: "model.embed_tokens.weight", isTransposed: false }]]);
  const norms =
    config.model_type === "gemma"
      ? { attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm" }
      : {
          attentionNorm: "input_layernorm",
          afterAttention: "post_attention_layernorm",
          mlpNorm: "pre_feedforward_layernorm",
          afterMlp: "post_feedforward_layernorm",
        };
  const kernels = {
    "attention/query": "self_attn.q_proj",
    "attention/key": "self_attn.k_proj",
    "attention/value": "self_attn.v_proj",
    "attention/output": "self_attn.o_proj",
    "mlp/gate": "mlp.gate_proj",
    "mlp/up": "mlp.up_proj",
    "mlp/down": "mlp.down_proj",
  };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    for (const [ours, theirs] of Object.entries(norms)) {
      names.set(`blocks/${i}/${ours}/scale`, { stored: `model.layers.${i}.${theirs}.weight`, isTransposed: false });
    }
    for (const [ours, theirs] of Object.entries(kernels)) {
      names.set(`blocks/${i}/${ours}/kernel`, { stored: `model.layers.${i}.${theirs}.weight`, isTransposed: true });
    }
  }
  return names.set("norm/scale", { stored: "model.norm.weight", isTransposed: false });
}

/** The one file, or those that the index names. */
function filesOf(folder: string): string[] {
  const path = join(folder, INDEX);
  if (!existsSync(path)) return [SINGLE];
  const { weight_map: places } = JSON.parse(readFileSync(path, "utf8")) as { weight_map?: Record<string, unknown> };
  const files = [...new Set(Object.values(places ?? {}))];
  const isPlain = (file: unknown): file is string => typeof file === "string" && /^[\w.-]+\.safetensors$/.test(file);
  if (files.length > 0 && files.every(isPlain)) return files;
  throw new KdataError("format", "Cannot read model: weight_map does not name files of its folder", {
    at: { source: path },
  });
}

function readFile(path: string, wanted: ReadonlySet<string>, into: Map<string, Tensor<"float32">>): void {
  const { size } = statSync(path);
  const file = openSync(path, "r");
  try {
    const length = Number(new DataView(readExactly(file, 0, LENGTH_BYTES, path).buffer).getBigUint64(0, true));
    if (length > Math.min(MAX_HEADER_BYTES, size - LENGTH_BYTES)) {
      throw new KdataError("limit", `Cannot read safetensors: a header of ${length} bytes`, {
        at: { source: path, byte: 0 },
      });
    }
    const at = { source: path, byte: LENGTH_BYTES };
    const { tensors } = parseSafetensorsHeader(readExactly(file, LENGTH_BYTES, length, path), at);
    const start = LENGTH_BYTES + length;
    if (start + (tensors.at(-1)?.end ?? 0) !== size) {
      throw new KdataError("truncated", "Cannot read safetensors: the file does not end with its last tensor", {
        at: { source: path, byte: size },
      });
    }
    for (const stored of tensors) {
      if (!wanted.has(stored.name)) continue;
      into.set(stored.name, decode(stored, readExactly(file, start + stored.start, stored.end - stored.start, path)));
    }
  } finally {
    closeSync(file);
  }
}

function decode({ name, dtype, shape }: StoredTensor, bytes: Uint8Array): Tensor<"float32"> {
  const data = new Float32Array(elementCount(shape));
  if (dtype === "F32") bytesOf(data).set(bytes);
  else if (dtype === "BF16" || dtype === "F16") {
    const half = dtype === "BF16" ? "bfloat16" : "float16";
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, data.length);
    for (let i = 0; i < data.length; i++) data[i] = decodeHalf(half, bits[i] ?? 0);
  } else throw new KdataError("state", `Cannot read model: '${name}' is ${dtype}, not F32, BF16 or F16`);
  return tensor("float32", shape, data);
}

function readExactly(file: number, position: number, length: number, path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = readSync(file, bytes, at, Math.min(length - at, 2 ** 30), position + at);
    if (read === 0) {
      throw new KdataError("truncated", "Cannot read safetensors: the file ends early", {
        at: { source: path, byte: position + at },
      });
    }
    at += read;
  }
  return bytes;
}

function writeFile(path: string, tensors: readonly (readonly [string, Tensor<"float32">])[]): void {
  let end = 0;
  const entries = tensors.map(([name, { shape, data }]): StoredTensor => {
    const start = end;
    end += data.byteLength;
    return { name, dtype: "F32", shape, start, end };
  });
  const file = openSync(path, "w");
  try {
    const metadata = new Map([["format", "pt"]]); // what the transformers library asks for
    for (const part of [
      formatSafetensorsHeader({ metadata, tensors: entries }),
      ...tensors.map(([, { data }]) => bytesOf(data)),
    ]) {
      for (let at = 0; at < part.length;) at += writeSync(file, part, at, Math.min(part.length - at, 2 ** 30));
    }
  } finally {
    closeSync(file);
  }
}

function transpose({ shape, data }: Tensor<"float32">): Tensor<"float32"> {
  const [rows = 1, columns = 1] = shape;
  const turned = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) turned[j * rows + i] = data[i * columns + j] ?? 0;
  return tensor("float32", [columns, rows], turned);
}
