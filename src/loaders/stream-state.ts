// How far a loader of a stream has come, as small JSON.

import { differ } from "./fingerprint.ts";
import { checkVersion, fieldsOf, refuse, stringField, wholeNumber } from "./state-json.ts";

/** How far a loader of a stream has come. */
export interface StreamState {
  readonly version: 1;
  readonly seed: number;
  /** Samples that the order is drawn from; 0 without shuffle. */
  readonly bufferSize: number;
  readonly epoch: number;
  /** Samples of the epoch that all ranks together have delivered. */
  readonly samples: number;
  /** What the stream is of: a hash of the shards' names, or nothing where it has none. */
  readonly names: string;
}

/**
 * Holds a state that was saved to the stream that is to go on from it. Nothing of it is believed.
 *
 * @throws {KdataError} `state` when it is no state, or one of other shards, another seed or another order.
 */
export function checkStreamState(saved: unknown, own: Pick<StreamState, "seed" | "bufferSize" | "names">): StreamState {
  const fields = fieldsOf(saved, "the state");
  checkVersion(fields);
  const state: StreamState = {
    version: 1,
    seed: wholeNumber(fields, "seed"),
    bufferSize: wholeNumber(fields, "bufferSize"),
    epoch: wholeNumber(fields, "epoch"),
    samples: wholeNumber(fields, "samples"),
    names: stringField(fields, "names"),
  };
  const differences: string[] = [];
  if (state.names !== own.names) differences.push("shards were renamed, added, removed or put in another order");
  if (state.seed !== own.seed) differences.push(differ("seed", state.seed, own.seed));
  if (state.bufferSize !== own.bufferSize) differences.push(differ("bufferSize", state.bufferSize, own.bufferSize));
  if (differences.length > 0) throw refuse(`the state is of another run: ${differences.join("; ")}`);
  return state;
}
