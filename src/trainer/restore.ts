// What of a saved state goes into a session, held to what the session has.

import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import { statePrefix } from "./train-step.ts";

/** What to take of a saved state. */
export interface RestoreOptions {
  /** Leaves the optimizer's state as it is: for another optimizer, or to begin a fine-tuning. Default false. */
  readonly weightsOnly?: boolean;
}

/**
 * Chooses the tensors of a saved state that replace those of a session: all but the optimizer's settings, which are the trainer's own.
 *
 * @param saved - what was read
 * @param present - what the session holds now
 * @param settings - names of state that a saved one does not replace
 * @param options - what to leave out
 * @throws {KdataError} `state` when a tensor is missing, is too much or has another shape; nothing has been replaced then.
 */
export function chooseRestored(
  saved: ReadonlyMap<string, HostTensor>,
  present: ReadonlyMap<string, HostTensor>,
  settings: readonly string[],
  options: RestoreOptions,
): Map<string, HostTensor> {
  function isWanted(name: string): boolean {
    return !settings.includes(name) && !(options.weightsOnly === true && name.startsWith(statePrefix.optimizer));
  }
  const chosen = new Map<string, HostTensor>();
  for (const [name, { dtype, shape }] of present) {
    if (!isWanted(name)) continue;
    const tensor = saved.get(name);
    if (tensor === undefined) throw misfit(name, "is missing");
    if (tensor.shape.join() !== shape.join()) {
      throw misfit(name, `has the shape [${tensor.shape.join(", ")}], the model wants [${shape.join(", ")}]`);
    }
    if (tensor.dtype !== dtype) throw misfit(name, `is ${tensor.dtype}, not ${dtype}`);
    chosen.set(name, tensor);
  }
  for (const name of saved.keys()) {
    if (isWanted(name) && !present.has(name)) throw misfit(name, "has no place in this model or its optimizer");
  }
  return chosen;
}

function misfit(name: string, reason: string): KdataError {
  const isOptimizers = name.startsWith(statePrefix.optimizer);
  return new KdataError("state", `Cannot load weights: '${name}' ${reason}`, {
    ...(isOptimizers && { hint: "another optimizer saved it? load(path, { weightsOnly: true }) leaves its state out" }),
  });
}
