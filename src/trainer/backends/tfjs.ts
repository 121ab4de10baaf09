// The backend `tfjs`: TensorFlow.js on whichever of its engines runs here. A plan is interpreted node by node; a tensor in
// between lives until its last use. https://js.tensorflow.org/api/latest/

import type { Tensor } from "@tensorflow/tfjs-core";

import { KdataError, messageOf } from "../../core/errors.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "../backend.ts";
import type { KnobSpecs } from "../knob-specs.ts";
import { readKnobs } from "../knobs.ts";
import type { Plan, PlanNode } from "../plan.ts";
import { explainCost } from "../plan-cost.ts";
import { nodeOf } from "../plan-node.ts";
import type { ValueSpec } from "../primitives.ts";
import { checkFeeds, checkPlanState, checkState } from "../session-checks.ts";
import { simplifyPlan } from "../simplify.ts";
import { engineDevice, engineNames, loadEngine, packageOfEngine, type TfjsEngine } from "./tfjs-engines.ts";
import { kernelFor, type Kernel } from "./tfjs-kernels.ts";

const knobSpecs = {
  engine: {
    kind: "choice",
    about: "which of TensorFlow.js' engines computes",
    default: "auto",
    choices: ["auto", ...engineNames],
  },
} as const satisfies KnobSpecs;

/**
 * Loads TensorFlow.js with the best engine of `packages` that runs here: by default native on GPU, native on CPU,
 * WebAssembly, plain JavaScript. The knob `engine` of a session asks for one of them.
 *
 * @throws {KdataError} `package` when no engine runs; the message says why for each.
 */
export async function createTfjs(packages?: readonly string[]): Promise<Backend> {
  const best = await loadEngine(packages);
  return {
    name: "tfjs",
    engine: `${best.packageName} ${best.core.version_core}`,
    device: best.device,
    knobs: knobSpecs,
    deviceOf: (knobs) => engineDevice(readKnobs("tfjs", knobSpecs, knobs).engine) ?? best.device,
    async open(state, knobs: Knobs = {}) {
      const chosen = packageOfEngine(readKnobs("tfjs", knobSpecs, knobs).engine);
      const engine = chosen === undefined ? best : await loadEngine([chosen]);
      await activate(engine);
      return new TfjsSession(engine, state);
    },
  };
}

/** Makes the engine the current one of TensorFlow.js, of which a process has one: somebody else may have set another. */
async function activate({ core, registeredAs }: TfjsEngine): Promise<void> {
  if (core.getBackend() !== registeredAs) await core.setBackend(registeredAs);
}

/** A state tensor: replaced as a whole when a run updates it. */
interface Slot extends ValueSpec {
  tensor: Tensor;
}

class TfjsSession implements Session {
  readonly #engine: TfjsEngine;
  readonly #slots = new Map<string, Slot>();
  readonly #programs: TfjsProgram[] = [];

  constructor(engine: TfjsEngine, state: ReadonlyMap<string, HostTensor>) {
    this.#engine = engine;
    for (const [name, tensor] of state) {
      this.#slots.set(name, { dtype: tensor.dtype, shape: tensor.shape, tensor: upload(engine, tensor) });
    }
  }

