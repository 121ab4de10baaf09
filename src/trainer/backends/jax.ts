// The backend `jax`: jax-js, which compiles a whole plan into fused WebAssembly kernels. https://github.com/ekzhang/jax-js
//
// jax-js counts references: every function takes over the arrays it is given, and `.ref` adds a reference for another use.

import type * as Jax from "@jax-js/jax";

import { KdataError, messageOf } from "../../core/errors.ts";
import { elementCount } from "../../core/tensor.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "../backend.ts";
import type { KnobSpecs } from "../knob-specs.ts";
import { readKnobs } from "../knobs.ts";
import { nodeOf } from "../plan-node.ts";
import type { GraphDType, Plan, PlanNode } from "../plan.ts";
import type { ValueSpec } from "../primitives.ts";
import { checkFeeds, checkPlanState, checkState } from "../session-checks.ts";
import { simplifyPlan } from "../simplify.ts";
import { kernelFor, uploadTensor, type JaxArray } from "./jax-kernels.ts";

const PACKAGE = "@jax-js/jax";
const VERSION = "0.1.25"; // the package does not tell its own
const DEVICE = "wasm (1 thread)"; // its threads are those of browsers, which Node has not

const SCALAR: ValueSpec = { dtype: "int32", shape: [] };

const knobs: KnobSpecs = {};

const explanation: Explanation = { engine: `jax-js ${VERSION}`, device: DEVICE, threads: 1, precision: "float32" };

/**
 * Loads jax-js. Its sessions have no knobs.
 *
 * @throws {KdataError} `package` when @jax-js/jax is not installed or does not load here.
 */
export async function createJax(): Promise<Backend> {
  const jax = await importJax();
  return {
    name: "jax",
    engine: `jax-js ${VERSION}`,
    device: DEVICE,
    knobs,
    open(state, given: Knobs = {}) {
      return Promise.resolve().then(() => {
        readKnobs("jax", knobs, given);
        return new JaxSession(jax, state);
      });
    },
  };
}

async function importJax(): Promise<typeof Jax> {
  try {
    return await import("@jax-js/jax");
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";
    const reason = missing ? `the package ${PACKAGE} is not installed` : `${PACKAGE} does not load here`;
    throw new KdataError("package", `Cannot use backend jax: ${reason}`, {
      hint: `npm install ${PACKAGE}@${VERSION}`,
      cause,
    });
  }
}

/** A state tensor: replaced as a whole when a run updates it. */
interface Slot extends ValueSpec {
  array: JaxArray;
}

class JaxSession implements Session {
  readonly #jax: typeof Jax;
  readonly #slots = new Map<string, Slot>();
  readonly #programs: JaxProgram[] = [];

  constructor(jax: typeof Jax, state: ReadonlyMap<string, HostTensor>) {
    this.#jax = jax;
    for (const [name, tensor] of state) {
      this.#slots.set(name, { dtype: tensor.dtype, shape: tensor.shape, array: uploadTensor(jax, tensor) });
    }
  }

