// What a training backend is to the rest of kdata. One file each in backends/, one lazy line in the registry.

import type { Tensor } from "../core/tensor.ts";
import type { KnobSpecs } from "./knob-specs.ts";
import type { GraphDType, Plan } from "./plan.ts";

/** A tensor of the graph in host memory. */
export type HostTensor = Tensor<GraphDType>;

/**
 * Settings that only some backends know. Those of the backends that come with kdata are typed; one of your own may have others. A
 * backend refuses what it does not know.
 */
export interface Knobs {
  /** Of `onnx`: threads that compute. Default: as many as there are cores. */
  readonly threads?: number;
  /** Of `onnx`: how far its engine rewrites the graph. Default `all`. */
  readonly graphOptimization?: "disabled" | "basic" | "extended" | "all";
  /** Of `onnx`: where it computes. Default `cpu`. */
  readonly executionProvider?: "cpu" | "webgpu" | "cuda";
  /** Of `onnx`: whether idle threads wait busily, which takes cores from the loader's workers. Default false. */
  readonly spinning?: boolean;
  /** Of `onnx`: whether kernels that are claimed are used. Default true. */
  readonly claims?: boolean;
  /** Of `tfjs`: the engine. Default `auto`, the first that runs here of the others in their order. */
  readonly engine?: "auto" | "node-gpu" | "node" | "wasm" | "cpu";
  readonly [name: string]: string | number | boolean | undefined;
}

/** One `name: value` line of what a backend really does: threads, device, precision, what it could not honour. */
export type Explanation = Readonly<Record<string, string | number | boolean>>;

/** An execution engine. Stateless; {@link Backend.open} starts a session. */
export interface Backend {
  readonly name: string;
  /** The engine behind it and its version: `onnxruntime-node 1.30.0`. */
  readonly engine: string;
  /** Where it computes where no knob says otherwise: `cpu (2 threads)`, `wasm (simd)`. */
  readonly device: string;
  /** What its sessions may be told. Left out: `open` alone knows. */
  readonly knobs?: KnobSpecs;
  /** Says where it computes with given knobs. Default: {@link device}. */
  deviceOf?(knobs: Knobs): string;
  /**
   * Starts a session with copies of the given state tensors.
   *
   * @throws {KdataError} `usage` for an unknown knob, `package` when what a knob asks for is not here, `backend` when the engine refuses.
   * @throws {RangeError} for a value that a knob cannot have.
   */
  open(state: ReadonlyMap<string, HostTensor>, knobs?: Knobs): Promise<Session>;
  /** Frees what the backend holds where no session was opened; a session frees its own. */
  close?(): Promise<void>;
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
