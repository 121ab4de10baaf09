// The training backends by name. Each is loaded when it is opened, so nobody pays for an engine that is not used.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { Backend, BackendFactory } from "./backend.ts";

const DEFAULT_BACKEND = "onnx";

const factories: ReadonlyMap<string, () => Promise<BackendFactory>> = new Map([
  ["onnx", async () => (await import("./backends/onnx.ts")).createOnnx],
  ["tfjs", async () => (await import("./backends/tfjs.ts")).createTfjs],
  ["jax", async () => (await import("./backends/jax.ts")).createJax],
  ["reference", async () => (await import("./backends/reference.ts")).createReference],
]);

/** Every backend's name, the default first. */
export const backendNames: readonly string[] = [...factories.keys()];

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
  const create = await findBackend(name)();
  return create();
}

function findBackend(name: string): () => Promise<BackendFactory> {
  const load = factories.get(name);
  if (load) return load;
  const nearest = nearestName(name, backendNames);
  const question = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  throw new KdataError("usage", `unknown backend '${name}' (known: ${backendNames.join(", ")}${question})`);
}
