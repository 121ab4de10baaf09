// What a training backend is to the rest of kdata. One file each in backends/, one lazy line in the registry.

import type { Tensor } from "../core/tensor.ts";
import type { GraphDType, Plan } from "./plan.ts";

/** A tensor of the graph in host memory. */
export type HostTensor = Tensor<GraphDType>;

/** Settings that only one backend knows: `threads`, a device. Unknown ones are refused by the backend with `usage`. */
export type Knobs = Readonly<Record<string, string | number | boolean>>;

/** One `name: value` line of what a backend really does: threads, device, precision, what it could not honour. */
export type Explanation = Readonly<Record<string, string | number | boolean>>;

/** An execution engine. Stateless; {@link Backend.open} starts a session. */
export interface Backend {
  readonly name: string;
  /** The engine behind it and its version: `onnxruntime-node 1.30.0`. */
  readonly engine: string;
  /** Where it computes: `cpu (2 threads)`, `wasm (simd)`. */
  readonly device: string;
  /**
   * Starts a session with copies of the given state tensors.
   *
   * @throws {KdataError} `usage` for an unknown knob, `backend` when the engine refuses.
   */
  open(state: ReadonlyMap<string, HostTensor>, knobs?: Knobs): Promise<Session>;
}

/** State tensors that stay inside a backend, and the programs that read and update them. */
export interface Session {
  /** Compiles a plan over this session's state. */
  compile(plan: Plan): Promise<Program>;
  /** Copies state tensors to the host; all of them without `names`. */
  read(names?: readonly string[]): Promise<Map<string, HostTensor>>;
  /** Replaces state tensors by copies of the given ones. */
  write(state: ReadonlyMap<string, HostTensor>): Promise<void>;
  explain(): Explanation;
  /** Frees everything, the programs included. Calling it twice is harmless. */
  close(): Promise<void>;
}

/** A compiled plan. Runs of one session do not overlap: a caller awaits one before the next. */
export interface Program {
  /**
   * Runs the plan once: reads feeds and state, replaces the state that the plan updates, returns the outputs.
   *
   * A feed's memory may be shared memory and may be reused once the promise settles. The outputs are the caller's.
   */
  run(feeds: ReadonlyMap<string, HostTensor>): Promise<Map<string, HostTensor>>;
  explain(): Explanation;
}

/** Makes a backend, or throws {@link KdataError} `package` that names what to install and why it cannot run here. */
export type BackendFactory = () => Promise<Backend>;
