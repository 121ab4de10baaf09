// Batches for the loops of TensorFlow.js, `model.fitDataset` and `model.evaluateDataset`, which take anything with an asynchronous `iterator()`.
// https://js.tensorflow.org/api/latest/#tf.LayersModel.fitDataset

import type { Batch } from "../core/batch.ts";
import { checkOptionNames } from "../core/options.ts";
import type { BatchSource } from "./batch-source.ts";
import { columnOf, ownTensor, type ColumnNames, type ElementTypes } from "./columns.ts";

const ACTION = "Cannot make tfjs tensors";

type TfDType = "bool" | "int32" | "float32";

/** TensorFlow.js has these three alone for numbers. */
const elementTypes: ElementTypes<TfDType> = {
  bool: "bool",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  uint32: "int32",
  int64: "int32",
  uint64: "int32",
  float16: "float32",
  bfloat16: "float32",
  float32: "float32",
  float64: "float32",
};

/** The part of TensorFlow.js that is used: `@tensorflow/tfjs-core` and the packages around it fit. */
export interface TfCore<T> {
  tensor(
    values: Float32Array | Int32Array | Uint8Array | string[],
    shape: number[],
    dtype: "float32" | "int32" | "bool" | "string",
  ): T;
}

/** Which features become what. */
export interface TfDatasetOptions<T> {
  /** The caller's own TensorFlow.js, whose engine makes the tensors. */
  readonly tf: TfCore<T>;
  /** The feature that the model takes, or for a model of several inputs the feature of each. Default `x`. */
  readonly x?: string | ColumnNames;
  /** The feature that it is to learn, or for a model of several outputs the feature of each. Default `y`. */
  readonly y?: string | ColumnNames;
  /** Begins the next epoch when one ends, for a loop that counts its steps itself (`batchesPerEpoch`). Default false. */
  readonly repeat?: boolean;
}

/** One batch as `fitDataset` takes it. */
export interface TfBatch<T> {
  readonly xs: T | Record<string, T>;
  readonly ys: T | Record<string, T>;
}

/** A data set of TensorFlow.js, as far as its loops look at one. */
export interface TfDataset<T> {
  /** Batches of one iteration; `NaN` where nobody knows. */
  readonly size: number;
  /** Starts an iteration: one epoch, or with `repeat` all of them. Nothing is read before the first batch is asked for. */
  iterator(): Promise<{ next(): Promise<IteratorResult<TfBatch<T>, void>> }>;
  /** Closes the source of the batches: its threads and files. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const optionNames: Readonly<Record<keyof TfDatasetOptions<unknown>, true>> = {
  tf: true,
  x: true,
  y: true,
  repeat: true,
};

/**
 * Makes a data set for `model.fitDataset` and `model.evaluateDataset`. Each iterator is the next epoch of the source.
 *
 * Tensors are made with the `tensor` of the caller's `tf`, the batch as leading axis: integers become int32, floats float32, strings stay
 * strings. They hold copies, and the loop disposes of them.
 *
 * TensorFlow.js never says that it leaves an iterator, neither at the end of `batchesPerEpoch` nor when training is stopped. So the threads of
 * the source live until `close()`, which belongs behind the loop.
 *
 * @throws {KdataError} `usage` for an option that is not known; while iterating `shape` when a feature is missing or bytes, or an integer is
 *   beyond int32, and what the source throws.
 */
export function toTfDataset<T>(source: BatchSource, options: TfDatasetOptions<T>): TfDataset<T> {
  checkOptionNames(ACTION, options, Object.keys(optionNames));
  const { stepsPerEpoch = NaN } = source;
  async function close(): Promise<void> {
    await source.close?.();
  }
  return {
    size: options.repeat ? Infinity : stepsPerEpoch,
    iterator: () => Promise.resolve(tensorBatches(source, options)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function* tensorBatches<T>(
  source: BatchSource,
  { tf, x = "x", y = "y", repeat = false }: TfDatasetOptions<T>,
): AsyncGenerator<TfBatch<T>, void> {
  let batches: number;
  do {
    batches = 0;
    for await (const batch of source) {
      const tensors = { xs: tensorsOf(tf, batch, x), ys: tensorsOf(tf, batch, y) };
      batch.release();
      yield tensors;
      batches++;
    }
  } while (repeat && batches > 0);
}

function tensorsOf<T>(tf: TfCore<T>, batch: Batch, names: string | ColumnNames): T | Record<string, T> {
  if (typeof names === "string") return tensorOf(tf, batch, names);
  return Object.fromEntries(Object.entries(names).map(([name, feature]) => [name, tensorOf(tf, batch, feature)]));
}

function tensorOf<T>(tf: TfCore<T>, batch: Batch, feature: string): T {
  const column = columnOf(ACTION, batch, feature);
  if (!("dtype" in column)) return tf.tensor([...column], [column.length], "string");
  const { dtype, shape, data } = ownTensor(ACTION, batch, column, elementTypes);
  return tf.tensor(data, [...shape], dtype);
}
