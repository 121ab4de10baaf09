// The backend `onnx`: ONNX Runtime through onnxruntime-node. Each plan is one model, so a training step is one call.
// https://onnxruntime.ai/docs/api/js/

import { availableParallelism } from "node:os";

import type * as Runtime from "onnxruntime-node";

import { KdataError, messageOf } from "../../core/errors.ts";
import { elementCount, type TensorData } from "../../core/tensor.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "../backend.ts";
import type { TakenClaims } from "../composites.ts";
import type { KnobSpecs } from "../knob-specs.ts";
import { readKnobs } from "../knobs.ts";
import type { GraphDType, Plan } from "../plan.ts";
import { explainCost } from "../plan-cost.ts";
import { nodeOf } from "../plan-node.ts";
import type { ValueSpec } from "../primitives.ts";
import { checkFeeds, checkPlanState, checkState } from "../session-checks.ts";
import { buildOnnxModel, type OnnxModel } from "./onnx-model.ts";
import { checkProvider, LOG_FATAL_ONLY } from "./onnx-provider.ts";
import { UpdateMemory, type CompiledLoops } from "./onnx-update-memory.ts";
import { splitUpdates, type UpdateLoop } from "./onnx-updates.ts";

const PACKAGE = "onnxruntime-node@1.30.0";

/**
 * An idle thread waits this long for the next operator before it sleeps, and sleeps at once when a run is over: waking it up would
 * cost a step of many small operators a tenth, and waiting on would take the cores from the loader's workers.
 */
const WAITING = { session: { intra_op: { allow_spinning: "1", spin_duration_us: "100" }, force_spinning_stop: "1" } };
/** What the engine does by itself. */
const WAITING_BUSILY = { session: { intra_op: { allow_spinning: "1" } } };

const knobSpecs = {
  threads: { kind: "count", about: "threads that compute", default: availableParallelism() },
  graphOptimization: {
    kind: "choice",
    about: "how far the engine rewrites the graph",
    default: "all",
    choices: ["disabled", "basic", "extended", "all"],
  },
  executionProvider: {
    kind: "choice",
    about: "where it computes",
    default: "cpu",
    choices: ["cpu", "webgpu", "cuda"],
  },
  spinning: { kind: "flag", about: "idle threads wait busily for long", default: false },
  claims: {
    kind: "flag",
    about: "kernels that are claimed are used",
    default: true,
    measuredBy: "predict",
    isOfClaims: true,
  },
} as const satisfies KnobSpecs;

type Settings = ReturnType<typeof readSettings>;

/**
 * Loads ONNX Runtime.
 *
 * Knobs of its sessions: `threads` (default: as many as the machine has cores), `graphOptimization` (`disabled`, `basic`,
 * `extended` or `all`, the default), `executionProvider` (`cpu`, the default, `webgpu` or `cuda`), `spinning`, `claims`.
 *
 * @throws {KdataError} `package` when onnxruntime-node is not installed or cannot run here.
 */
export async function createOnnx(): Promise<Backend> {
  const runtime = await importRuntime();
  const engine = `onnxruntime-node ${runtime.env.versions.node ?? "of unknown version"}`;
  return {
    name: "onnx",
    engine,
    device: deviceOf({}),
    knobs: knobSpecs,
    deviceOf,
    async open(state, knobs = {}) {
      const settings = readSettings(knobs);
      if (settings.executionProvider !== "cpu") await checkProvider(runtime, settings.executionProvider);
      return new OnnxSession(runtime, engine, settings, state);
    },
  };
}

async function importRuntime(): Promise<typeof Runtime> {
  try {
    return await import("onnxruntime-node");
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";
    const reason = missing ? "the package onnxruntime-node is not installed" : "onnxruntime-node does not load here";
    throw new KdataError("package", `Cannot use backend onnx: ${reason}`, { hint: `npm install ${PACKAGE}`, cause });
  }
}

function readSettings(knobs: Knobs) {
  return readKnobs("onnx", knobSpecs, knobs);
}

function deviceOf(knobs: Knobs): string {
  const { executionProvider, threads } = readSettings(knobs);
  return executionProvider === "cpu" ? `cpu (${threadCount(threads)})` : executionProvider;
}

/**
 * One state tensor. A run reads it and puts the engine's output in its place. Outputs allocated before the run gain nothing:
 * the binding fills them and copies them all the same.
 */
interface Slot extends ValueSpec {
  tensor: Runtime.Tensor;
  /** Whether loops work on the tensor's memory: then that stays, and new elements are copied in. */
  isPlaced?: boolean;
}

