// The traced graph: operations over values of known shape, each made once. A Plan is a part of it, cut out for a backend.

import { KdataError } from "../core/errors.ts";
import { bytesOf, copyTensor, tensor, type Tensor } from "../core/tensor.ts";
import { claimedKernels, type CompositeAttributes } from "./claims.ts";
import { rewrite } from "./graph-rewrites.ts";
import type { Distribution, GraphDType, Op, Plan, PlanComposite, PlanNode, RandomSpec } from "./plan.ts";
import { checkOperandCount, formatShape, formatSpec, sameShape, type ValueSpec } from "./primitives.ts";
import { inferSpec, isShape } from "./shapes.ts";

/** Constants up to this size are compared by content; a larger one is always a node of its own. */
const COMPARED_CONSTANT_BYTES = 1024;

/** A value of a graph: its shape, its dtype, and the operation that makes it. Only a {@link Graph} makes one. */
export class Sym {
  readonly graph: Graph;
  /** Its place in the graph; operands come before their users. */
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
  readonly op: Op;
  readonly inputs: readonly Sym[];
  /** The layer in whose scope it was made first: `encoder/dense_1`. */
  readonly scope: string;

  constructor(graph: Graph, id: number, spec: ValueSpec, node: Pick<Sym, "op" | "inputs" | "scope">) {
    this.graph = graph;
    this.id = id;
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.op = node.op;
    this.inputs = node.inputs;
    this.scope = node.scope;
  }
}

/** What of a graph becomes a plan. Names are those that the program's caller uses. */
export interface PlanSpec {
  /** `train`, `evaluate`, `predict`: for messages. */
  readonly name: string;
  readonly feeds: Readonly<Record<string, Sym>>;
  readonly state: Readonly<Record<string, Sym>>;
  readonly updates: Readonly<Record<string, Sym>>;
  readonly outputs: Readonly<Record<string, Sym>>;
}

/** What a composite is made of. */
export interface CompositeCall {
  readonly inputs: readonly Sym[];
  readonly attributes?: CompositeAttributes;
}

/**
 * A computation under construction.
 *
 * Asking twice for the same operation on the same values gives the same value: nothing is computed twice. Operations that
 * change nothing (`x + 0`, `x * 1`, a transpose of a transpose) make no node.
 *
 * @example
 * const graph = new Graph();
 * const x = graph.input("x", [2, 3], "float32");
 * assert.equal(ops.mul(x, x), ops.mul(x, x));
 * assert.equal(ops.add(x, 0), x);
 */
export class Graph {
  readonly #syms: Sym[] = [];
  readonly #known = new Map<string, Sym>();
  readonly #inputNames = new Set<string>();
  /** By the input's name. */
  readonly #randoms = new Map<string, { readonly sym: Sym; readonly spec: RandomSpec }>();
  readonly #composites: (CompositeCall & { readonly name: string; readonly scope: string; readonly output: Sym })[] =
    [];
  #scope = "";
  #note = "";

  /** The values made so far, operands before their users. */
  get syms(): readonly Sym[] {
    return this.#syms;
  }

