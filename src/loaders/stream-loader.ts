// Batches from what cannot seek. The frame is that of every loader: global batches of consecutive positions, of which each rank takes its
// part; but positions are found by reading up to them.

import { prepareTransforms } from "../transforms/prepare.ts";
import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { deriveKey, RandomStream } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";
import { checkAborted } from "./aborted.ts";
import type { BatchJob } from "./batch-maker.ts";
import type { MadeBatch } from "./batch-producer.ts";
import { deliverBatch } from "./delivered-batch.ts";
import { LedgerBook, type EpochLedger } from "./ledger.ts";
import { drawFromBuffer } from "./shuffle-buffer.ts";
import { StatsBook, type LoaderStats } from "./stats.ts";
import { StreamBatchMaker, type GlobalBatch, type Numbered } from "./stream-batch-maker.ts";
import { resolveStreamOptions, type ResolvedStreamOptions, type StreamOptions } from "./stream-options.ts";
import { findSamples, type SampleStream, type StreamHandle } from "./stream-samples.ts";
import { checkStreamState, type StreamState } from "./stream-state.ts";
import { countSamples, spanAt, type Topology } from "./topology.ts";

/**
 * What a loader of a stream has done since it was opened, as {@link LoaderStats} says it. What `waitMs` has beside `transformMs` and
 * `collateMs` is the time that reading took, or waiting for the stream.
 */
export interface StreamStats extends Pick<
  LoaderStats,
  "batches" | "samples" | "bytesDelivered" | "transformMs" | "transforms" | "collateMs" | "waitMs" | "firstBatchMs"
> {
  /** Samples that were read and passed over to come to where a state was. */
  readonly passedOver: number;
}

/** Opens an input that is read from front to back: see {@link StreamLoader}. Used by `loader`. */
export async function openStreamLoader(
  input: string | readonly string[] | StreamHandle,
  options: StreamOptions,
): Promise<StreamLoader> {
  const resolved = resolveStreamOptions(options);
  checkAborted(resolved.signal);
  await prepareTransforms(resolved.transforms);
  const opened = new StreamLoader(await findSamples(input, resolved), resolved);
  if (resolved.state) opened.load(resolved.state);
  return opened;
}

/**
 * The batches of a stream. One iteration is one epoch; the next iteration is the next epoch, where the input can be read again.
 *
 * What it promises, beside what a `Loader` does:
 *
 * - Order: a pure function of (seed, epoch, the samples that arrive). With `shuffle` the shards come in another order in each epoch, and
 *   each sample is drawn from a buffer of `bufferSize`: it comes at most `bufferSize` - 1 places earlier than it arrived, on average
 *   about as many later. Data that is sorted by class over more than the buffer stays sorted: that is what a stream costs.
 * - Ranks: every rank reads the whole stream, which must be the same on all of them, and takes its part of each global batch. All
 *   make the same number of steps; `remainder` is dealt with when the stream ends.
 * - Resume: a state counts samples. Going on reads the stream again from its start and passes over what was delivered, with any batch size
 *   and number of ranks; a stream that ends before is an error.
 * - A stream that is cut is an error wherever its format can tell (a partial record, a gzip member without its end), never a short epoch.
 *   Cut exactly between two records of a format without an end mark, nothing can tell: have the pipe fail (`set -o pipefail`).
 * - Bad samples: `onError: "skip"` leaves out what a transform cannot work on. What cannot be read ends the epoch with its error: nothing
 *   behind it can be found. A batch of which nothing is left gets, with other ranks, one padded sample of its global batch or of the
 *   start of the epoch; where these have no good one, every rank leaves the step out.
 * - How many samples there are is not known before the end, so there is no `stepsPerEpoch`.
 *
 * Samples are read and transformed in the thread that asks; a global batch and the buffer are held in memory.
 */
