// Batches of a data set, epoch after epoch, in an order that depends on (seed, epoch, position) alone.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { prepareTransforms } from "../transforms/prepare.ts";
import { checkAborted } from "./aborted.ts";
import { chooseWorkers } from "./auto-workers.ts";
import type { BatchJob, BatchRecipe } from "./batch-maker.ts";
import type { BatchProducer, MadeBatch } from "./batch-producer.ts";
import { createProducer } from "./create-producer.ts";
import { describeDataset, describeFake } from "./dataset.ts";
import { deliverBatch } from "./delivered-batch.ts";
import { epochLength, transformNames, type EpochRecipe } from "./epoch.ts";
import { fingerprint } from "./fingerprint.ts";
import type { FakeData } from "./fake-data.ts";
import { allowedFailures, LedgerBook, type EpochLedger, type OnError } from "./ledger.ts";
import { mixtureState, resumeMixture } from "./mixture.ts";
import { openCache } from "./open-cache.ts";
import { openWindows, sizeWindows, windowsOf } from "./open-windows.ts";
import { resolveOptions, type LoaderOptions, type ResolvedOptions } from "./options.ts";
import { cacheStats } from "./sample-cache.ts";
import { checkState, type LoaderIdentity, type LoaderState } from "./state.ts";
import { StatsBook, type LoaderStats } from "./stats.ts";
import { openStreamLoader, type StreamLoader } from "./stream-loader.ts";
import type { StreamOptions } from "./stream-options.ts";
import { isStreamInput, type StreamHandle, type StreamInput } from "./stream-samples.ts";
import { countSamples, countSteps, positionAfter, spanAt, type Topology } from "./topology.ts";

/** What a loader is made of. */
interface LoaderParts {
  readonly recipe: BatchRecipe;
  readonly topology: Topology;
  readonly createProducer: (recipe: BatchRecipe) => BatchProducer;
  readonly signal: AbortSignal | undefined;
  /** 0: this thread makes the batches. */
  readonly workers?: number;
  readonly onError?: OnError;
  readonly maxFailures?: number | string;
}

/**
 * Opens a data set for training: finds its shards, counts its records, and makes a loader.
 *
 * The spec is a path or a pattern with braces and wildcards, or several of them, or {@link fakeData}. Records are counted here, by
 * the headers or by one scan over framed shards; nothing else is read before the first batch is asked for.
 *
 * What cannot seek (`-` for standard input, a stream source, any async iterable of samples), and files with `stream: true`, are
 * read from front to back instead, with the weaker promises of a {@link StreamLoader}. Compressed files are inflated into memory, up to
 * `limits.inflatedBytes`, unless `stream` is chosen.
 *
 * @throws {KdataError} `input` when a file is missing, `usage` for an option or a name that is not known, `state` when the
 *   state is of another data set, seed or order, `aborted`, and what a scan finds, with the position.
 * @throws {RangeError} when an option's number is out of its range.
 *
 * @example
 * const rows = await loader("fixtures/tfrecord/rows.tfrecord", { batchSize: 4, shuffle: true, seed: 42 });
 * const keys: string[] = [];
 * for await (const batch of rows) keys.push(...batch.keys);
 * await rows.close();
 * assert.equal(new Set(keys).size, rows.sampleCount);
 */
export async function loader(source: StreamInput, options: StreamOptions): Promise<StreamLoader>;
export async function loader(
  spec: string | readonly string[],
  options: StreamOptions & { readonly stream: true },
): Promise<StreamLoader>;
export async function loader(spec: string | readonly string[] | FakeData, options: LoaderOptions): Promise<Loader>;
export async function loader(
  spec: string | readonly string[] | FakeData | StreamHandle,
  options: LoaderOptions | StreamOptions,
): Promise<Loader | StreamLoader> {
  if (!isFake(spec) && isStreamInput(spec)) return openStreamLoader(spec, options as StreamOptions);
  if (!isFake(spec) && "stream" in options) return openStreamLoader(spec, options);
  const resolved = resolveOptions(options as LoaderOptions);
  const { transforms, shuffle, seed, signal } = resolved;
  checkAborted(signal);
  await prepareTransforms(transforms);
  const dataset = isFake(spec) ? describeFake(spec) : await describeDataset(spec, { ...resolved, signal });
  checkAborted(signal);
  return startLoader({ dataset, transforms, shuffle, seed }, resolved);
}

/**
 * Makes the loader of what was opened.
 *
 * @throws {KdataError} `state` as {@link Loader.load} does, and what the first records and the files of transforms give.
 */
