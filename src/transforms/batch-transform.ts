// What a transform of whole batches is: of the samples before they are stacked, or of their stack.

import type { Column } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { RandomStream } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";

/** Batches over which samples are chosen by their lengths, at most. */
export const MAX_WINDOW = 2 ** 20;

/**
 * Maps the samples of a batch, in order, to the rows that are stacked, no more than those. The given samples are left as they are.
 * `rowOf` says, in ascending order, which row each of them shares, where that was decided beforehand.
 */
export type SamplesTransform = (samples: readonly Sample[], rowOf?: readonly number[]) => readonly Sample[];

/** The features of a batch, each with its leading axis. The memory of the tensors is the batch's own and may be written. */
export type StackedFeatures = Readonly<Record<string, Column>>;

/**
 * Changes the tensors of a batch in place. `random` makes the stream it draws from, which depends on (seed, epoch, position of the first
 * sample, place in the chain) alone.
 */
export type StackTransform = (features: StackedFeatures, random: () => RandomStream) => void;

/**
 * Finds a float32 tensor of a batch.
 *
 * @throws {KdataError} `shape` when there is none of that name, or it is another thing.
 */
export function requireFloats(features: StackedFeatures, name: string, action: string): Tensor<"float32"> {
  const column = Object.hasOwn(features, name) ? features[name] : undefined;
  if (column === undefined) {
    throw new KdataError("shape", `Cannot ${action} '${name}': the batch has only ${Object.keys(features).join(", ")}`);
  }
  const { dtype, shape } = column as Partial<Tensor>;
  if (dtype === "float32") return column as Tensor<"float32">;
  const what = dtype === undefined ? "no tensor" : `${dtype} [${shape?.join(", ")}]`;
  throw new KdataError("shape", `Cannot ${action} '${name}': it is ${what}, not float32`);
}