  compile(plan: Plan): Promise<Program> {
    return Promise.resolve().then(() => {
      checkPlanState(plan, this.#slots);
      const program = new JaxProgram(this.#jax, plan, this.#slots);
      this.#programs.push(program);
      return program;
    });
  }

  async read(names: readonly string[] = [...this.#slots.keys()]): Promise<Map<string, HostTensor>> {
    const entries: [string, HostTensor][] = [];
    for (const name of names) {
      const slot = slotOf(this.#slots, name);
      entries.push([name, await download(slot, slot.array.ref)]);
    }
    return new Map(entries);
  }

  write(state: ReadonlyMap<string, HostTensor>): Promise<void> {
    return Promise.resolve().then(() => {
      for (const [name, tensor] of state) checkState("write state", this.#slots, name, tensor);
      for (const [name, tensor] of state) replace(slotOf(this.#slots, name), uploadTensor(this.#jax, tensor));
    });
  }

  explain(): Explanation {
    return explanation;
  }

  close(): Promise<void> {
    return Promise.resolve().then(() => {
      for (const program of this.#programs.splice(0)) program.close();
      for (const { array } of this.#slots.values()) array.dispose();
      this.#slots.clear();
    });
  }
}

class JaxProgram implements Program {
  readonly #jax: typeof Jax;
  readonly #plan: Plan;
  readonly #slots: ReadonlyMap<string, Slot>;
  /** Constants beyond a scalar, by node, and zeros: they are handed in, because jax-js would write them into its program. */
  readonly #constants: ReadonlyMap<number, JaxArray>;
  readonly #compiled: Jax.OwnedFunction<(args: JaxArray[]) => JaxArray[]>;
  /** Nodes whose operand is of indices, which the engine clamps in silence: the program gives their bounds to be looked at. */
  readonly #indexed: readonly IndexedNode[];
  #closed = false;

  constructor(jax: typeof Jax, traced: Plan, slots: ReadonlyMap<string, Slot>) {
    const plan = simplifyPlan(traced);
    this.#jax = jax;
    this.#plan = plan;
    this.#slots = slots;
    this.#constants = uploadConstants(jax, plan);
    const given = [...plan.feeds.values(), ...plan.state.values(), ...this.#constants.keys()];
    const results = [...plan.outputs.values(), ...plan.updates.values()];
    this.#indexed = indexedNodes(plan);
    const bounded = this.#indexed.map(({ indices }) => indices);
    this.#compiled = jax.jit((args: JaxArray[]) => {
      const made = replay(jax, plan, given, [...results, ...bounded], args);
      const bounds = made.splice(results.length).flatMap((x) => [jax.numpy.min(x.ref), jax.numpy.max(x)]);
      return [...made, ...bounds];
    });
  }

  async run(feeds: ReadonlyMap<string, HostTensor>): Promise<Map<string, HostTensor>> {
    if (this.#closed) throw new TypeError(`Cannot run ${this.#plan.name}: its session is closed`);
    checkFeeds(this.#plan, feeds);
    const results = this.#compute(feeds);
    await this.#checkIndices(results);
    const names = [...this.#plan.updates.keys()];
    for (const [place, array] of results.splice(this.#plan.outputs.size).entries()) {
      replace(slotOf(this.#slots, names[place] ?? ""), array);
    }
    const outputs = new Map<string, HostTensor>();
    for (const [name, id] of this.#plan.outputs) {
      const array = results[outputs.size];
      if (array !== undefined) outputs.set(name, await download(nodeOf(this.#plan, id), array));
    }
    return outputs;
  }

  explain(): Explanation {
    return { nodes: this.#plan.nodes.length };
  }

  close(): void {
    this.#closed = true;
    this.#compiled.dispose();
    for (const array of this.#constants.values()) array.dispose();
  }

  /** Takes the bounds of indices off the results. Where an index is no row, everything is disposed and the state stays. */
  async #checkIndices(results: JaxArray[]): Promise<void> {
    const bounds = results.splice(this.#plan.outputs.size + this.#plan.updates.size);
    const numbers: number[] = [];
    for (const bound of bounds) numbers.push(...(await download(SCALAR, bound)).data);
    for (const [place, { node, rows }] of this.#indexed.entries()) {
      const index = numbers.slice(2 * place, 2 * place + 2).find((bound) => bound < 0 || bound >= rows);
      if (index === undefined) continue;
      for (const array of results) array.dispose();
      const what = node.scope === "" ? node.op.kind : `${node.op.kind} of ${node.scope}`;
      throw new KdataError(
        "backend",
        `Cannot run ${this.#plan.name} on jax: ${what}: index ${index} is not in [0, ${rows})`,
      );
    }
  }

  #compute(feeds: ReadonlyMap<string, HostTensor>): JaxArray[] {
    const { plan, jax } = { plan: this.#plan, jax: this.#jax };
    const args: JaxArray[] = [];
    for (const name of plan.feeds.keys()) {
      const feed = feeds.get(name);
      if (feed !== undefined) args.push(uploadTensor(jax, feed));
    }
    for (const name of plan.state.keys()) args.push(slotOf(this.#slots, name).array.ref);
    for (const array of this.#constants.values()) args.push(array.ref);
    try {
      return this.#compiled(args);
    } catch (cause) {
      const reason = messageOf(cause);
      throw new KdataError("backend", `Cannot run ${plan.name} on jax: ${reason}`, { cause });
    }
  }
}

/** A node that reads or adds to rows of a table by their numbers. */
interface IndexedNode {
  readonly node: PlanNode;
  /** The node of the row numbers. */
  readonly indices: number;
  readonly rows: number;
}

function indexedNodes(plan: Plan): IndexedNode[] {
  return plan.nodes.flatMap((node): IndexedNode[] => {
    const [first, second] = node.inputs.map((id) => nodeOf(plan, id));
    if (first === undefined || second === undefined) return [];
    const [indices, rows] =
      node.op.kind === "gather"
        ? [second, first.shape[0] ?? 0]
        : node.op.kind === "scatterAdd"
          ? [first, node.op.rows]
          : [undefined, 0];
    return indices === undefined || elementCount(indices.shape) === 0 ? [] : [{ node, indices: indices.id, rows }];
  });
}

/** Computes a plan node by node: eagerly, or on the tracers of jit. Takes over `args`, one for each of the `given` nodes. */
function replay(
  jax: typeof Jax,
  plan: Plan,
  given: readonly number[],
  results: readonly number[],
  args: readonly JaxArray[],
): JaxArray[] {
  const usesLeft = plan.nodes.map(() => 0);
  for (const id of [...plan.nodes.flatMap(({ inputs }) => inputs), ...results]) usesLeft[id] = (usesLeft[id] ?? 0) + 1;
  const values: (JaxArray | undefined)[] = [];
  function take(id: number): JaxArray {
    const value = values[id];
    if (value === undefined) throw new RangeError(`Cannot run ${plan.name}: node ${id} has no value`);
    const left = (usesLeft[id] ?? 0) - 1;
    usesLeft[id] = left;
    return left > 0 ? value.ref : value;
  }
  for (const [place, id] of given.entries()) {
    values[id] = args[place];
    if (usesLeft[id] === 0) args[place]?.dispose();
  }
  for (const node of plan.nodes) {
    if (given.includes(node.id)) continue;
    const sources = node.inputs.map((id) => nodeOf(plan, id));
    values[node.id] = kernelFor(jax, node, sources)(node.inputs.map(take));
  }
  return results.map(take);
}

function uploadConstants(jax: typeof Jax, plan: Plan): Map<number, JaxArray> {
  const constants = new Map<number, JaxArray>();
  for (const { id, op } of plan.nodes) {
    if (op.kind !== "const") continue;
    // It takes the product with a 0 that it knows for 0, also of NaN and infinities.
    const isFolded = elementCount(op.value.shape) === 1 && op.value.data[0] !== 0;
    if (!isFolded) constants.set(id, uploadTensor(jax, op.value));
  }
  return constants;
}

/** Copies an array out of the engine and takes it over. */
async function download({ dtype, shape }: ValueSpec, array: JaxArray): Promise<HostTensor> {
  const data: unknown = await array.data(); // a typed array; one kind of them is unknown to this Node's types
  return { dtype, shape, data: elementsOf(dtype, data as ArrayLike<number>) };
}

/** Booleans come as 32-bit integers. The engine's memory is not handed out: what it gives is copied. */
function elementsOf(dtype: GraphDType, data: ArrayLike<number>): HostTensor["data"] {
  switch (dtype) {
    case "float32":
      return Float32Array.from(data);
    case "int32":
      return Int32Array.from(data);
    case "bool":
      return Uint8Array.from(data);
  }
}

function replace(slot: Slot, array: JaxArray): void {
  slot.array.dispose();
  slot.array = array;
}

function slotOf(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (slot === undefined) throw new KdataError("state", `Cannot use state: the session holds no '${name}'`);
  return slot;
}
