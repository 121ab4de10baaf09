// Any iterable of arrays as batches for a trainer: samples that are stacked, or batches that are there already.

import type { Batch, Column } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { emptyFeatures, type Sample } from "../core/sample.ts";
import { startStack, viewColumns } from "../loaders/collate.ts";
import { openBatch } from "../loaders/delivered-batch.ts";
import { createSlot } from "../loaders/slots.ts";
import { startOnce } from "../loaders/start-once.ts";
import type { BatchSource } from "./batch-source.ts";
import { readValue, type ForeignValue } from "./values.ts";

const ACTION = "Cannot make batches";

/** Values by the name of the feature: of one sample, or of a whole batch with the samples as leading axis. */
export type ForeignRecord = Readonly<Record<string, ForeignValue>>;

/** Something that can be iterated, or a function that makes one for each epoch. */
export type Iterables<T> = AsyncIterable<T> | Iterable<T> | (() => AsyncIterable<T> | Iterable<T>);

/** How the batches come about. */
export interface ToBatchesOptions {
  /** Stacks so many samples into a batch; the last one of an epoch may be smaller. Left out: what is iterated are batches. */
  readonly batchSize?: number;
  /** The dtype of plain numbers, by feature: class numbers are int32. Default float32. */
  readonly dtypes?: Readonly<Record<string, "float32" | "int32">>;
}

const optionNames: Readonly<Record<keyof ToBatchesOptions, true>> = { batchSize: true, dtypes: true };

/**
 * Makes batches of any iterable of records: `trainer.fit(toBatches(samples, { batchSize: 32 }))`. One iteration is one epoch.
 *
 * With `batchSize` a record is a sample, and equal shapes are stacked; without it a record is a batch, and the first axis of each value its
 * samples. A value is a typed array, a (nested) array of numbers, a number, a boolean, a string, `{ data, shape }`, or a tensor of
 * TensorFlow.js or jax-js, whose elements its `data()` fetches and which the caller disposes of. Bytes are numbers here: a `Uint8Array` is a uint8 tensor.
 *
 * A generator can be iterated once: for several epochs give the function that makes it.
 *
 * @throws {KdataError} `usage` for an option that is not known; while iterating `shape` when records do not fit together, `input` when an
 *   iterable that was read is iterated again.
 * @throws {RangeError} when `batchSize` is not a whole number from 1 on.
 *
 * @example
 * const source = toBatches([{ x: [1, 2], y: 0 }, { x: [3, 4], y: 1 }, { x: [5, 6], y: 0 }], { batchSize: 2, dtypes: { y: "int32" } });
 * const sizes: number[] = [];
 * for await (const batch of source) sizes.push(batch.size);
 * assert.deepEqual(sizes, [2, 1]);
 */
export function toBatches(source: Iterables<ForeignRecord>, options: ToBatchesOptions = {}): BatchSource {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const { batchSize } = options;
  if (batchSize !== undefined) checkWhole(ACTION, "batchSize", batchSize, 1);
  const started = new WeakSet<object>();
  let epoch = 0;
  return {
    [Symbol.asyncIterator]() {
      const records = startOnce(typeof source === "function" ? source() : source, started, readOnce);
      return batchSize === undefined
        ? readyBatches(records, options, epoch++)
        : stackedBatches(records, { ...options, batchSize }, epoch++);
    },
  };
}

function readOnce(): KdataError {
  return new KdataError("input", `${ACTION}: the iterable can be read only once`, {
    hint: "Give a function that makes it anew for each epoch.",
  });
}

async function* stackedBatches(
  records: AsyncIterable<ForeignRecord>,
  { batchSize, dtypes }: ToBatchesOptions & { readonly batchSize: number },
  epoch: number,
): AsyncGenerator<Batch, void> {
  const allocate = createSlot((byteLength) => new ArrayBuffer(byteLength));
  let number = 0;
  let step = 0;
  let stack = startStack(batchSize, allocate);
  function finish(): Batch {
    const collated = stack.finish();
    stack = startStack(batchSize, allocate);
    const { keys } = collated;
    const content = { size: keys.length, padded: 0, features: viewColumns(collated), keys, epoch, step: step++ };
    return openBatch(content, () => undefined);
  }
  for await (const record of records) {
    stack.add(await sampleOf(record, number++, dtypes));
    if (number % batchSize === 0) yield finish();
  }
  if (number % batchSize > 0) yield finish();
}

async function sampleOf(
  record: ForeignRecord,
  number: number,
  dtypes: ToBatchesOptions["dtypes"] = {},
): Promise<Sample> {
  const key = `sample/${number}`;
  const features = emptyFeatures();
  for (const [name, value] of Object.entries(record)) {
    const feature = await readValue(value, `'${name}' of ${key}`, dtypes[name]);
    if (Array.isArray(feature)) throw new TypeError(`${ACTION}: '${name}' of ${key} is a list of strings`);
    features[name] = feature as Exclude<typeof feature, readonly string[]>;
  }
  return { key, origin: { source: "iterable", record: number }, features };
}

async function* readyBatches(
  records: AsyncIterable<ForeignRecord>,
  { dtypes = {} }: ToBatchesOptions,
  epoch: number,
): AsyncGenerator<Batch, void> {
  let number = 0;
  let step = 0;
  for await (const record of records) {
    const features = Object.create(null) as Record<string, Column>;
    let size: number | undefined;
    for (const [name, value] of Object.entries(record)) {
      const what = `'${name}' of batch ${step}`;
      const column = await readValue(value, what, dtypes[name]);
      const rows = typeof column === "string" ? undefined : "dtype" in column ? column.shape[0] : column.length;
      if (typeof column === "string" || rows === undefined) {
        throw new KdataError("shape", `${ACTION}: ${what} has no axis of samples`);
      }
      size ??= rows;
      if (rows !== size) throw new KdataError("shape", `${ACTION}: ${what} has ${rows} samples, others have ${size}`);
      features[name] = column;
    }
    if (size === undefined) throw new KdataError("shape", `${ACTION}: batch ${step} has no features`);
    const first = number;
    number += size;
    const keys = Array.from({ length: size }, (_, row) => `sample/${first + row}`);
    yield openBatch({ size, padded: 0, features, keys, epoch, step: step++ }, () => undefined);
  }
}
