// Batches of whatever data was given: of anything that can be iterated, or of arrays.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { ArraySource } from "./array-source.ts";
import type { ArrayData, ArrayOptions, BatchSource, DataSource, SplitSource } from "./batch-source.ts";

/**
 * Makes batches of whatever data was given; of arrays the last part may be held back.
 *
 * @throws {KdataError} `usage` when a part of anything but arrays is to be held back, `shape` when arrays have no first axis in common.
 */
export function toBatches(data: DataSource, options: ArrayOptions): SplitSource {
  const { validationSplit = 0, ...rest } = options;
  if (isArrays(data)) return ArraySource.split(data, rest, validationSplit);
  if (validationSplit > 0) {
    throw new KdataError(
      "usage",
      "Cannot fit: validationSplit holds back a part of arrays, and the data comes in batches",
      {
        hint: "its samples cannot be told apart before they come; give `validation` shards or a generator of its own",
      },
    );
  }
  if (Symbol.asyncIterator in data) return { train: data, validation: undefined };
  return { train: asyncSource(data), validation: undefined };
}

/** Says whether data is given as arrays, which `batchSize` and `shuffle` cut into batches. */
function isArrays(data: DataSource): data is ArrayData {
  return !(Symbol.asyncIterator in data) && !(Symbol.iterator in data);
}

function asyncSource(data: Iterable<Batch>): BatchSource {
  return {
    ...(Array.isArray(data) && { stepsPerEpoch: data.length }),
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield* data;
    },
  };
}
