// What a loss is to the training step.

import type { Sym } from "../graph.ts";

/**
 * Compares a model's prediction with the target.
 *
 * A loss gives one number for each place: `[batch]` where a sample is one prediction, `[batch, time]` for a sequence. The
 * trainer takes the mean over all places that count, weighted: by the sample, or by the place where the weights have its axes.
 */
export interface Loss {
  readonly name: string;
  /**
   * Builds the loss of each place, float32 `[batch, ...s]`.
   *
   * @throws {KdataError} `shape` when target and prediction do not fit each other.
   */
  build(target: Sym, prediction: Sym): Sym;
  /** Says which places count, bool `[batch, ...s]`; left out, all do. */
  counts?(target: Sym, prediction: Sym): Sym;
  /** Counts the classes that targets number from 0 on, where that is what they are; the trainer refuses others. */
  classes?(predictionShape: readonly number[]): number;
  /** A number that targets may be besides, for places that do not count. */
  readonly ignoredClass?: number;
}