export class StreamLoader implements AsyncIterable<Batch> {
  readonly #samples: SampleStream;
  readonly #options: ResolvedStreamOptions;
  readonly #identity: Pick<StreamState, "seed" | "bufferSize" | "names">;
  readonly #maker: StreamBatchMaker;
  #cursor = { epoch: 0, samples: 0 };
  #isResumed = false;
  /** Ends what the running iteration reads. */
  #reading = new AbortController();
  /** Tells the running iteration from those before it. */
  #iteration = 0;
  #isClosed = false;
  readonly #stats: StatsBook;
  #passedOver = 0;
  #ledger: LedgerBook;

  /** Made by `loader`. */
  constructor(samples: SampleStream, options: ResolvedStreamOptions) {
    this.#samples = samples;
    this.#options = options;
    const { seed, shuffle, bufferSize, transforms, onError, worldSize } = options;
    this.#identity = { seed, bufferSize: shuffle ? bufferSize : 0, names: samples.names };
    this.#maker = new StreamBatchMaker({ transforms, seed, skipsBad: onError !== "throw", fillsEmpty: worldSize > 1 });
    const names = transforms.map(({ transform }) => transform);
    this.#stats = new StatsBook(names, 0);
    this.#ledger = this.#openLedger(0);
  }

  /** The epoch of {@link state}. */
  get epoch(): number {
    return this.#cursor.epoch;
  }

