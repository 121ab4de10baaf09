// One batch from its positions: order, read, transform, stack. The same code in a worker thread and in the main thread.

import { isSampleError, KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { buildBatchSteps, findLengthRule, splitChain, type BatchStep } from "../transforms/chain.ts";
import type { Pipeline } from "../transforms/transform.ts";
import { startAccount, type BatchAccount, type OpenAccount } from "./account.ts";
import type { CollatedBatch } from "./collate.ts";
import { ColumnMaker } from "./column-maker.ts";
import { recordCount } from "./dataset.ts";
import { epochLength, orderOf, pipelineOf, transformNames, type EpochRecipe } from "./epoch.ts";
import type { Order } from "./order.ts";
import { openStore } from "./open-cache.ts";
import { packError } from "../core/packed-error.ts";
import { LengthMeter, type BatchRows } from "./length-meter.ts";
import { findOrRead, RecordReader } from "./record-reader.ts";
import { changeStack, startSampleStack } from "./sample-stack.ts";
import { startTiming, type BatchTimings } from "./timings.ts";
import type { Span } from "./topology.ts";

/** What a batch maker works from. Plain data and shared memory, which can cross a thread. */
export interface BatchRecipe extends EpochRecipe {
  /** How many makers work side by side and share the files that a process may open. */
  readonly makers: number;
  /** Bad samples are left out and told of; otherwise the first one is the error of its batch. */
  readonly skipsBad?: boolean;
  /** A batch all of whose samples are left out gets one padded sample, because other ranks make the same step. */
  readonly fillsEmpty?: boolean;
}

/** Which batch to make. */
export interface BatchJob extends Span {
  readonly epoch: number;
  readonly step: number;
  /** Where the global batch starts, of which this is one rank's part. */
  readonly globalStart: number;
}

/** A batch, and what became of the samples of its positions. Plain data and shared memory, which can cross a thread. */
export interface CollatedJob<M extends ArrayBufferLike = ArrayBufferLike> extends CollatedBatch<M> {
  readonly account: BatchAccount;
  readonly timings: BatchTimings;
}

/** Makes batches of a data set by number. */
export class BatchMaker {
  readonly #recipe: BatchRecipe;
  /** Records of the data set, and positions of an epoch. */
  readonly #records: number;
  readonly #positions: number;
  readonly #reader: RecordReader;
  readonly #pipeline: Pipeline;
  readonly #store: ReturnType<typeof openStore> | undefined;
  /** How many transforms there are for each sample, and what is done to batches. */
  readonly #sampleTransforms: number;
  readonly #steps: readonly BatchStep[];
  readonly #onRecord: (record: number) => void;
  readonly #meter: LengthMeter | undefined;
  /** Given up at the first batch that it cannot make. */
  #columns: ColumnMaker | undefined;
  #order: { readonly epoch: number; readonly recordAt: Order } | undefined;

  /**
   * Builds the transforms; opens no file yet. `onRecord` hears of each record before it is read, and NaN before a whole batch is read
   * as columns.
   *
   * @throws {KdataError} `usage` when there is no such transform, or one is at a wrong place.
   */
  constructor(recipe: BatchRecipe, onRecord: (record: number) => void = () => undefined) {
    this.#recipe = recipe;
    this.#onRecord = onRecord;
    this.#records = recordCount(recipe.dataset);
    this.#positions = epochLength(recipe);
    const chain = splitChain(recipe.transforms);
    this.#sampleTransforms = transformNames(recipe).length - chain.ofBatches.length;
    this.#store = recipe.cache && openStore(recipe.cache);
    this.#pipeline = pipelineOf(recipe, this.#store);
    this.#steps = buildBatchSteps(chain, recipe.seed);
    this.#reader = new RecordReader(recipe.dataset, recipe.makers);
    const isOfStack = this.#steps.every(({ kind }) => kind === "stack");
    const rule = findLengthRule(chain);
    if (rule) {
      this.#meter = LengthMeter.create({
        recipe,
        rule,
        reader: this.#reader,
        store: this.#store,
        onRecord,
        orderOf: (epoch) => this.#orderOf(epoch),
      });
    }
    if (isOfStack && !recipe.mixture) this.#columns = ColumnMaker.create(this.#reader, chain.ofSamples);
  }

  /**
   * Makes a batch in memory that `allocate` gives: of the samples that are neither bad nor filtered out, in the order of their
   * positions.
   *
   * @throws {KdataError} what a reader or a transform finds, with the position, where bad samples are not left out; `shape` when
   *   samples disagree; `format` when a batch that must not be empty finds no sample in the whole data set.
   */
  make<M extends ArrayBufferLike>(job: BatchJob, allocate: (byteLength: number) => M): CollatedJob<M> {
    const { rows, cost } = this.#meter?.choose(job) ?? { rows: this.#rowsOf(job), cost: undefined };
    const made = this.#makeOfColumns(job, rows, allocate) ?? this.#makeOfSamples(job, rows, allocate);
    return cost ? { ...made, timings: cost(made.timings) } : made;
  }

  /** Closes the files. */
  close(): void {
    this.#reader.close();
    this.#store?.close();
  }

  #rowsOf({ start, size, padded }: BatchJob): BatchRows {
    const positions = new Array<number>(size);
    for (let row = 0; row < size; row++) positions[row] = (start + row) % this.#positions;
    return { positions, padded };
  }

  #makeOfColumns<M extends ArrayBufferLike>(
    job: BatchJob,
    { positions, padded }: BatchRows,
    allocate: (byteLength: number) => M,
  ): CollatedJob<M> | undefined {
    if (!this.#columns) return undefined;
    const timing = startTiming(this.#sampleTransforms);
    const recordAt = this.#orderOf(job.epoch);
    const records = new Float64Array(positions.length); // loops, because Array.from with a function costs more than the order does
    for (let row = 0; row < records.length; row++) records[row] = recordAt(positions[row] as number);
    this.#onRecord(NaN);
    const made = this.#columns.make(records, allocate);
    if (!made) return undefined;
    const { batch, ...times } = made;
    changeStack(this.#steps, batch, job, timing);
    const account = { read: positions.length - padded, filtered: 0, padded, failures: [] };
    return { ...batch, account, timings: timing.ofColumns(times) };
  }

  #makeOfSamples<M extends ArrayBufferLike>(
    job: BatchJob,
    { positions, padded, rowOf }: BatchRows,
    allocate: (byteLength: number) => M,
  ): CollatedJob<M> {
    const { epoch } = job;
    const size = positions.length;
    const recordAt = this.#orderOf(epoch);
    const timing = startTiming(this.#sampleTransforms);
    const steps = this.#steps.filter((step) => step.kind === "samples");
    const stack = startSampleStack(rowOf ? Math.max(1, (rowOf.at(-1) ?? 0) + 1) : size, allocate, steps, timing);
    const account = startAccount();
    for (const [row, position] of positions.entries()) {
      timing.beginSample(row);
      account.begin(row >= size - padded);
      const sample = this.#take(recordAt(position), position, epoch, account, timing.times);
      if (sample) stack.add(sample, rowOf?.[row]);
      timing.endSample(row);
    }
    if (account.rows() === 0 && this.#recipe.fillsEmpty) stack.add(this.#nearest(job, account));
    const { batch, account: done } = stack.finish({
      ...account.finish(),
      ...(rowOf && { span: job.size - job.padded }),
    });
    changeStack(this.#steps, batch, job, timing);
    // A bad sample says nothing of the batches to come; a batch without one could have been made of columns, were there any.
    if (size > 1 && done.failures.length === 0) this.#columns = undefined;
    return { ...batch, account: done, timings: timing.ofSamples() };
  }

  /** Reads and transforms what an order gave: see {@link orderOf}. `undefined` where it is left out. */
  #take(
    visit: number,
    position: number,
    epoch: number,
    account: OpenAccount,
    times: Float64Array | undefined,
  ): Sample | undefined {
    const record = visit % this.#records;
    let key: string | undefined;
    try {
      this.#onRecord(record);
      const began = times ? performance.now() : 0;
      const read = findOrRead(this.#store, this.#reader, record);
      key = read?.key;
      if (times) times[0] = (times[0] ?? 0) + performance.now() - began;
      const sample = read && this.#pipeline(read, epoch, visit, times?.subarray(1));
      account.took(sample !== undefined);
      return sample;
    } catch (error) {
      if (!this.#recipe.skipsBad || !isSampleError(error)) throw error;
      account.failed({ position, record, key, error: packError(error) });
      return undefined;
    }
  }

  /** Finds the sample for a batch that would be empty: the next one of the epoch that is not left out, over its end to its start. */
  #nearest({ epoch, step, start, size }: BatchJob, account: OpenAccount): Sample {
    const recordAt = this.#orderOf(epoch);
    for (let ahead = 0; ahead < this.#positions; ahead++) {
      const position = (start + size + ahead) % this.#positions;
      account.begin(true);
      const sample = this.#take(recordAt(position), position, epoch, account, undefined);
      if (sample) return sample;
    }
    throw new KdataError("format", `Cannot make batch ${step} of epoch ${epoch}: every sample is bad or filtered out`);
  }

  #orderOf(epoch: number): Order {
    if (this.#order?.epoch !== epoch) this.#order = { epoch, recordAt: orderOf(this.#recipe, epoch) };
    return this.#order.recordAt;
  }
}
