// The backend `reference`: plain TypeScript without any package. Slow, and the one that the others are held to.

import { KdataError } from "../../core/errors.ts";
import { copyTensor } from "../../core/tensor.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "../backend.ts";
import type { KnobSpecs } from "../knob-specs.ts";
import { readKnobs } from "../knobs.ts";
import { explainCost } from "../plan-cost.ts";
import type { Plan } from "../plan.ts";
import { checkFeeds, checkPlanState, checkState } from "../session-checks.ts";
import { compute } from "./reference-kernels.ts";

const ENGINE = "plain TypeScript";
const DEVICE = "cpu (1 thread)";

const knobs: KnobSpecs = {};

const explanation: Explanation = {
  engine: ENGINE,
  device: DEVICE,
  threads: 1,
  precision: "float32, summed in float64",
};

/** Makes the backend; it has no knobs and runs wherever Node does. */
export function createReference(): Promise<Backend> {
  return Promise.resolve({ name: "reference", engine: ENGINE, device: DEVICE, knobs, open });
}

function open(state: ReadonlyMap<string, HostTensor>, given: Knobs = {}): Promise<Session> {
  return Promise.resolve().then(() => {
    readKnobs("reference", knobs, given);
    return new ReferenceSession(state);
  });
}

class ReferenceSession implements Session {
  readonly #state = new Map<string, HostTensor>();
  #closed = false;

  constructor(state: ReadonlyMap<string, HostTensor>) {
    for (const [name, value] of state) this.#state.set(name, copyTensor(value));
  }

  compile(plan: Plan): Promise<Program> {
    return this.#whenOpen(`compile ${plan.name}`, () => {
      checkPlanState(plan, this.#state);
      return {
        run: (feeds) => this.#whenOpen(`run ${plan.name}`, () => run(plan, this.#state, feeds)),
        explain: () => ({ ...explanation, ...explainCost(plan) }),
      };
    });
  }

  read(names: readonly string[] = [...this.#state.keys()]): Promise<Map<string, HostTensor>> {
    return this.#whenOpen("read state", () => {
      const entries = names.map((name): [string, HostTensor] => {
        const value = this.#state.get(name);
        if (value === undefined) throw new KdataError("state", `Cannot read state: the session holds no '${name}'`);
        return [name, copyTensor(value)];
      });
      return new Map(entries);
    });
  }

  write(state: ReadonlyMap<string, HostTensor>): Promise<void> {
    return this.#whenOpen("write state", () => {
      for (const [name, value] of state) checkState("write state", this.#state, name, value);
      for (const [name, value] of state) this.#state.set(name, copyTensor(value));
    });
  }

  explain(): Explanation {
    return explanation;
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#state.clear();
    return Promise.resolve();
  }

  #whenOpen<T>(action: string, body: () => T): Promise<T> {
    return Promise.resolve().then(() => {
      if (this.#closed) throw new TypeError(`Cannot ${action}: the session is closed`);
      return body();
    });
  }
}

/** Computes every node in order; only when all are there does the state change. */
function run(
  plan: Plan,
  state: Map<string, HostTensor>,
  feeds: ReadonlyMap<string, HostTensor>,
): Map<string, HostTensor> {
  checkFeeds(plan, feeds);
  const values: (HostTensor | undefined)[] = [];
  for (const [name, id] of plan.feeds) values[id] = feeds.get(name);
  for (const [name, id] of plan.state) values[id] = state.get(name);
  function valueOf(id: number): HostTensor {
    const value = values[id];
    if (value === undefined) throw new RangeError(`Cannot run ${plan.name}: node ${id} has no value`);
    return value;
  }
  for (const node of plan.nodes) values[node.id] ??= compute(node, node.inputs.map(valueOf));

  // Copies: a value may share the memory of a feed or of another value.
  const outputs = new Map(Array.from(plan.outputs, ([name, id]) => [name, copyTensor(valueOf(id))]));
  for (const [name, id] of plan.updates) state.set(name, copyTensor(valueOf(id)));
  return outputs;
}
