// What a checkpoint says beside its tensors, as JSON. Numbers that JSON lacks (NaN, infinities) are written as `{ "$number": "NaN" }`.

import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import type { CallbackState } from "./callbacks/callback.ts";
import type { SavedSums } from "./epoch-meter.ts";

/** How far a run has come. */
export interface RunState {
  /** The trainer's seed: with `step` it is the whole state of the random numbers. */
  readonly seed: number;
  readonly firstEpoch: number;
  readonly epoch: number;
  readonly step: number;
  /** Batches of the epoch that were trained. */
  readonly batches: number;
  /** All of the epoch's batches were trained, and it was not validated yet. */
  readonly isOver: boolean;
  /** Sums of the epoch, where it has begun. */
  readonly sums: SavedSums | undefined;
  /** What the source of the batches said. */
  readonly data: unknown;
  readonly history: Readonly<Record<string, readonly number[]>>;
  /** The learning rate that was set, where it was. */
  readonly learningRate: number | undefined;
  /** By place in the list of callbacks. */
  readonly callbacks: readonly (CallbackState | undefined)[];
  /** The best epoch's number so far and the step of its checkpoint, where one is watched. */
  readonly best: { readonly value: number; readonly step: number } | undefined;
}

const VERSION = 1;

/** Prefixes of the tensors of a checkpoint: those of the session, and those of callback `i` under `callback/i/`. */
const tensorPrefix = { state: "state/", callback: "callback/" } as const;

/** Writes a state as JSON. */
export function formatState(state: RunState): string {
  const callbacks = state.callbacks.map((callback) => callback?.values ?? null);
  return JSON.stringify({ version: VERSION, ...state, callbacks }, (_key, value: unknown) =>
    typeof value === "number" && !Number.isFinite(value) ? { $number: String(value) } : value,
  );
}

/** Names the tensors of a checkpoint. */
export function joinTensors(
  session: ReadonlyMap<string, HostTensor>,
  { callbacks }: Pick<RunState, "callbacks">,
): Map<string, HostTensor> {
  const joined = new Map<string, HostTensor>();
  for (const [name, tensor] of session) joined.set(`${tensorPrefix.state}${name}`, tensor);
  for (const [i, callback] of callbacks.entries()) {
    for (const [name, tensor] of callback?.tensors ?? []) joined.set(`${tensorPrefix.callback}${i}/${name}`, tensor);
  }
  return joined;
}

/** Takes the tensors under a prefix out of a checkpoint. */
function tensorsUnder(tensors: ReadonlyMap<string, HostTensor>, prefix: string): Map<string, HostTensor> {
  const found = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) if (name.startsWith(prefix)) found.set(name.slice(prefix.length), tensor);
  return found;
}

/**
 * Reads what {@link formatState} and {@link joinTensors} made.
 *
 * @throws {KdataError} `format` when it is no such state.
 */
export function parseState(
  text: string,
  tensors: ReadonlyMap<string, HostTensor>,
  source: string,
): { readonly state: RunState; readonly session: Map<string, HostTensor> } {
  const parsed: unknown = JSON.parse(text, (_key, value: unknown) =>
    isObject(value) && typeof value["$number"] === "string" ? Number(value["$number"]) : value,
  );
  if (!isObject(parsed) || parsed["version"] !== VERSION) {
    throw new KdataError("format", `Cannot read checkpoint: its version is not ${VERSION}`, { at: { source } });
  }
  for (const name of ["seed", "firstEpoch", "epoch", "step", "batches"]) {
    const value = parsed[name];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) continue;
    throw new KdataError("format", `Cannot read checkpoint: ${name} is ${JSON.stringify(value)}`, { at: { source } });
  }
  const { callbacks, history } = parsed;
  if (!Array.isArray(callbacks) || !isObject(history)) {
    throw new KdataError("format", "Cannot read checkpoint: it has no callbacks or no history", { at: { source } });
  }
  // The file's checksum holds, so what it says of the other fields is what formatState wrote.
  const state = parsed as unknown as RunState;
  const withTensors = callbacks.map((values: CallbackState["values"] | null, i): CallbackState | undefined =>
    values === null ? undefined : { values, tensors: tensorsUnder(tensors, `${tensorPrefix.callback}${i}/`) },
  );
  return { state: { ...state, callbacks: withTensors }, session: tensorsUnder(tensors, tensorPrefix.state) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
