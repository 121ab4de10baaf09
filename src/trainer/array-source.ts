// Batches out of arrays in memory, in a seeded order.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { RandomStream, deriveKeyFromName, deriveKey } from "../core/random.ts";
import { elementCount, zeros, type Tensor } from "../core/tensor.ts";
import type { ArrayData, BatchSource, SplitSource } from "./batch-source.ts";

/** How arrays are cut into batches. */
interface CutOptions {
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly epoch: number;
}

/**
 * Cuts arrays into batches. The order of an epoch depends on seed and epoch alone; the last batch has what is left.
 *
 * The keys are the numbers of the samples in the arrays.
 */
export class ArraySource implements BatchSource {
  readonly sampleCount: number;
  readonly stepsPerEpoch: number;
  readonly #arrays: readonly (readonly [name: string, array: Tensor])[];
  readonly #options: CutOptions;
  readonly #first: number;
  #epoch: number;
  #step = 0;

  /** Makes batches of the samples from `first` up to `end`. */
  private constructor(arrays: ArrayData, first: number, end: number, options: CutOptions) {
    this.#arrays = Object.entries(arrays);
    this.#first = first;
    this.#options = options;
    this.#epoch = options.epoch;
    this.sampleCount = end - first;
    this.stepsPerEpoch = Math.ceil(this.sampleCount / options.batchSize);
  }

  /**
   * Holds back the last part of the samples, before any are shuffled, as Keras does.
   *
   * @param arrays - of one first axis
   * @param options - how to cut
   * @param held - the share to hold back, from 0 up to but not including 1
   * @throws {KdataError} `shape` when the arrays are none, are scalars, or differ in the number of samples; `usage` when one of the
   *   parts is empty.
   */
  static split(arrays: ArrayData, options: CutOptions, held: number): SplitSource {
    const count = countSamples(arrays);
    const middle = Math.floor(count * (1 - held));
    if (held > 0 && (middle === 0 || middle === count)) {
      throw new KdataError("usage", `Cannot fit: validationSplit ${held} of ${count} samples leaves a part empty`);
    }
    const train = new ArraySource(arrays, 0, middle, options);
    if (held === 0) return { train, validation: undefined };
    return { train, validation: new ArraySource(arrays, middle, count, { ...options, shuffle: false }) };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    await Promise.resolve();
    const epoch = this.#epoch;
    const order = this.#order(epoch);
    const { batchSize } = this.#options;
    for (let step = this.#step; step < this.stepsPerEpoch; step++) {
      const isLast = step + 1 === this.stepsPerEpoch;
      this.#epoch = isLast ? epoch + 1 : epoch;
      this.#step = isLast ? 0 : step + 1;
      yield this.#batch(order.subarray(step * batchSize, (step + 1) * batchSize), epoch, step);
    }
  }

  /** Says which batch comes next. */
  state(): { readonly epoch: number; readonly step: number } {
    return { epoch: this.#epoch, step: this.#step };
  }

  /**
   * Goes on with the batch that a state says.
   *
   * @throws {KdataError} `state` when it is none of these arrays.
   */
  load(state: unknown): void {
    const { epoch, step } = typeof state === "object" && state !== null ? (state as Record<string, unknown>) : {};
    if (!isWhole(epoch) || !isWhole(step) || step >= Math.max(1, this.stepsPerEpoch)) {
      throw new KdataError(
        "state",
        `Cannot resume arrays: ${JSON.stringify(state)} is no place in ${this.stepsPerEpoch} steps`,
      );
    }
    this.#epoch = epoch;
    this.#step = step;
  }

  /** The numbers of the samples in the order of an epoch: Fisher and Yates' shuffle. */
  #order(epoch: number): Uint32Array {
    const order = Uint32Array.from({ length: this.sampleCount }, (_, i) => this.#first + i);
    if (!this.#options.shuffle) return order;
    const stream = new RandomStream(deriveKey(...deriveKeyFromName(this.#options.seed, "arrays"), epoch));
    for (let left = order.length; left > 1; left--) {
      const chosen = Math.floor(stream.uniform() * left);
      const value = order[chosen] as number;
      order[chosen] = order[left - 1] as number;
      order[left - 1] = value;
    }
    return order;
  }

  #batch(rows: Uint32Array, epoch: number, step: number): Batch {
    const features = Object.fromEntries(this.#arrays.map(([name, array]) => [name, gather(array, rows)]));
    const batch: Batch = {
      size: rows.length,
      padded: 0,
      features,
      keys: Array.from(rows, String),
      epoch,
      step,
      release: () => undefined,
      copy: () => batch,
    };
    return batch;
  }
}

function countSamples(arrays: ArrayData): number {
  const [first, ...others] = Object.entries(arrays);
  if (first === undefined) throw new KdataError("shape", "Cannot use arrays: there are none");
  for (const [name, array] of [first, ...others]) {
    if (typeof array !== "object" || !Array.isArray(array.shape)) {
      throw new TypeError(`Cannot use arrays: '${name}' is no tensor { dtype, shape, data }`);
    }
    if (array.shape.length === 0) throw new KdataError("shape", `Cannot use arrays: '${name}' is a scalar`);
    if (array.data.length !== elementCount(array.shape)) {
      throw new RangeError(
        `Cannot use arrays: '${name}' has ${array.data.length} elements, its shape [${array.shape.join(", ")}]`,
      );
    }
    if (array.shape[0] === first[1].shape[0]) continue;
    throw new KdataError(
      "shape",
      `Cannot use arrays: '${first[0]}' has ${first[1].shape[0]} samples, '${name}' ${array.shape[0]}`,
    );
  }
  return first[1].shape[0] ?? 0;
}

function gather({ dtype, shape, data }: Tensor, rows: Uint32Array): Tensor {
  const rowShape = shape.slice(1);
  const length = elementCount(rowShape);
  const gathered = zeros(dtype, [rows.length, ...rowShape]);
  for (const [at, row] of rows.entries()) {
    gathered.data.set(data.subarray(row * length, (row + 1) * length) as never, at * length);
  }
  return gathered;
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