export async function startLoader(epochs: EpochRecipe, options: ResolvedOptions): Promise<Loader> {
  const { batchSize, remainder, rank, worldSize, signal, state, onError, maxFailures } = options;
  const windows = await openWindows(epochs, batchSize * worldSize);
  const cache = await openCache(epochs);
  const draft = {
    ...epochs,
    ...(windows && { windows }),
    ...(cache && { cache }),
    skipsBad: onError !== "throw",
    fillsEmpty: worldSize > 1,
  };
  const workers = options.workers === "auto" ? chooseWorkers(draft) : options.workers;
  const recipe: BatchRecipe = { ...draft, makers: Math.max(1, workers) };
  const opened = new Loader({
    recipe,
    topology: { records: epochLength(recipe), batchSize, rank, worldSize, remainder },
    createProducer: (current) => createProducer(current, { ...options, workers }),
    signal,
    workers,
    onError,
    maxFailures,
  });
  if (state) opened.load(state);
  return opened;
}

function isFake(spec: string | readonly string[] | FakeData | StreamHandle): spec is FakeData {
  return typeof spec === "object" && "kind" in spec && spec.kind === "fakeData";
}

/**
 * The batches of a data set. One iteration is one epoch; the next iteration is the next epoch.
 *
 * Iterating gives the rest of an epoch after `load`. A loop that was left early (`break`, an error) ends that epoch for this
 * loader: the next iteration begins the next one, unless `load(state())` comes first. A new iteration, and `load`, end one that
 * is still running.
 *
 * A batch is valid until it is released or the next one is taken. Worker threads start with the first iteration and stay for
 * the following epochs; leaving a loop early, an error, the abort signal and `close()` end them. They do not keep a process
 * alive that waits for no batch.
 */
export class Loader implements AsyncIterable<Batch> {
  /** Records of the data set; in a mixture samples of one epoch. */
  readonly sampleCount: number;
  /** Steps of a whole epoch, the same on every rank. */
  readonly stepsPerEpoch: number;
  readonly #parts: LoaderParts;
  readonly #identity: LoaderIdentity;
  /** The recipe, with the mixture where `load` has put it. */
  #recipe: BatchRecipe;
  #cursor = { epoch: 0, samples: 0 };
  /** The next iteration begins at the cursor even in the middle of an epoch. */
  #isResumed = false;
  #producer: BatchProducer | undefined;
  /** Settles when the last producer that was stopped has ended its threads. */
  #stopped: Promise<void> | undefined;
  /** Tells the running iteration from those before it. */
  #iteration = 0;
  #held: Batch | undefined;
  #isClosed = false;
  readonly #onAbort = (): void => void this.#stop();
  readonly #stats: StatsBook;
  #ledger: LedgerBook;

  /** Made by {@link loader}. */
  constructor(parts: LoaderParts) {
    const { recipe, topology, workers = 0 } = parts;
    this.#parts = parts;
    this.sampleCount = topology.records;
    this.stepsPerEpoch = countSteps(topology);
    this.#recipe = recipe;
    const { seed, shuffle, dataset, mixture } = recipe;
    const sources = mixture?.sources.map(({ records }) => records);
    this.#identity = { seed, shuffle, dataset: fingerprint(dataset), sources, windows: windowsOf(recipe) };
    this.#stats = new StatsBook(transformNames(recipe), workers);
    this.#ledger = this.#openLedger();
  }

  /** The epoch of {@link state}: the one that is being delivered, and from its last batch on the next one. */
  get epoch(): number {
    return this.#cursor.epoch;
  }

