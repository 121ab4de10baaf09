// The training backends by name. Each is loaded when it is opened, so nobody pays for an engine that is not used.

import { KdataError } from "../core/errors.ts";
import { knownNames } from "../core/nearest.ts";
import type { Backend, BackendFactory, Knobs } from "./backend.ts";
import { deviceWith } from "./knobs.ts";
import { openInThread } from "./threaded-backend.ts";

const DEFAULT_BACKEND = "onnx";

/** How a backend is reached. */
interface Registration {
  readonly load: () => Promise<BackendFactory>;
  /** A step blocks the thread that asks for it, so a trainer gives the backend one of its own. */
  readonly blocks: boolean;
  /** It is there to compare others with, not to train on. */
  readonly isOracle?: boolean;
}

const registrations = new Map<string, Registration>([
  ["onnx", { load: async () => (await import("./backends/onnx.ts")).createOnnx, blocks: true }],
  ["tfjs", { load: async () => (await import("./backends/tfjs.ts")).createTfjs, blocks: true }],
  ["jax", { load: async () => (await import("./backends/jax.ts")).createJax, blocks: true }],
  // It is for comparisons of small models, to which a thread would add more than it takes.
  [
    "reference",
    { load: async () => (await import("./backends/reference.ts")).createReference, blocks: false, isOracle: true },
  ],
]);

/** The name of every backend that comes with kdata, the default first. */
export const backendNames: readonly string[] = [...registrations.keys()];

/** Lists the backends that are worth measuring: all that there are, but those that others are only compared with. */
export function benchedBackends(): string[] {
  return Array.from(registrations).flatMap(([name, { isOracle = false }]) => (isOracle ? [] : [name]));
}

/**
 * Adds a backend of one's own under a name; trainers then take it as any other. It computes in the thread that asks: a thread of
 * its own would not know it.
 *
 * @param name - for the `backend` of trainers and for `KDATA_BACKEND`
 * @param load - called when the backend is opened, so that a heavy package is imported then
 * @throws {RangeError} when there is a backend of that name.
 *
 * @example
 * registerBackend("slow", async () => ({ ...(await openBackend("reference")), name: "slow" }));
 * assert.equal((await openBackend("slow")).name, "slow");
 */
export function registerBackend(name: string, load: BackendFactory): void {
  if (registrations.has(name)) throw new RangeError(`Cannot register backend '${name}': there is one of that name`);
  registrations.set(name, { load: () => Promise.resolve(load), blocks: false });
}

/**
 * Chooses a backend's name: the option, else the environment's `KDATA_BACKEND`, else `onnx`. Loads nothing.
 *
 * @throws {KdataError} `usage` when there is no such backend; the message lists those there are.
 */
export function resolveBackendName(option?: string): string {
  const name = option ?? (process.env["KDATA_BACKEND"] || DEFAULT_BACKEND);
  findBackend(name);
  return name;
}

/**
 * Loads a backend.
 *
 * @throws {KdataError} `usage` when there is none of that name, `package` when what it needs is not installed or cannot
 * run here.
 */
export async function openBackend(name: string): Promise<Backend> {
  const create = await findBackend(name).load();
  return create();
}

/**
 * Loads a backend as a trainer uses it: one whose steps block in a thread of its own, unless `computeThread` says otherwise. What it
 * gives is of these knobs: they are checked, and `device` says where it computes with them.
 *
 * @throws {KdataError} what {@link openBackend} throws; `usage` for a knob that the backend does not know; `backend` when the thread
 *   does not start.
 * @throws {RangeError} for a value that a knob cannot have.
 */
export async function openForTraining(
  name: string,
  computeThread: boolean | undefined = findBackend(name).blocks,
  knobs: Knobs = {},
): Promise<Backend> {
  if (computeThread) return openInThread(name, knobs);
  const backend = await openBackend(name);
  const { engine, knobs: specs } = backend;
  try {
    return {
      name,
      engine,
      device: deviceWith(backend, knobs),
      ...(specs && { knobs: specs }),
      open: (state, own) => backend.open(state, own),
      close: async () => {
        await backend.close?.();
      },
    };
  } catch (error) {
    await backend.close?.();
    throw error;
  }
}

function findBackend(name: string): Registration {
  const registration = registrations.get(name);
  if (registration) return registration;
  const known = [...registrations.keys()];
  throw new KdataError("usage", `unknown backend '${name}' (${knownNames(name, known)})`);
}
