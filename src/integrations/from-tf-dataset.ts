// A data set of TensorFlow.js as batches for a trainer. https://js.tensorflow.org/api/latest/#class:data.Dataset

import type { BatchSource } from "./batch-source.ts";
import { toBatches, type ForeignRecord, type ToBatchesOptions } from "./to-batches.ts";
import type { ForeignValue, RemoteTensor } from "./values.ts";

/** A data set of TensorFlow.js, as far as it is looked at. Its elements are `{ xs, ys }` or records of values. */
export interface ForeignTfDataset {
  iterator(): Promise<{ next(): Promise<IteratorResult<unknown, unknown>> }>;
}

/** How the elements of a data set become batches. */
export interface FromTfDatasetOptions extends ToBatchesOptions {
  /** The names of the features, by what they are in an element. Default `{ xs: "x", ys: "y" }`; what is not named here keeps its name. */
  readonly names?: Readonly<Record<string, string>>;
}

const DEFAULT_NAMES = { xs: "x", ys: "y" } as const;

/**
 * Makes batches of a data set of TensorFlow.js: `trainer.fit(fromTfDataset(dataset.batch(32)))`. One iteration is one epoch.
 *
 * An element is a record, flat or as `{ xs: { a, b }, ys }` nested, whose inner names then are the features. Its tensors are fetched and
 * disposed of. With `batchSize` elements are samples and are stacked here.
 *
 * @throws {KdataError} `shape` while iterating when elements do not fit together.
 * @throws {TypeError} while iterating when an element is no record.
 */
export function fromTfDataset(dataset: ForeignTfDataset, options: FromTfDatasetOptions = {}): BatchSource {
  const { names = DEFAULT_NAMES, ...rest } = options;
  return toBatches(() => recordsOf(dataset, new Map(Object.entries(names))), rest);
}

async function* recordsOf(
  dataset: ForeignTfDataset,
  names: ReadonlyMap<string, string>,
): AsyncGenerator<ForeignRecord, void> {
  const iterator = await dataset.iterator();
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return;
    const record: Record<string, ForeignValue> = {};
    const tensors: RemoteTensor[] = [];
    for (const [name, value] of flatten(next.value)) {
      record[names.get(name) ?? name] = isRemote(value) ? await fetched(value) : (value as ForeignValue);
      if (isRemote(value)) tensors.push(value);
    }
    for (const tensor of tensors) dispose(tensor);
    yield record;
  }
}

function* flatten(element: unknown): Generator<readonly [name: string, value: unknown]> {
  if (typeof element !== "object" || element === null || Array.isArray(element)) {
    throw new TypeError("Cannot read tfjs data set: its elements are no records such as { xs, ys }");
  }
  for (const [name, value] of Object.entries(element as Readonly<Record<string, unknown>>)) {
    const isNested = typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
    if (isNested && !("shape" in value)) yield* flatten(value);
    else yield [name, value];
  }
}

function isRemote(value: unknown): value is RemoteTensor {
  return typeof value === "object" && value !== null && "data" in value && typeof value.data === "function";
}

/** Holds the elements of a tensor, which itself can then be disposed of. */
async function fetched(tensor: RemoteTensor): Promise<RemoteTensor> {
  const { shape, dtype } = tensor;
  const elements = await tensor.data();
  return { shape, dtype, data: () => Promise.resolve(elements) };
}

function dispose(tensor: object): void {
  if ("dispose" in tensor && typeof tensor.dispose === "function") (tensor as { dispose(): void }).dispose();
}
