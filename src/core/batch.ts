// Samples stacked along a new leading axis: what a loader delivers and a trainer consumes.

import type { JsonValue } from "./sample.ts";
import type { Tensor } from "./tensor.ts";

/** One feature of a batch: a tensor with the batch as its leading axis, or a value for each sample. */
export type Column =
  | Tensor
  | readonly Uint8Array[]
  | readonly (readonly Uint8Array[])[]
  | readonly string[]
  | readonly { readonly json: JsonValue }[];

/**
 * Samples that train together.
 *
 * The memory of its tensors may be reused: it is valid until `release()` is called or the next batch is taken from the
 * same loader, whichever comes first. `copy()` keeps one for longer.
 */
export interface Batch {
  /** Rows on the leading axis, the padded ones included. */
  readonly size: number;
  /** Rows at the end that repeat other samples to fill the batch; they are not part of the data. */
  readonly padded: number;
  /** Samples of its place in the epoch that are missing, because they were bad or filtered out; left out by sources that leave out none. */
  readonly skipped?: number;
  readonly features: Readonly<Record<string, Column>>;
  /** One key a row. */
  readonly keys: readonly string[];
  /** Counted from 0. */
  readonly epoch: number;
  /** The number of the batch in its epoch, counted from 0. */
  readonly step: number;
  /** Gives the memory back. Calling it twice is harmless. */
  release(): void;
  /** Copies the batch into memory of its own, which stays valid. */
  copy(): Batch;
}

/** Says whether a column is a tensor. */
export function isTensorColumn(column: Column): column is Tensor {
  return !Array.isArray(column);
}
