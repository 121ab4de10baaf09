// Batches made ready one ahead: while a step computes, the next batch is fetched, copied and given back.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import type { BatchSource } from "./batch-source.ts";

/** A batch whose step can begin at once. The batch itself has been given back. */
export interface ReadyStep {
  /** Samples that count. */
  readonly samples: number;
  /** The keys of these samples. */
  readonly keys: readonly string[];
  /** What the source said when the batch had arrived, before it was asked for another one. */
  readonly sourceState: unknown;
  readonly run: PreparedRun;
}

/** Computes a step from what was copied for it. */
export interface PreparedRun {
  (): Promise<Map<string, HostTensor>>;
  /** Looks for a NaN in what the step was fed, and says where one is. To be called before the step after the next is made ready. */
  readonly findNaN?: () => string | undefined;
}

/**
 * Makes a batch ready: finds its program, copies what it is fed. `idle` settles when no step computes; compiling waits for it.
 */
export type Prepare = (batch: Batch, idle: Promise<unknown>) => Promise<ReadyStep["run"]>;

/** Gives the steps of a source in order. Call `begin` to fetch, `take` to get; at most one is on its way. */
export class BatchFeed {
  readonly #source: BatchSource;
  readonly #prepare: Prepare;
  /** Iterates over the source again when it is at its end. */
  readonly #repeats: boolean;
  #iterator: AsyncIterator<Batch> | undefined;
  #pending: Promise<ReadyStep | undefined> | undefined;
  #given = 0;
  #isOver = false;

  constructor(source: BatchSource, prepare: Prepare, { repeats = false }: { readonly repeats?: boolean } = {}) {
    this.#source = source;
    this.#prepare = prepare;
    this.#repeats = repeats;
  }

  /** Begins to fetch, unless that has begun. What goes wrong is thrown by {@link take}. */
  begin(idle: Promise<unknown> = Promise.resolve()): void {
    if (this.#pending) return;
    this.#pending = this.#fetch(idle);
    this.#pending.catch(() => undefined); // take() throws it, if anybody still wants to know
  }

  /**
   * Takes the next step, or `undefined` at the end of the source.
   *
   * @throws {KdataError} `aborted` as soon as the signal says so; what the source throws; `shape` when the batch does not fit.
   */
  async take(signal?: AbortSignal): Promise<ReadyStep | undefined> {
    this.begin();
    const ready = await orAborted(this.#pending, signal);
    this.#pending = undefined;
    return ready;
  }

  /** Says whether the source has no further batch; waits for the one that is on its way. An error counts as one more. */
  async isAtEnd(): Promise<boolean> {
    this.begin();
    const ready = await this.#pending?.catch(() => null);
    return ready === undefined;
  }

  /**
   * Ends the iteration. A batch on its way is waited for and given back, unless the run was aborted: then a source that hangs
   * is left alone.
   */
  async close(isAborted = false): Promise<void> {
    const ending = this.#end();
    if (isAborted) ending.catch(() => undefined);
    else await ending;
  }

  async #end(): Promise<void> {
    await this.#pending?.catch(() => undefined);
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (!this.#isOver) await iterator?.return?.();
  }

  async #fetch(idle: Promise<unknown>): Promise<ReadyStep | undefined> {
    const batch = await this.#next();
    if (batch === undefined) return undefined;
    try {
      const sourceState = this.#source.state?.();
      const run = await this.#prepare(batch, idle);
      const samples = batch.size - batch.padded;
      return { samples, keys: batch.keys.slice(0, samples), sourceState, run };
    } finally {
      batch.release();
    }
  }

  async #next(): Promise<Batch | undefined> {
    for (;;) {
      if (this.#isOver && !this.#repeats) return undefined;
      this.#iterator ??= this.#source[Symbol.asyncIterator]();
      this.#isOver = false;
      let result: IteratorResult<Batch>;
      try {
        result = await this.#iterator.next();
      } catch (error) {
        this.#isOver = true; // an iterator that has thrown is at its end
        throw error;
      }
      if (result.done !== true) {
        this.#given++;
        return result.value;
      }
      this.#isOver = true;
      this.#iterator = undefined;
      if (this.#given === 0) return undefined;
      if (this.#repeats) this.#given = 0;
    }
  }
}

/** Waits for a promise, but not beyond an abort. */
function orAborted<T>(promise: Promise<T> | undefined, signal?: AbortSignal): Promise<T | undefined> {
  if (promise === undefined) return Promise.resolve(undefined);
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    function stop(): void {
      reject(abortedError(signal));
    }
    if (signal.aborted) {
      stop();
      return;
    }
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", stop);
    });
  });
}

/** Makes the error of a run that was stopped through its signal. */
export function abortedError(signal: AbortSignal | undefined): KdataError {
  return new KdataError("aborted", "Training stopped on request", { cause: signal?.reason });
}
