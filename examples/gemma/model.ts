// The decoder of Gemma 1 and 2: https://arxiv.org/abs/2403.08295, https://arxiv.org/abs/2408.00118. The names of the settings are those of
// config.json in the Hugging Face layout.

import { tensor } from "kdata/core";
import { initializers, Layer, layers, ops, type Graph, type HostTensor, type Sym } from "kdata/trainer";

/** The sizes of a model. */
export interface GemmaConfig {
  readonly model_type: "gemma" | "gemma2";
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  /** Of its own: not `hidden_size / num_attention_heads`. */
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** Scores are divided by its root. Gemma 1: `head_dim`. */
  readonly query_pre_attn_scalar: number;
  readonly attn_logit_softcapping?: number | undefined;
  readonly final_logit_softcapping?: number | undefined;
  /** How far each second layer looks back; the others, and all of Gemma 1, see everything before. */
  readonly sliding_window?: number | undefined;
}

/** Tokens, and what tells apart the texts that are packed into one row, or what was computed for the tokens before. */
export interface GemmaInputs {
  /** Int32 `[batch, length]`. */
  readonly tokens: Sym;
  /** Int32 `[batch, length]`: a token sees those of its own segment alone. */
  readonly segments?: Sym;
  readonly cache?: KeyValueCache;
}

/** Weights by path, as `trainer.weights()` gives them. */
export type Weights = ReadonlyMap<string, HostTensor>;

const INITIAL_DEVIATION = 0.02; // the published configurations' initializer_range

/** Makes the model, with the given weights or with random ones. It gives logits `[batch, length, vocab_size]`. */
export function gemma(config: GemmaConfig, weights?: Weights): Gemma {
  return new Gemma(config, weights);
}

/** Keys and values of the tokens before, `[maxLength, heads, size]` each, of one text. */
export class KeyValueCache {
  /** The number of tokens before: int32 scalar. */
  readonly position: Sym;
  /** By name: what the cache holds before and after. */
  readonly before: Readonly<Record<string, Sym>>;
  readonly after: Record<string, Sym> = {};
  readonly #maxLength: number;
  readonly #angles: Sym;

  constructor(graph: Graph, config: GemmaConfig, maxLength: number) {
    this.position = graph.input("position", [], "int32");
    this.#maxLength = maxLength;
    const shapes = cacheShapes(config, maxLength);
    this.before = Object.fromEntries(
      Array.from(shapes, ([name, shape]) => [name, graph.input(`cache ${name}`, shape, "float32")]),
    );
    const half = config.head_dim / 2;
    const data = Float32Array.from({ length: maxLength * half }, (_, i) => {
      return Math.floor(i / half) * config.rope_theta ** (-(i % half) / half);
    });
    this.#angles = graph.constant(tensor("float32", [maxLength, half], data));
  }