  /**
   * Iterates over one epoch, or over the rest of it after {@link load}.
   *
   * @throws {KdataError} at the place of the batch in the order: what was found when it was made; `worker` when threads die
   *   over it, and at the end when the samples delivered are not those of the epoch; `aborted` when the signal or `close()`
   *   ends it.
   * @throws {TypeError} when the loader is closed.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    if (this.#isClosed) throw new TypeError("Cannot iterate: the loader is closed");
    checkAborted(this.#parts.signal);
    const iteration = this.#begin();
    const expected = countSamples(this.#parts.topology, this.#cursor.samples);
    let isWhole = false;
    try {
      while (iteration === this.#iteration) {
        const made = await this.#next();
        if (iteration !== this.#iteration) {
          made?.release();
          break;
        }
        if (!made) {
          this.#ledger.check(expected);
          isWhole = true;
          break;
        }
        const batch = this.#deliver(made);
        if (!batch) continue;
        yield batch;
        batch.release();
      }
    } finally {
      if (!isWhole && iteration === this.#iteration) await this.#stop();
    }
  }

  /**
   * Says how far the loader has come: what was delivered, not what was prefetched. After the last batch of an epoch it is the
   * start of the next one.
   */
  state(): LoaderState {
    const { epoch, samples } = this.#cursor;
    const { seed, shuffle, dataset } = this.#identity;
    const { mixture } = this.#recipe;
    const state: LoaderState = { version: 1, seed, shuffle, epoch, samples, dataset };
    const windows = windowsOf(this.#recipe);
    return {
      ...state,
      ...(mixture && { mixture: mixtureState(mixture, epoch, samples) }),
      ...(windows && { windows }),
    };
  }

  /**
   * Goes on from a state with the next iteration: the exact rest of its epoch, whatever batch size, workers and ranks it was
   * saved with.
   *
   * @throws {KdataError} `state` when it is of another data set, seed or order; the message says the difference.
   */
  load(state: LoaderState): void {
    const { epoch, samples, mixture, windows } = checkState(state, this.#identity);
    this.#iteration++;
    const isOver = samples > 0 && countSteps(this.#parts.topology, samples) <= 0;
    this.#cursor = isOver ? { epoch: epoch + 1, samples: 0 } : { epoch, samples };
    if (mixture && this.#recipe.mixture) {
      // Weights or `steps` that changed may leave an epoch that is shorter than what was delivered of it.
      const at = samples > this.#parts.topology.records ? this.#cursor : { epoch, samples };
      this.#recipe = { ...this.#recipe, mixture: resumeMixture(this.#recipe.mixture, mixture, at) };
    }
    if (windows) this.#recipe = { ...this.#recipe, windows: sizeWindows(this.#recipe, windows) };
    if (mixture ?? windows) void this.#stop(); // the threads that there are know another mixture, or other windows
    this.#isResumed = true;
  }

  /** Sums up what was done since the loader was opened. */
  stats(): LoaderStats {
    const stats = this.#stats.report(this.#producer?.ready ?? 0);
    const { cache } = this.#recipe;
    return cache ? { ...stats, cache: cacheStats(cache) } : stats;
  }

  /**
   * Says what became of the samples of the epoch that is being delivered, or of the last one until the next iteration begins: how
   * many were read, delivered, skipped (and why), filtered out. At the end of each epoch they must add up, or it ends in an error.
   */
  ledger(): EpochLedger {
    return this.#ledger.report();
  }

  /** Ends the threads and closes the files. An iteration that is running ends with `aborted`. Calling it twice is harmless. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #begin(): number {
    this.#held?.release();
    if (!this.#isResumed && this.#cursor.samples > 0) this.#cursor = { epoch: this.#cursor.epoch + 1, samples: 0 };
    this.#isResumed = false;
    this.#ledger = this.#openLedger();
    const producer = (this.#producer ??= this.#start());
    producer.begin(planJobs(this.#parts.topology, this.#cursor));
    return ++this.#iteration;
  }

  #openLedger(): LedgerBook {
    const { topology, onError = "throw", maxFailures = Infinity } = this.#parts;
    const { epoch, samples } = this.#cursor;
    return new LedgerBook(epoch, { onError, allowed: allowedFailures(maxFailures, countSamples(topology, samples)) });
  }

  #start(): BatchProducer {
    const producer = this.#parts.createProducer(this.#recipe);
    this.#parts.signal?.addEventListener("abort", this.#onAbort);
    return producer;
  }

  async #next(): Promise<MadeBatch | undefined> {
    const asked = performance.now();
    this.#stats.asked(asked, this.#producer?.ready ?? 0);
    const made = await this.#producer?.next();
    this.#stats.answered(asked);
    if (this.#isClosed || this.#parts.signal?.aborted) made?.release();
    checkAborted(this.#parts.signal);
    if (this.#isClosed) throw new KdataError("aborted", "Cannot load batch: the loader was closed");
    return made;
  }

  /** Enters the batch into the books. `undefined` where nothing of it is left and no other rank makes the step. */
  #deliver(made: MadeBatch): Batch | undefined {
    const { job, batch, account } = made;
    const { topology } = this.#parts;
    try {
      this.#ledger.enter(made);
    } catch (error) {
      made.release();
      throw error;
    }
    const samples = positionAfter(topology, job.globalStart);
    const isLast = countSteps(topology, samples) === 0;
    this.#cursor = isLast ? { epoch: job.epoch + 1, samples: 0 } : { epoch: job.epoch, samples };
    const isEmpty = topology.worldSize === 1 && batch.keys.length === account.padded;
    this.#stats.made(made, !isEmpty);
    if (isEmpty) {
      made.release();
      return undefined;
    }
    this.#held = deliverBatch(made);
    return this.#held;
  }

  async #stop(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    this.#parts.signal?.removeEventListener("abort", this.#onAbort);
    if (producer) this.#stopped = producer.close();
    await this.#stopped;
  }
}

/** Lists the batches of this rank from a position of an epoch to its end. */
function* planJobs(topology: Topology, from: { epoch: number; samples: number }): Generator<BatchJob, void> {
  const perStep = topology.batchSize * topology.worldSize;
  const firstStep = Math.floor(from.samples / perStep);
  const steps = countSteps(topology, from.samples);
  for (let step = 0; step < steps; step++) {
    const globalStart = from.samples + step * perStep;
    yield { epoch: from.epoch, step: firstStep + step, globalStart, ...spanAt(topology, globalStart) };
  }
}
