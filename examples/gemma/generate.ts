// Text from a Gemma model: a plan of a few tokens whose keys and values stay in the backend's session from one run to the next.

import { deriveKey, RandomStream, tensor, zeros, type Tensor } from "kdata/core";
import {
  Graph,
  Layer,
  layers,
  openBackend,
  resolveBackendName,
  type HostTensor,
  type Program,
  type Session,
  type Sym,
} from "kdata/trainer";
import { cacheShapes, KeyValueCache, type Gemma, type Weights } from "./model.ts";

/** Tokens of a prompt that go through the model at once. */
const CHUNK = 16;

/** How a text goes on. */
export interface GenerateOptions {
  /** Tokens to add, at most. */
  readonly maxTokens: number;
  /** Ends the text; it is not given. */
  readonly endToken?: number;
  /** Draws among so many tokens of the greatest probability. Default 1: always the greatest. */
  readonly topK?: number;
  /** Divides the logits before drawing. Default 1. */
  readonly temperature?: number;
  readonly seed?: number;
}

/** A model that is ready to continue texts of up to `maxLength` tokens. */
export class Generator {
  readonly #session: Session;
  readonly #programs: ReadonlyMap<number, Program>;
  readonly #maxLength: number;

  private constructor(session: Session, programs: ReadonlyMap<number, Program>, maxLength: number) {
    this.#session = session;
    this.#programs = programs;
    this.#maxLength = maxLength;
  }

  /** Opens a backend and compiles the model for it. `weights` are those of `trainer.weights()`. */
  static async open(
    model: Gemma,
    weights: Weights,
    { maxLength, backend }: { readonly maxLength: number; readonly backend?: string },
  ): Promise<Generator> {
    const state = new Map<string, HostTensor>(weights);
    for (const [name, shape] of cacheShapes(model.config, maxLength))
      state.set(cacheName(name), zeros("float32", shape));
    const { open } = await openBackend(resolveBackendName(backend)).then((engine) => ({
      open: engine.open.bind(engine),
    }));
    const session = await open(state);
    const programs = new Map<number, Program>();
    for (const length of [1, Math.min(CHUNK, maxLength)]) {
      programs.set(length, await session.compile(planDecode(model, length, maxLength)));
    }
    return new Generator(session, programs, maxLength);
  }

  /**
   * Continues a text.
   *
   * @throws {RangeError} when the prompt is empty or does not leave room for a token.
   */
  async generate(prompt: readonly number[], options: GenerateOptions): Promise<number[]> {
    if (prompt.length === 0 || prompt.length >= this.#maxLength) {
      throw new RangeError(`Cannot generate: a prompt of ${prompt.length} tokens, of ${this.#maxLength}`);
    }
    let logits = await this.#read(prompt);
    const made: number[] = [];
    const limit = Math.min(options.maxTokens, this.#maxLength - prompt.length);
    while (made.length < limit) {
      const token = choose(logits, options, made.length);
      if (token === options.endToken) break;
      made.push(token);
      if (made.length < limit) logits = await this.#run([token], prompt.length + made.length - 1);
    }
    return made;
  }

  /** Frees the backend's memory. */
  async close(): Promise<void> {
    await this.#session.close();
  }

  async #read(prompt: readonly number[]): Promise<Float32Array> {
    const chunk = Math.max(...this.#programs.keys());
    let logits = new Float32Array(0);
    for (let at = 0; at < prompt.length;) {
      const length = prompt.length - at >= chunk ? chunk : 1;
      logits = await this.#run(prompt.slice(at, at + length), at);
      at += length;
    }
    return logits;
  }

  async #run(tokens: readonly number[], position: number): Promise<Float32Array<ArrayBuffer>> {
    const feeds = new Map<string, HostTensor>([
      ["tokens", tensor("int32", [1, tokens.length], Int32Array.from(tokens))],
      ["position", tensor("int32", [], Int32Array.of(position))],
    ]);
    const outputs = await this.#programs.get(tokens.length)?.run(feeds);
    const logits = outputs?.get("logits") as Tensor<"float32"> | undefined;
    if (logits === undefined) throw new RangeError(`Cannot generate: no program takes ${tokens.length} tokens`);
    return logits.data.slice(-(logits.shape.at(-1) ?? 1));
  }
}

/** Stands where the model stands, so that the parameters keep their paths, and gives it the cache. */
class Decoding extends Layer {
  readonly #model: Gemma;
  readonly #cache: KeyValueCache;

  constructor(model: Gemma, cache: KeyValueCache) {
    super();
    this.#model = model;
    this.#cache = cache;
  }

  call(tokens: Sym): Sym {
    return this.#model.apply({ tokens, cache: this.#cache });
  }

  override children(): ReturnType<Layer["children"]> {
    return this.#model.children();
  }
}

/** Plans `length` tokens at any position of a text. */
function planDecode(model: Gemma, length: number, maxLength: number) {
  const graph = new Graph();
  const tokens = graph.input("tokens", [1, length], "int32");
  const cache = new KeyValueCache(graph, model.config, maxLength);
  const { output, parameters } = layers.traceModel(new Decoding(model, cache), graph, tokens);
  const named = (syms: Readonly<Record<string, Sym>>): [string, Sym][] =>
    Object.entries(syms).map(([name, sym]) => [cacheName(name), sym]);
  return graph.plan({
    name: "decode",
    feeds: { tokens, position: cache.position },
    state: Object.fromEntries([
      ...parameters.map(({ parameter, sym }): [string, Sym] => [parameter.path, sym]),
      ...named(cache.before),
    ]),
    updates: Object.fromEntries(named(cache.after)),
    outputs: { logits: output },
  });
}

function cacheName(name: string): string {
  return `cache/${name}`;
}

/** The greatest, or one drawn among the `topK` greatest; of equal ones the first. */
function choose(logits: Float32Array, { topK = 1, temperature = 1, seed = 0 }: GenerateOptions, step: number): number {
  const best = Array.from(logits, (score, token) => ({ score, token }))
    .sort((a, b) => b.score - a.score || a.token - b.token)
    .slice(0, topK);
  const top = best[0]?.score ?? 0;
  const shares = best.map(({ score }) => Math.exp((score - top) / temperature));
  let left = new RandomStream(deriveKey(seed, step)).uniform() * shares.reduce((sum, share) => sum + share, 0);
  const chosen = best.find((_, i) => (left -= shares[i] ?? 0) < 0);
  return (chosen ?? best[0])?.token ?? 0;
}