  async compile(plan: Plan): Promise<Program> {
    checkPlanState(plan, this.#slots);
    await activate(this.#engine);
    const program = new TfjsProgram(this.#engine, plan, this.#slots);
    this.#programs.push(program);
    return program;
  }

  async read(names: readonly string[] = [...this.#slots.keys()]): Promise<Map<string, HostTensor>> {
    await activate(this.#engine);
    return new Map(names.map((name) => [name, download(slotOf(this.#slots, name), slotOf(this.#slots, name).tensor)]));
  }

  async write(state: ReadonlyMap<string, HostTensor>): Promise<void> {
    await activate(this.#engine);
    for (const [name, tensor] of state) checkState("write state", this.#slots, name, tensor);
    for (const [name, tensor] of state) replace(slotOf(this.#slots, name), upload(this.#engine, tensor));
  }

  explain(): Explanation {
    const { packageName, core, device, passedOver } = this.#engine;
    return {
      engine: `${packageName} ${core.version_core}`,
      device,
      precision: "float32",
      ...(passedOver.length === 0 ? {} : { "passed over": passedOver.join("; ") }),
    };
  }

  async close(): Promise<void> {
    await activate(this.#engine);
    for (const program of this.#programs.splice(0)) program.close();
    for (const { tensor } of this.#slots.values()) tensor.dispose();
    this.#slots.clear();
  }
}

/** One node to compute, and the nodes whose tensors nobody needs after it. */
interface Step {
  readonly node: PlanNode;
  readonly kernel: Kernel;
  readonly finished: readonly number[];
}

class TfjsProgram implements Program {
  readonly #engine: TfjsEngine;
  readonly #plan: Plan;
  readonly #slots: ReadonlyMap<string, Slot>;
  readonly #steps: readonly Step[];
  /** Tensors of the constants, by node. */
  readonly #constants: ReadonlyMap<number, Tensor>;
  #closed = false;

  constructor(engine: TfjsEngine, traced: Plan, slots: ReadonlyMap<string, Slot>) {
    const plan = simplifyPlan(traced);
    this.#engine = engine;
    this.#plan = plan;
    this.#slots = slots;
    this.#steps = planSteps(engine, plan);
    this.#constants = uploadConstants(engine, plan);
  }

  async run(feeds: ReadonlyMap<string, HostTensor>): Promise<Map<string, HostTensor>> {
    if (this.#closed) throw new TypeError(`Cannot run ${this.#plan.name}: its session is closed`);
    checkFeeds(this.#plan, feeds);
    await activate(this.#engine);
    return this.#runNow(feeds);
  }

  explain(): Explanation {
    return { nodes: this.#plan.nodes.length, kernels: this.#steps.length, ...explainCost(this.#plan) };
  }

  close(): void {
    this.#closed = true;
    for (const tensor of this.#constants.values()) tensor.dispose();
  }

  /** Runs without giving way, so that nobody else's use of TensorFlow.js comes in between. */
  #runNow(feeds: ReadonlyMap<string, HostTensor>): Map<string, HostTensor> {
    const values = new Map<number, Tensor>(this.#constants);
    const made = new Map<number, Tensor>();
    for (const [name, id] of this.#plan.state) values.set(id, slotOf(this.#slots, name).tensor);
    try {
      for (const [name, id] of this.#plan.feeds) {
        const feed = feeds.get(name);
        if (feed !== undefined) keep(id, upload(this.#engine, feed), values, made);
      }
      for (const { node, kernel, finished } of this.#steps) {
        keep(node.id, this.#compute(node, kernel, values), values, made);
        for (const id of finished) {
          made.get(id)?.dispose();
          made.delete(id);
        }
      }
      const outputs = new Map(
        Array.from(this.#plan.outputs, ([name, id]) => [name, download(nodeOf(this.#plan, id), valueOf(values, id))]),
      );
      this.#update(values, made);
      return outputs;
    } finally {
      for (const tensor of made.values()) tensor.dispose();
    }
  }

  #compute(node: PlanNode, kernel: Kernel, values: ReadonlyMap<number, Tensor>): Tensor {
    try {
      return kernel(node.inputs.map((id) => valueOf(values, id)));
    } catch (cause) {
      const reason = messageOf(cause);
      const place = node.scope === "" ? node.op.kind : `${node.op.kind} of ${node.scope}`;
      throw new KdataError("backend", `Cannot run ${this.#plan.name} on tfjs: ${place}: ${reason}`, { cause });
    }
  }

  /** Puts new values into the state: tensors made in this run are taken, others copied (feeds, constants, other state). */
  #update(values: ReadonlyMap<number, Tensor>, made: Map<number, Tensor>): void {
    const fresh = Array.from(this.#plan.updates, ([name, id]): [string, Tensor] => {
      const own = made.get(id);
      made.delete(id);
      return [name, own ?? valueOf(values, id).clone()];
    });
    for (const [name, tensor] of fresh) replace(slotOf(this.#slots, name), tensor);
  }
}

function planSteps(engine: TfjsEngine, plan: Plan): Step[] {
  const computed = plan.nodes.filter(({ op }) => op.kind !== "input" && op.kind !== "const" && op.kind !== "iota");
  const lastUse = new Map<number, number>();
  for (const node of plan.nodes) for (const id of node.inputs) lastUse.set(id, node.id);
  const results = new Set([...plan.outputs.values(), ...plan.updates.values()]);
  return computed.map((node) => ({
    node,
    kernel: kernelFor(
      engine,
      node,
      node.inputs.map((id) => nodeOf(plan, id)),
    ),
    finished: [...new Set(node.inputs)].filter((id) => lastUse.get(id) === node.id && !results.has(id)),
  }));
}

function uploadConstants(engine: TfjsEngine, plan: Plan): Map<number, Tensor> {
  const constants = new Map<number, Tensor>();
  for (const { id, op } of plan.nodes) {
    if (op.kind === "const") constants.set(id, upload(engine, op.value));
    if (op.kind === "iota") constants.set(id, countingTensor(engine, op.shape, op.axis));
  }
  return constants;
}

function countingTensor(engine: TfjsEngine, shape: readonly number[], axis: number): Tensor {
  const size = shape[axis] ?? 0;
  const inner = shape.slice(axis + 1).reduce((product, next) => product * next, 1);
  const outer = shape.slice(0, axis).reduce((product, next) => product * next, 1);
  const data = Int32Array.from({ length: outer * size * inner }, (_, place) => Math.floor(place / inner) % size);
  return upload(engine, { dtype: "int32", shape, data });
}

function keep(id: number, tensor: Tensor, values: Map<number, Tensor>, made: Map<number, Tensor>): void {
  values.set(id, tensor);
  made.set(id, tensor);
}

/** Copies a tensor into the engine. */
function upload(engine: TfjsEngine, { dtype, shape, data }: HostTensor): Tensor {
  const values = engine.copiesUploads ? data : data.slice();
  return engine.core.engine().makeTensor(values, [...shape], dtype);
}

/** Copies a tensor out of the engine, whose plain engine would hand out its own memory. */
function download({ dtype, shape }: ValueSpec, tensor: Tensor): HostTensor {
  return { dtype, shape, data: tensor.dataSync().slice() };
}

function replace(slot: Slot, tensor: Tensor): void {
  slot.tensor.dispose();
  slot.tensor = tensor;
}

function slotOf(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (slot === undefined) throw new KdataError("state", `Cannot use state: the session holds no '${name}'`);
  return slot;
}

function valueOf(values: ReadonlyMap<number, Tensor>, id: number): Tensor {
  const tensor = values.get(id);
  if (tensor === undefined) throw new RangeError(`Cannot run plan: node ${id} is used before it is made`);
  return tensor;
}