  /** Turns `[1, length, heads, size]` by the positions that come next. */
  turn(x: Sym): Sym {
    const [, length = 1, , size = 2] = x.shape;
    const angles = ops.reshape(ops.gather(this.#angles, this.#next(length)), [length, 1, size / 2]);
    const [cos, sin] = [ops.cos(angles), ops.sin(angles)];
    const [first, second] = ops.split(x, 2);
    if (first === undefined || second === undefined) return x;
    return ops.concat([
      ops.sub(ops.mul(first, cos), ops.mul(second, sin)),
      ops.add(ops.mul(second, cos), ops.mul(first, sin)),
    ]);
  }

  /** Puts `[1, length, heads, size]` behind what is there and gives all of it, `[1, maxLength, heads, size]`. */
  extend(name: string, x: Sym): Sym {
    const [, length = 1, heads = 1, size = 1] = x.shape;
    const places = ops.iota(x.graph, [this.#maxLength]);
    const isNew = ops.logicalAnd(
      ops.greaterEqual(places, this.position),
      ops.less(places, ops.add(this.position, length)),
    );
    const rows = ops.gather(ops.reshape(x, [length, heads, size]), ops.where(isNew, ops.sub(places, this.position), 0));
    const before = this.before[name];
    if (before === undefined) throw new RangeError(`Cannot extend cache: it holds no '${name}'`);
    const after = ops.where(ops.reshape(isNew, [this.#maxLength, 1, 1]), rows, before);
    this.after[name] = after;
    return ops.reshape(after, [1, this.#maxLength, heads, size]);
  }

  /** True where one of `length` new tokens sees a place: `[length, maxLength]`. */
  mask(length: number, window: number | undefined): Sym {
    const rows = ops.reshape(this.#next(length), [length, 1]);
    const columns = ops.iota(rows.graph, [1, this.#maxLength], 1);
    const isPast = ops.greaterEqual(rows, columns);
    return window === undefined ? isPast : ops.logicalAnd(isPast, ops.less(ops.sub(rows, columns), window));
  }

  #next(length: number): Sym {
    return ops.add(ops.iota(this.position.graph, [length]), this.position);
  }
}

/** Shapes of a cache's tensors by name. */
export function cacheShapes(config: GemmaConfig, maxLength: number): Map<string, readonly number[]> {
  const shape = [maxLength, config.num_key_value_heads, config.head_dim];
  const names = Array.from({ length: config.num_hidden_layers }, (_, i) => [`${i}/key`, `${i}/value`]).flat();
  return new Map(names.map((name) => [name, shape]));
}

/** The decoder: see {@link gemma}. */
export class Gemma extends Layer<Sym | GemmaInputs> {
  readonly embedding: layers.Embedding;
  readonly blocks: readonly Block[];
  readonly norm: GemmaNorm;
  readonly config: GemmaConfig;

  constructor(config: GemmaConfig, weights: Weights | undefined) {
    super();
    this.config = config;
    const start = (path: string): initializers.Initializer => startOf(path, weights);
    this.embedding = layers.embedding(config.vocab_size, config.hidden_size, {
      embeddingsInitializer: start("embedding/embeddings"),
    });
    this.blocks = Array.from({ length: config.num_hidden_layers }, (_, i) => new Block(config, i, start));
    this.norm = new GemmaNorm(config, start("norm/scale"));
  }

  call(inputs: Sym | GemmaInputs): Sym {
    const { tokens, segments, cache } = "tokens" in inputs ? inputs : { tokens: inputs };
    const { hidden_size: size, final_logit_softcapping: cap } = this.config;
    let x = ops.mul(this.embedding.apply(tokens), Math.sqrt(size));
    for (const block of this.blocks) {
      x = block.apply({ x, ...(segments !== undefined && { segments }), ...(cache !== undefined && { cache }) });
    }
    const logits = this.embedding.attend(this.norm.apply(x));
    return cap === undefined ? logits : ops.mul(ops.tanh(ops.mul(logits, 1 / cap)), cap);
  }
}

/** What goes from block to block. */
type BlockInputs = Omit<GemmaInputs, "tokens"> & { readonly x: Sym };
/** Finds how the parameter of a path starts. */
type Start = (path: string) => initializers.Initializer;

class Block extends Layer<BlockInputs> {
  readonly attentionNorm: GemmaNorm;
  readonly attention: Attention;
  readonly mlpNorm: GemmaNorm;
  readonly mlp: GeGlu;
  /** Of Gemma 2: what attention and feed-forward give is normalised once more. */
  readonly afterAttention: GemmaNorm | undefined;
  readonly afterMlp: GemmaNorm | undefined;

  constructor(config: GemmaConfig, index: number, start: Start) {
    super();
    const norm = (name: string): GemmaNorm => new GemmaNorm(config, start(`blocks/${index}/${name}/scale`));
    this.attentionNorm = norm("attentionNorm");
    this.attention = new Attention(config, index, start);
    this.mlpNorm = norm("mlpNorm");
    this.mlp = new GeGlu(config, (name) => start(`blocks/${index}/mlp/${name}`));
    const isSecond = config.model_type === "gemma2";
    this.afterAttention = isSecond ? norm("afterAttention") : undefined;
    this.afterMlp = isSecond ? norm("afterMlp") : undefined;
  }

  call({ x, ...rest }: BlockInputs): Sym {
    const attended = this.attention.apply({ x: this.attentionNorm.apply(x), ...rest });
    const seen = ops.add(x, this.afterAttention?.apply(attended) ?? attended);
    const computed = this.mlp.apply(this.mlpNorm.apply(seen));
    return ops.add(seen, this.afterMlp?.apply(computed) ?? computed);
  }
}

class Attention extends Layer<BlockInputs> {
  readonly query: Layer;
  readonly key: Layer;
  readonly value: Layer;
  readonly output: Layer;
  readonly #config: GemmaConfig;
  readonly #index: number;

  constructor(config: GemmaConfig, index: number, start: Start) {
    super();
    const { num_attention_heads: heads, num_key_value_heads: keyHeads, head_dim: size, hidden_size: hidden } = config;
    const dense = (name: string, units: number): Layer =>
      plainDense(units, start(`blocks/${index}/attention/${name}/kernel`));
    this.query = dense("query", heads * size);
    this.key = dense("key", keyHeads * size);
    this.value = dense("value", keyHeads * size);
    this.output = dense("output", hidden);
    this.#config = config;
    this.#index = index;
  }

  call({ x, segments, cache }: BlockInputs): Sym {
    const { num_attention_heads: heads, num_key_value_heads: keyHeads, head_dim: size } = this.#config;
    const [batch = 1, length = 1] = x.shape;
    const [q, k, v] = [
      ops.reshape(this.query.apply(x), [batch, length, heads, size]),
      ops.reshape(this.key.apply(x), [batch, length, keyHeads, size]),
      ops.reshape(this.value.apply(x), [batch, length, keyHeads, size]),
    ] as const;
    const options = {
      scale: 1 / Math.sqrt(this.#config.query_pre_attn_scalar),
      softCap: this.#config.attn_logit_softcapping,
    };
    const attended = cache
      ? ops.attention(
          cache.turn(q),
          cache.extend(`${this.#index}/key`, cache.turn(k)),
          cache.extend(`${this.#index}/value`, v),
          { ...options, mask: cache.mask(length, this.#window) },
        )
      : ops.attention(this.#turn(q), this.#turn(k), v, {
          ...options,
          causal: true,
          mask: this.#mask(x, segments),
        });
    return this.output.apply(ops.reshape(attended, [batch, length, heads * size]));
  }

  /** Only layers of even number look back no further than the window. */
  get #window(): number | undefined {
    return this.#index % 2 === 0 ? this.#config.sliding_window : undefined;
  }

  #turn(x: Sym): Sym {
    return ops.rotaryEmbedding(x, { base: this.#config.rope_theta });
  }

  /** True where a token sees another one, leaving aside that it must be before. */
  #mask({ graph, shape }: Sym, segments: Sym | undefined): Sym | undefined {
    const length = shape[1] ?? 1;
    const window = this.#window;
    const distance = ops.sub(ops.iota(graph, [length, length], 0), ops.iota(graph, [length, length], 1));
    const isNear = window === undefined || window >= length ? undefined : ops.less(distance, window);
    if (segments === undefined) return isNear;
    const isOwn = ops.equal(ops.expandDims(segments, 2), ops.expandDims(segments, 1));
    return isNear === undefined ? isOwn : ops.logicalAnd(isOwn, ops.expandDims(isNear, 0));
  }
}

/** `down(gelu(gate x) * up x)`: https://arxiv.org/abs/2002.05202 */
class GeGlu extends Layer {
  readonly gate: Layer;
  readonly up: Layer;
  readonly down: Layer;

  constructor({ intermediate_size: inner, hidden_size: hidden }: GemmaConfig, start: Start) {
    super();
    this.gate = plainDense(inner, start("gate/kernel"));
    this.up = plainDense(inner, start("up/kernel"));
    this.down = plainDense(hidden, start("down/kernel"));
  }

  call(x: Sym): Sym {
    return this.down.apply(ops.mul(ops.geluTanh(this.gate.apply(x)), this.up.apply(x)));
  }
}

/** The RMS norm times `1 + scale`: a scale of zeros changes nothing. */
class GemmaNorm extends Layer {
  readonly #epsilon: number;
  readonly #initializer: initializers.Initializer;

  constructor({ rms_norm_eps: epsilon }: GemmaConfig, initializer: initializers.Initializer) {
    super();
    this.#epsilon = epsilon;
    this.#initializer = initializer;
  }

  call(x: Sym): Sym {
    const scale = this.param("scale", [x.shape.at(-1) ?? 1], { initializer: this.#initializer });
    return ops.rmsNorm(x, { axes: -1, epsilon: this.#epsilon, gamma: ops.add(scale, 1) });
  }
}

function plainDense(units: number, kernelInitializer: initializers.Initializer): Layer {
  return layers.dense(units, { useBias: false, kernelInitializer });
}

/** The given tensor; without weights zeros for norms and a narrow normal distribution for the others. */
function startOf(path: string, weights: Weights | undefined): initializers.Initializer {
  if (weights === undefined) {
    return path.endsWith("/scale") ? initializers.zeros : initializers.randomNormal({ stddev: INITIAL_DEVIATION });
  }
  const found = weights.get(path);
  if (found === undefined) throw new RangeError(`Cannot make model: the weights have no '${path}'`);
  return {
    name: "given",
    create(shape) {
      if (shape.join() !== found.shape.join()) {
        throw new RangeError(`Cannot make model: '${path}' is [${found.shape.join(", ")}], not [${shape.join(", ")}]`);
      }
      return Float32Array.from(found.data, Number);
    },
  };
}