  /**
   * Iterates over one epoch, or over the rest of it after {@link load}; where nothing of it is left, over the next one.
   *
   * @throws {KdataError} what was found in the stream or by a transform, with the position; `input` when the stream was read and cannot be
   *   read again; `state` when it ends before the state that was loaded; `aborted` when the signal or `close()` ends it.
   * @throws {TypeError} when the loader is closed.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    if (this.#isClosed) throw new TypeError("Cannot iterate: the loader is closed");
    checkAborted(this.#options.signal);
    if (!this.#isResumed && this.#cursor.samples > 0) this.#cursor = { epoch: this.#cursor.epoch + 1, samples: 0 };
    this.#isResumed = false;
    this.#reading.abort();
    this.#reading = new AbortController();
    const iteration = ++this.#iteration;
    try {
      for (;;) {
        const from = this.#cursor;
        yield* this.#deliverEpoch(from, iteration);
        if (!this.#isCurrent(iteration)) return;
        const hadNothingLeft = this.#cursor === from && from.samples > 0;
        this.#cursor = { epoch: from.epoch + 1, samples: 0 };
        if (!hadNothingLeft || !this.#samples.canRepeat) return;
      }
    } catch (error) {
      if (!this.#isCurrent(iteration)) return;
      throw error;
    }
  }

  /** Says how far the loader has come: what was delivered. */
  state(): StreamState {
    return { version: 1, ...this.#identity, ...this.#cursor };
  }

  /**
   * Goes on from a state with the next iteration, by reading up to it.
   *
   * @throws {KdataError} `state` when it is of other shards, another seed or another `bufferSize`.
   */
  load(state: StreamState): void {
    const { epoch, samples } = checkStreamState(state, this.#identity);
    this.#iteration++;
    this.#reading.abort();
    this.#cursor = { epoch, samples };
    this.#isResumed = true;
  }

  /** Sums up what was done since the loader was opened. */
  stats(): StreamStats {
    const { batches, samples, bytesDelivered, transformMs, transforms, collateMs, waitMs, firstBatchMs } =
      this.#stats.report(0);
    const counts = { batches, samples, passedOver: this.#passedOver, bytesDelivered };
    return { ...counts, transformMs, transforms, collateMs, waitMs, firstBatchMs };
  }

  /**
   * Says what became of the samples of the epoch that is being delivered, or of the last one until the next iteration begins: how many
   * were read, delivered, skipped (and why), filtered out. Those that a state passed over are not in it.
   */
  ledger(): EpochLedger {
    return this.#ledger.report();
  }

  /** Lets go of the stream. An iteration that is running ends with `aborted`. Calling it twice is harmless. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#reading.abort();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Says whether no other iteration and no `load` came in between; throws `aborted` when `close` or the signal did. */
  #isCurrent(iteration: number): boolean {
    checkAborted(this.#options.signal);
    if (this.#isClosed) throw new KdataError("aborted", "Cannot load batch: the loader was closed");
    return iteration === this.#iteration;
  }

  #openLedger(epoch: number): LedgerBook {
    const { onError, maxFailures } = this.#options;
    return new LedgerBook(epoch, { onError, allowed: maxFailures });
  }

  async *#deliverEpoch(from: { epoch: number; samples: number }, iteration: number): AsyncGenerator<Batch, void> {
    const { batchSize, worldSize, remainder } = this.#options;
    const { epoch } = from;
    const perStep = batchSize * worldSize;
    const head: Numbered[] = [];
    let step = Math.floor(from.samples / perStep);
    let topology: Topology = { ...this.#options, records: 0 };
    this.#ledger = this.#openLedger(epoch);
    let asked = this.#ask();
    for await (const global of this.#globalBatches(from, perStep, head)) {
      if (!this.#isCurrent(iteration)) return;
      const { start, rows, records } = global;
      topology = { ...topology, records };
      if (rows.length < perStep && (rows.length === 0 || remainder === "drop")) break;
      const job: BatchJob = { epoch, step: step++, globalStart: start, ...spanAt(topology, start) };
      const { account, timings, ...batch } = this.#maker.make(job, global, head);
      const made: MadeBatch = { job, batch, account, timings, release: () => undefined };
      this.#ledger.enter(made);
      this.#cursor = { epoch, samples: start + rows.length };
      const isEmpty = batch.keys.length === (worldSize === 1 ? account.padded : 0);
      this.#stats.answered(asked);
      this.#stats.made(made, !isEmpty);
      if (!isEmpty) yield* deliverOnce(made);
      if (!this.#isCurrent(iteration)) return;
      asked = this.#ask();
    }
    this.#stats.answered(asked);
    this.#ledger.check(countSamples(topology, from.samples));
  }

  /** Takes note that a batch is asked for, and when. */
  #ask(): number {
    const now = performance.now();
    this.#stats.asked(now, 0);
    return now;
  }

  /** Gathers global batches from a position of an epoch on, the last one shorter, and the samples at its start that may pad it. */
  async *#globalBatches(
    from: { epoch: number; samples: number },
    perStep: number,
    head: Numbered[],
  ): AsyncGenerator<GlobalBatch, void> {
    const padding = this.#options.remainder === "pad" ? perStep : 1;
    let position = 0;
    let rows: Numbered[] = [];
    for await (const numbered of this.#inOrder(from.epoch)) {
      if (head.length < padding) head.push(numbered);
      if (position++ < from.samples) {
        this.#passedOver++;
        continue;
      }
      rows.push(numbered);
      if (rows.length < perStep) continue;
      yield { start: position - perStep, rows, records: Infinity };
      rows = [];
    }
    if (position < from.samples) {
      const reason = `the stream ended after ${position} samples, ${from.samples} were delivered`;
      throw new KdataError("state", `Cannot resume loader: ${reason}`);
    }
    yield { start: position - rows.length, rows, records: position };
  }

  #inOrder(epoch: number): AsyncIterable<Numbered> {
    const { signal, seed, shuffle, bufferSize } = this.#options;
    const stop = signal ? AbortSignal.any([signal, this.#reading.signal]) : this.#reading.signal;
    const numbered = numberSamples(this.#samples.open(epoch, stop), signal);
    return shuffle
      ? drawFromBuffer(numbered, bufferSize, new RandomStream(deriveKey(seed, epoch, bufferSize)))
      : numbered;
  }
}

function* deliverOnce(made: MadeBatch): Generator<Batch, void> {
  const batch = deliverBatch(made);
  yield batch;
  batch.release();
}

async function* numberSamples(
  samples: AsyncIterable<Sample>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Numbered> {
  let record = 0;
  for await (const sample of samples) {
    checkAborted(signal);
    yield { sample, record: record++ };
  }
}
