// Samples of about one length in one batch, so that little of it is filled up: tf.data's `bucket_by_sequence_length`, `group_by_length` of
// Hugging Face's trainer, BucketBatchSampler of torch's world.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { isBytesList, type Sample } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";
import { MAX_WINDOW } from "./batch-transform.ts";
import { requireFeature } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** How {@link bucketByLength} sorts. */
export interface BucketByLengthSettings {
  /** Over how many batches, of all ranks together, samples are sorted. Default 50. */
  readonly window?: number;
  /**
   * Upper ends of the buckets, ascending, each the first length that is no longer in its bucket, as in tf.data. Lengths of one bucket count
   * as equal. Default: every length is a bucket of its own.
   */
  readonly boundaries?: readonly number[];
  /** The axis of a tensor whose size is the length. Default 0. */
  readonly axis?: number;
}

/** The description that {@link bucketByLength} returns. */
export interface BucketByLengthDescription {
  readonly transform: "bucketByLength";
  readonly feature: string;
  readonly window: number;
  readonly axis: number;
  readonly boundaries?: readonly number[];
}

// What Hugging Face's trainer takes for `group_by_length`: enough that batches have little to fill up, and few samples to sort.
const DEFAULT_WINDOW = 50;
/** A length is kept in 32 bits, less one value. */
const MAX_LENGTH = 2 ** 32 - 2;

/**
 * Has the loader put samples of about one length into one batch; samples themselves stay as they are, and `padBatch` fills the batch
 * up. The length is that of the feature at this place of the chain: the size of a tensor's axis, the characters (UTF-16 units) of a string,
 * bytes, items of a list; a tensor without axes, a whole number, is the length itself, so that a function of `map` can say it.
 *
 * The order of the epoch is taken `window` batches at a time, and sorted by length within these; batches then come in random order where
 * the loader shuffles, from the shortest on where it does not. All ranks have the batches of one length at one step. The order still
 * depends on (seed, epoch, position) and the data alone: workers, prefetch and resume do not change it, and a state goes on with
 * other batch sizes and ranks without losing or repeating a sample.
 *
 * To know the lengths of a window its records are read, and what stands before this transform is applied to them, once more: shared
 * by all workers. So put it as early as the length is known. A sample that is bad or filtered out stays beside the one before it.
 *
 * @throws {KdataError} `shape`, for each sample, when the feature is missing or has no length.
 */
export function bucketByLength(feature: string, settings: BucketByLengthSettings = {}): BucketByLengthDescription {
  const action = `Cannot bucket by the length of '${feature}'`;
  checkOptionNames(action, settings, ["window", "boundaries", "axis"]);
  const { window = DEFAULT_WINDOW, axis = 0, boundaries } = settings;
  checkWhole(action, "window", window, 1, MAX_WINDOW);
  checkWhole(action, "axis", axis, 0);
  for (const [i, boundary] of boundaries?.entries() ?? []) {
    checkWhole(action, `boundaries[${i}]`, boundary, i > 0 ? (boundaries?.[i - 1] ?? 0) + 1 : 1, MAX_LENGTH);
  }
  return { transform: "bucketByLength", feature, window, axis, ...(boundaries && { boundaries: [...boundaries] }) };
}

/** Builds what the transform does to a sample: nothing. What it does to the order is the loader's part. */
export function buildBucketByLength(): Transform {
  return (sample) => sample;
}

/** Builds what finds the length of a sample: see {@link bucketByLength}. */
export function buildLength({ feature: name, axis }: BucketByLengthDescription): (sample: Sample) => number {
  return (sample) => {
    const feature = requireFeature(sample, name, "bucket by the length of");
    if (typeof feature === "string" || isBytesList(feature)) return feature.length;
    if (feature instanceof Uint8Array) return feature.byteLength;
    if ("json" in feature) {
      if (Array.isArray(feature.json) || typeof feature.json === "string") return feature.json.length;
      throw noLength(sample, name, "it is JSON without a length");
    }
    return feature.shape.length === 0 ? lengthItself(sample, name, feature) : sizeOf(sample, name, feature, axis);
  };
}

/** Says in which bucket a length falls: ascending with it. */
export function bucketOf(length: number, boundaries: readonly number[] | undefined): number {
  if (!boundaries) return length;
  let bucket = 0;
  while (bucket < boundaries.length && (boundaries[bucket] as number) <= length) bucket++;
  return bucket;
}

function lengthItself(sample: Sample, name: string, { data }: Tensor): number {
  const value = Number(data[0]);
  if (Number.isInteger(value) && value >= 0 && value <= MAX_LENGTH) return value;
  throw noLength(sample, name, `${value} is no length from 0 to ${MAX_LENGTH}`);
}

function sizeOf(sample: Sample, name: string, { shape }: Tensor, axis: number): number {
  const size = shape[axis];
  if (size !== undefined) return size;
  throw noLength(sample, name, `[${shape.join(", ")}] has no axis ${axis}`);
}

function noLength(sample: Sample, name: string, reason: string): KdataError {
  return new KdataError("shape", `Cannot bucket by the length of '${name}': ${reason}`, { at: sample.origin });
}
