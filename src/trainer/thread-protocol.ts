// Every message between a trainer and the thread in which its backend computes.

import type { PackedError } from "../core/packed-error.ts";
import type { Explanation, HostTensor, Knobs } from "./backend.ts";
import type { KnobSpecs } from "./knob-specs.ts";
import type { Plan } from "./plan.ts";

/** What the thread is started with (`workerData`). */
export interface ThreadStart {
  /** The backend's name in the registry. */
  readonly backend: string;
}

/** What a backend says of itself once it is loaded. */
export interface BackendDescription {
  readonly name: string;
  readonly engine: string;
  /** With the knobs that were given. */
  readonly device: string;
  readonly knobs: KnobSpecs | undefined;
}

/** A program in the thread, and what it and its session say of themselves now. */
export interface CompiledInThread {
  readonly program: number;
  readonly explanation: Explanation;
  readonly session: Explanation;
}

type Tensors = ReadonlyMap<string, HostTensor>;

/** The calls that the thread answers: arguments and result of each. Sessions and programs go by number. */
export interface ThreadCalls {
  readonly describe: { readonly args: readonly [knobs: Knobs]; readonly result: BackendDescription };
  readonly open: {
    readonly args: readonly [session: number, state: Tensors, knobs: Knobs | undefined];
    readonly result: Explanation;
  };
  readonly compile: { readonly args: readonly [session: number, plan: Plan]; readonly result: CompiledInThread };
  readonly run: { readonly args: readonly [program: number, feeds: Tensors]; readonly result: Tensors };
  readonly read: {
    readonly args: readonly [session: number, names: readonly string[] | undefined];
    readonly result: Tensors;
  };
  readonly write: { readonly args: readonly [session: number, state: Tensors]; readonly result: undefined };
  readonly close: { readonly args: readonly [session: number]; readonly result: undefined };
}

/** Trainer to thread. */
export type ThreadCall = {
  readonly [Name in keyof ThreadCalls]: {
    readonly call: number;
    readonly name: Name;
    readonly args: ThreadCalls[Name]["args"];
  };
}[keyof ThreadCalls];

/** Thread to trainer. */
export type ThreadAnswer =
  | { readonly call: number; readonly ok: true; readonly result: ThreadCalls[keyof ThreadCalls]["result"] }
  | { readonly call: number; readonly ok: false; readonly error: PackedError };
