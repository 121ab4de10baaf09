// What the suites over all backends loop over: the registry, and the engines of tfjs that the registry's choice passes by.

import { KdataError } from "../../../src/core/errors.ts";
import type { Backend } from "../../../src/trainer/backend.ts";
import { enginePackages } from "../../../src/trainer/backends/tfjs-engines.ts";
import { createTfjs } from "../../../src/trainer/backends/tfjs.ts";
import { backendNames, openBackend } from "../../../src/trainer/registry.ts";
import { openInThread } from "../../../src/trainer/threaded-backend.ts";

/** A backend to test, or the reason why it is not here. */
export interface Candidate {
  readonly name: string;
  readonly backend: Backend | undefined;
  /** It computes in a thread of its own what another one computes in this one. */
  readonly isThread: boolean;
  readonly reason: string;
}

/** Backends that are also tried in a thread of their own: the oracle, and the one that most train on. */
const threaded = ["reference", "onnx"];

/** Opens every backend, tfjs on each of its engines, and some in a thread of their own. */
export async function openCandidates(): Promise<Candidate[]> {
  const openers = [
    ...backendNames.map((name) => ({ name, isThread: false, open: () => openBackend(name) })),
    ...threaded.map((name) => ({ name: `${name} in a thread`, isThread: true, open: () => openInThread(name) })),
    ...enginePackages.map((name) => ({ name: `tfjs on ${name}`, isThread: false, open: () => createTfjs([name]) })),
  ];
  const candidates: Candidate[] = [];
  for (const { name, isThread, open } of openers) {
    try {
      candidates.push({ name, backend: await open(), isThread, reason: "" });
    } catch (error) {
      if (!(error instanceof KdataError) || error.code !== "package") throw error;
      candidates.push({ name, backend: undefined, isThread, reason: error.message });
    }
  }
  return candidates;
}