class OnnxSession implements Session {
  readonly #runtime: typeof Runtime;
  readonly #engine: string;
  readonly #settings: Settings;
  readonly #slots = new Map<string, Slot>();
  readonly #programs: OnnxProgram[] = [];
  /** Holds the state that loops replace in place. */
  readonly #memory = new UpdateMemory();
  /** What became of claims, by plan. */
  readonly #claims: Record<string, string> = {};

  constructor(runtime: typeof Runtime, engine: string, settings: Settings, state: ReadonlyMap<string, HostTensor>) {
    this.#runtime = runtime;
    this.#engine = engine;
    this.#settings = settings;
    for (const [name, { dtype, shape, data }] of state) {
      const tensor = emptyTensor(runtime, dtype, shape);
      copyInto(tensor, data);
      this.#slots.set(name, { dtype, shape, tensor });
    }
  }

  async compile(plan: Plan): Promise<Program> {
    checkPlanState(plan, this.#slots);
    const split = splitUpdates(plan);
    const { plan: modelled, loops } = this.#memory.hasRoom(split.loops) ? split : { plan, loops: [] };
    const model = buildOnnxModel(modelled, this.#settings.claims ? { claimsOf: "onnx" } : {});
    Object.assign(this.#claims, explainClaims(plan.name, model.claims));
    const compiled = this.#compileLoops(loops);
    const engine = await attempt(`compile ${plan.name}`, () =>
      this.#runtime.InferenceSession.create(model.bytes, {
        executionProviders: [this.#settings.executionProvider],
        intraOpNumThreads: this.#settings.threads,
        graphOptimizationLevel: this.#settings.graphOptimization,
        logSeverityLevel: LOG_FATAL_ONLY,
        extra: this.#settings.spinning ? WAITING_BUSILY : WAITING,
      }),
    );
    const parts = { plan, model, loops: compiled, loopCount: loops.length };
    const program = new OnnxProgram(this.#runtime, engine, parts, this.#slots);
    this.#programs.push(program);
    return program;
  }

  /** Moves the state that loops replace to where they work. */
  #compileLoops(loops: readonly UpdateLoop[]): CompiledLoops | undefined {
    if (loops.length === 0) return undefined;
    return this.#memory.compile(
      loops,
      (name) => elementsOf(slotOf(this.#slots, name).tensor),
      (name, elements) => {
        const slot = slotOf(this.#slots, name);
        slot.tensor = new this.#runtime.Tensor("float32", elements, slot.shape);
        slot.isPlaced = true;
      },
    );
  }

  read(names: readonly string[] = [...this.#slots.keys()]): Promise<Map<string, HostTensor>> {
    return Promise.resolve().then(() => {
      const entries = names.map((name): [string, HostTensor] => {
        const slot = this.#slots.get(name);
        if (slot === undefined) throw new KdataError("state", `Cannot read state: the session holds no '${name}'`);
        return [name, { dtype: slot.dtype, shape: slot.shape, data: elementsOf(slot.tensor).slice() }];
      });
      return new Map(entries);
    });
  }

  write(state: ReadonlyMap<string, HostTensor>): Promise<void> {
    return Promise.resolve().then(() => {
      for (const [name, tensor] of state) checkState("write state", this.#slots, name, tensor);
      for (const [name, { data }] of state) {
        const slot = this.#slots.get(name);
        if (slot !== undefined) copyInto(slot.tensor, data);
      }
    });
  }

  explain(): Explanation {
    return {
      engine: this.#engine,
      device: this.#settings.executionProvider,
      ...this.#settings,
      precision: "float32",
      ...this.#claims,
    };
  }

  async close(): Promise<void> {
    this.#slots.clear();
    for (const program of this.#programs.splice(0)) await program.close();
  }
}

/** What a program computes: first the model, then the loops. */
interface ProgramParts {
  readonly plan: Plan;
  readonly model: OnnxModel;
  readonly loops: CompiledLoops | undefined;
  readonly loopCount: number;
}

class OnnxProgram implements Program {
  readonly #runtime: typeof Runtime;
  readonly #engine: Runtime.InferenceSession;
  readonly #parts: ProgramParts;
  readonly #plan: Plan;
  readonly #model: OnnxModel;
  readonly #slots: ReadonlyMap<string, Slot>;
  /** Feeds out of shared memory are copied here, because ONNX Runtime refuses shared memory. */
  readonly #feedCopies = new Map<string, Runtime.Tensor>();
  #closed = false;

  constructor(
    runtime: typeof Runtime,
    engine: Runtime.InferenceSession,
    parts: ProgramParts,
    slots: ReadonlyMap<string, Slot>,
  ) {
    this.#runtime = runtime;
    this.#engine = engine;
    this.#parts = parts;
    this.#plan = parts.plan;
    this.#model = parts.model;
    this.#slots = slots;
  }

  async run(feeds: ReadonlyMap<string, HostTensor>): Promise<Map<string, HostTensor>> {
    if (this.#closed) throw new TypeError(`Cannot run ${this.#plan.name}: its session is closed`);
    checkFeeds(this.#plan, feeds);
    const inputs: Record<string, Runtime.Tensor> = {};
    for (const [name, input] of this.#model.feeds) {
      const feed = feeds.get(name);
      if (feed !== undefined) inputs[input] = this.#feedTensor(name, feed);
    }
    for (const [name, input] of this.#model.state) inputs[input] = this.#slot(name).tensor;

    const results = await attempt(`run ${this.#plan.name}`, () => this.#engine.run(inputs));
    this.#parts.loops?.run((name) => this.#numbers(name, results));
    for (const [name, update] of this.#model.updates) replace(this.#slot(name), this.#result(name, update, results));
    return new Map(Array.from(this.#plan.outputs, ([name, id]) => [name, this.#output(name, id, results)]));
  }

  explain(): Explanation {
    return {
      nodes: this.#plan.nodes.length,
      operators: this.#model.operators,
      ...(this.#parts.loopCount > 0 && { "update loops": this.#parts.loopCount }),
      modelBytes: this.#model.bytes.byteLength,
      ...explainCost(this.#plan),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#engine.release();
  }

  #feedTensor(name: string, { dtype, shape, data }: HostTensor): Runtime.Tensor {
    if (data.buffer instanceof ArrayBuffer) return new this.#runtime.Tensor(dtype, data, shape);
    let copy = this.#feedCopies.get(name);
    if (copy === undefined) {
      copy = emptyTensor(this.#runtime, dtype, shape);
      this.#feedCopies.set(name, copy);
    }
    copyInto(copy, data);
    return copy;
  }

  #slot(name: string): Slot {
    return slotOf(this.#slots, name);
  }

  /** What a loop reads of the model's outputs. */
  #numbers(name: string, results: Runtime.InferenceSession.ReturnType): Float32Array {
    const { data } = this.#result(name, nameOf(this.#model.outputs, name), results);
    if (data instanceof Float32Array) return data;
    throw new KdataError("backend", `Cannot run ${this.#plan.name} on onnx: '${name}' is not float32`);
  }

  #output(name: string, id: number, results: Runtime.InferenceSession.ReturnType): HostTensor {
    const { dtype, shape } = nodeOf(this.#plan, id);
    return { dtype, shape, data: elementsOf(this.#result(name, nameOf(this.#model.outputs, name), results)) };
  }

  #result(name: string, output: string, results: Runtime.InferenceSession.ReturnType): Runtime.Tensor {
    const result = results[output];
    if (result instanceof this.#runtime.Tensor) return result;
    throw new KdataError("backend", `Cannot run ${this.#plan.name} on onnx: the engine returned no '${name}'`);
  }
}

function replace(slot: Slot, tensor: Runtime.Tensor): void {
  if (slot.isPlaced) copyInto(slot.tensor, elementsOf(tensor));
  else slot.tensor = tensor;
}

function slotOf(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (slot === undefined) throw new KdataError("state", `Cannot use state: the session holds no '${name}'`);
  return slot;
}

/** Says which claims a program took and why it left others. */
function explainClaims(plan: string, { taken, left }: TakenClaims): Record<string, string> {
  const scopes = taken.map(({ composite }) => composite.scope).join(", ");
  return {
    ...(taken.length > 0 && { [`claimed in ${plan}`]: scopes }),
    ...(left.length > 0 && { [`not claimed in ${plan}`]: left.join("; ") }),
  };
}

/** Calls the engine, whose errors become ours. */
async function attempt<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new KdataError("backend", `Cannot ${action} on onnx: ${reason}`, { cause });
  }
}

function emptyTensor(runtime: typeof Runtime, dtype: GraphDType, shape: readonly number[]): Runtime.Tensor {
  const length = elementCount(shape);
  switch (dtype) {
    case "float32":
      return new runtime.Tensor(dtype, new Float32Array(length), shape);
    case "int32":
      return new runtime.Tensor(dtype, new Int32Array(length), shape);
    case "bool":
      return new runtime.Tensor(dtype, new Uint8Array(length), shape);
  }
}

/** The elements of a tensor that has one of the graph's dtypes: ONNX Runtime's type knows strings and 64 bits as well. */
function elementsOf(tensor: Runtime.Tensor): TensorData<GraphDType> {
  return tensor.data as TensorData<GraphDType>;
}

function copyInto(tensor: Runtime.Tensor, data: TensorData<GraphDType>): void {
  elementsOf(tensor).set(data);
}

function nameOf(names: ReadonlyMap<string, string>, name: string): string {
  return names.get(name) ?? name;
}

function threadCount(threads: number): string {
  return threads === 1 ? "1 thread" : `${threads} threads`;
}