  /**
   * Declares a value from outside: a feed, or a state tensor of the session.
   *
   * @throws {TypeError} when the name is taken.
   * @throws {RangeError} when a size is not a whole number from 0 on.
   */
  input(name: string, shape: readonly number[], dtype: GraphDType): Sym {
    if (this.#inputNames.has(name))
      throw new TypeError(`Cannot declare input '${name}': the graph has one of that name`);
    if (!isShape(shape)) throw new RangeError(`Cannot declare input '${name}': ${formatShape(shape)} is not a shape`);
    this.#inputNames.add(name);
    return this.#append({ kind: "input", name }, [], { shape: [...shape], dtype });
  }

  /**
   * Declares a feed of random numbers, fresh at each run. It is called `random/<scope>/<n>`, counted within its scope, and
   * what it draws depends on that name and nothing else of the graph.
   */
  random(shape: readonly number[], distribution: Distribution): Sym {
    const prefix = this.#scope === "" ? "random" : `random/${this.#scope}`;
    let count = 0;
    while (this.#inputNames.has(`${prefix}/${count}`)) count++;
    const name = `${prefix}/${count}`;
    const sym = this.input(name, shape, distribution.kind === "bernoulli" ? "bool" : "float32");
    this.#randoms.set(name, { sym, spec: { shape: sym.shape, distribution } });
    return sym;
  }

  /**
   * Makes a constant: a scalar of `dtype` (float32 by default), or a copy of a tensor.
   *
   * @throws {RangeError} when a number is not one of the dtype: a fraction as int32, anything but 0 and 1 as bool.
   */
  constant(value: number | Tensor<GraphDType>, dtype: GraphDType = "float32"): Sym {
    const copy = typeof value === "number" ? scalar(value, dtype) : copyTensor(value);
    const bytes = bytesOf(copy.data);
    if (bytes.length > COMPARED_CONSTANT_BYTES) return this.#append({ kind: "const", value: copy }, [], copy);
    const key = `const ${formatSpec(copy)} ${Buffer.from(bytes).toString("base64")}`;
    return this.#once(key, () => this.#append({ kind: "const", value: copy }, [], copy));
  }

  /**
   * Applies a primitive. `ops` has a function for each, with defaults and numbers as operands.
   *
   * @throws {KdataError} `shape` when the operands do not fit; the message names the layer.
   * @throws {TypeError} when there are too few or too many operands, or one is another graph's.
   */
  node(op: Exclude<Op, { kind: "input" }>, inputs: readonly Sym[]): Sym {
    checkOperandCount(op.kind, inputs.length);
    if (inputs.some(({ graph }) => graph !== this)) {
      throw new TypeError(`Cannot trace ${op.kind}: an operand belongs to another graph`);
    }
    if (op.kind === "const") return this.constant(op.value);
    const spec = inferSpec(op, inputs);
    if (typeof spec === "string") throw this.misfit(op.kind, spec);
    const simpler = rewrite(op, inputs, spec);
    if (simpler && "value" in simpler) return simpler.value;
    if (simpler && simpler.op.kind !== "input") return this.node(simpler.op, simpler.inputs);
    const key = `${JSON.stringify(op)} ${inputs.map(({ id }) => id).join(" ")}`;
    return this.#once(key, () => this.#append(op, inputs, spec));
  }

  /**
   * Runs `body`; the values it makes belong to the scope `name`, a layer's whole path. A scope inside replaces it meanwhile.
   * A message about values that do not fit gives `name`, and `note` in parentheses.
   */
  scope<T>(name: string, body: () => T, note = ""): T {
    const [outerScope, outerNote] = [this.#scope, this.#note];
    this.#scope = name;
    this.#note = note;
    try {
      return body();
    } finally {
      this.#scope = outerScope;
      this.#note = outerNote;
    }
  }

  /**
   * Runs `body` as a function of many primitives that a backend may have a kernel of its own for: its values belong to the
   * scope `<layer>/<name>`, and a plan says where it begins and ends if a kernel is claimed for it.
   *
   * @param name - what `claim` knows it by
   * @param body - computes it from `inputs` and constants
   * @param call - its operands, and what else tells one such computation from another
   */
  composite(name: string, body: () => Sym, call: CompositeCall = { inputs: [] }): Sym {
    const scope = this.#scope === "" ? name : `${this.#scope}/${name}`;
    const output = this.scope(scope, body, this.#note);
    this.#composites.push({ ...call, name, scope, output });
    return output;
  }

  /** Makes the error for values that do not fit, which names the layer that is being traced. The caller throws it. */
  misfit(action: string, reason: string): KdataError {
    const place = this.#scope === "" ? "" : ` in ${this.#scope}`;
    const note = this.#note === "" ? "" : ` (${this.#note})`;
    return new KdataError("shape", `Cannot trace ${action}${place}${note}: ${reason}`);
  }

  /**
   * Cuts out what the updates and outputs need; random numbers among it become feeds by themselves. Feeds and state that nothing needs are not part of the plan; an update of
   * state by itself neither.
   *
   * @throws {TypeError} when an input is needed that is neither fed nor state, or an update has another shape or dtype than
   * its state.
   */
  plan({ name, feeds, state, updates, outputs }: PlanSpec): Plan {
    const changes = Object.entries(updates).filter(([key, sym]) => state[key] !== sym);
    for (const [key, sym] of changes) checkUpdate(name, key, state[key], sym);
    const results = [...changes, ...Object.entries(outputs)].map(([, sym]) => sym);
    const live = this.#liveFrom(name, results);

    const ids = new Map(live.map((sym, id) => [sym, id]));
    const randoms = [...this.#randoms].filter(([, { sym }]) => ids.has(sym));
    const allFeeds = [...Object.entries(feeds), ...randoms.map(([key, { sym }]): [string, Sym] => [key, sym])];
    const inputNames = new Map([...allFeeds, ...Object.entries(state)].map(([key, sym]) => [sym, key]));
    function named(entries: readonly [string, Sym][]): Map<string, number> {
      return new Map(entries.flatMap(([key, sym]) => (ids.has(sym) ? [[key, ids.get(sym) ?? -1] as const] : [])));
    }
    const nodes = live.map((sym, id): PlanNode => {
      const op: Op =
        sym.op.kind === "input" ? { kind: "input", name: plannedName(name, sym.op, inputNames.get(sym)) } : sym.op;
      const inputs = sym.inputs.map((input) => ids.get(input) ?? -1);
      return { id, op, inputs, shape: sym.shape, dtype: sym.dtype, scope: sym.scope };
    });
    const composites = this.#planComposites(ids);
    return {
      name,
      nodes,
      ...(composites.length > 0 && { composites }),
      feeds: named(allFeeds),
      ...(randoms.length > 0 && { randoms: new Map(randoms.map(([key, { spec }]) => [key, spec])) }),
      state: named(Object.entries(state)),
      updates: named(changes),
      outputs: named(Object.entries(outputs)),
    };
  }

  /** The composites among the live values for which something is claimed. */
  #planComposites(ids: ReadonlyMap<Sym, number>): PlanComposite[] {
    const found = new Map<number, PlanComposite>();
    for (const { name, scope, inputs, output, attributes = {} } of this.#composites) {
      const [id, operands] = [ids.get(output), inputs.map((input) => ids.get(input) ?? -1)];
      if (id === undefined || operands.includes(-1)) continue;
      const kernels = claimedKernels(name, { inputs, output, attributes });
      if (Object.keys(kernels).length > 0) found.set(id, { name, scope, inputs: operands, output: id, kernels });
    }
    return [...found.values()];
  }

  #once(key: string, make: () => Sym): Sym {
    const sym = this.#known.get(key) ?? make();
    this.#known.set(key, sym);
    return sym;
  }

  #append(op: Op, inputs: readonly Sym[], spec: ValueSpec): Sym {
    const sym = new Sym(this, this.#syms.length, spec, { op, inputs, scope: this.#scope });
    this.#syms.push(sym);
    return sym;
  }

  /** The given values and all they are made of, operands first. */
  #liveFrom(name: string, results: readonly Sym[]): Sym[] {
    const live = new Set<Sym>();
    const waiting = [...results];
    for (let sym = waiting.pop(); sym !== undefined; sym = waiting.pop()) {
      if (sym.graph !== this) throw new TypeError(`Cannot plan ${name}: a value belongs to another graph`);
      if (live.has(sym)) continue;
      live.add(sym);
      waiting.push(...sym.inputs);
    }
    return [...live].sort((a, b) => a.id - b.id);
  }
}

function scalar(value: number, dtype: GraphDType): Tensor<GraphDType> {
  if (dtype === "float32") return tensor(dtype, [], Float32Array.of(value));
  const data = dtype === "int32" ? Int32Array.of(value) : Uint8Array.of(value);
  if (data[0] !== value || (dtype === "bool" && value > 1))
    throw new RangeError(`Cannot trace constant: ${value} is no ${dtype}`);
  return tensor(dtype, [], data);
}

function checkUpdate(plan: string, key: string, held: Sym | undefined, next: Sym): void {
  if (held === undefined || (held.dtype === next.dtype && sameShape(held.shape, next.shape))) return;
  throw new TypeError(
    `Cannot plan ${plan}: the update of '${key}' is ${formatSpec(next)}, its state ${formatSpec(held)}`,
  );
}

function plannedName(plan: string, op: { readonly name: string }, name: string | undefined): string {
  if (name !== undefined) return name;
  throw new TypeError(`Cannot plan ${plan}: it needs the input '${op.name}', which is neither fed nor state`);
}
