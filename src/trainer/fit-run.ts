// The training loop: epochs of steps, the next batch on its way while a step computes, callbacks and checkpoints between steps.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import type { Turns } from "../core/turns.ts";
import { abortedError, BatchFeed, type ReadyStep } from "./batch-feed.ts";
import type { BatchSource } from "./batch-source.ts";
import type { Callback, CallbackTrainer, ResumedRun } from "./callbacks/callback.ts";
import type { CheckpointSchedule } from "./checkpoint-schedule.ts";
import type { RunState } from "./checkpoint-state.ts";
import { checkMonitors } from "./check-parts.ts";
import { EpochMeter } from "./epoch-meter.ts";
import type { Metric } from "./metrics/metric.ts";

/** The numbers of each epoch in order, by name: `loss`, the metrics, `val_loss`, ... */
export type History = Record<string, number[]>;

/** How far a trainer has come. */
export interface Counters {
  epoch: number;
  /** Steps trained so far: what the random numbers of the next one depend on. */
  step: number;
  /** What was set, where it was. */
  learningRate: number | undefined;
  /** What the source of the batches said when the last trained batch had arrived. */
  dataState: unknown;
}

/** What a run needs of its trainer. */
export interface FitParts {
  readonly trainer: CallbackTrainer;
  readonly counters: Counters;
  readonly metrics: readonly Metric[];
  readonly turns: Turns;
  readonly data: BatchSource;
  readonly validation: BatchSource | undefined;
  readonly firstEpoch: number;
  /** The number of the epoch to stop before. */
  readonly lastEpoch: number;
  readonly stepsPerEpoch: number | undefined;
  readonly callbacks: readonly Callback[];
  readonly signal: AbortSignal | undefined;
  /** The number of the epochs that the best checkpoint goes by. */
  readonly best: string | undefined;
  /** Where checkpoints are wanted. */
  readonly schedule: CheckpointSchedule | undefined;
  /** The checkpoint to go on from; the trainer's own state has been restored. */
  readonly resumed: (ResumedRun & { readonly state: RunState }) | undefined;
  prepare(batch: Batch, idle: Promise<unknown>, step: number): Promise<ReadyStep["run"]>;
  evaluate(data: BatchSource): Promise<Record<string, number>>;
}

/** How far an epoch has come. */
interface EpochPlace {
  readonly epoch: number;
  readonly meter: EpochMeter;
  /** Batches of this epoch that were trained. */
  batches: number;
  /** All of them were; what is left is the validation. */
  isOver: boolean;
}

/** One call of `fit`. */
export class FitRun {
  readonly #parts: FitParts;
  readonly #history: History;
  #running: Promise<unknown> = Promise.resolve();
  #feed: BatchFeed | undefined;
  /** The source has been brought to where the checkpoint left it. */
  #isPlaced = false;
  /** The number of the step that is made ready next. */
  #preparedStep = 0;

  constructor(parts: FitParts) {
    this.#parts = parts;
    const saved = Object.entries(parts.resumed?.state.history ?? {});
    this.#history = Object.fromEntries(saved.map(([name, values]) => [name, [...values]]));
  }

  /**
   * Trains to the end, or until `trainer.stopTraining`.
   *
   * @throws {KdataError} `aborted` through the signal, with checkpoints after one was saved; `input` when an epoch has no samples.
   */
  async run(): Promise<History> {
    const { callbacks, trainer, counters, firstEpoch, lastEpoch, resumed, schedule } = this.#parts;
    this.#checkMonitors();
    trainer.stopTraining = false;
    for (const [i, callback] of callbacks.entries()) {
      callback.setTrainer?.(trainer);
      const saved = resumed?.state.callbacks[i];
      if (saved) callback.load?.(saved);
    }
    const info = { epochs: lastEpoch, firstEpoch: counters.epoch, ...(resumed && { resumed }) };
    for (const callback of callbacks) await callback.onTrainBegin?.(info);
    schedule?.begin(firstEpoch);
    try {
      while (counters.epoch < lastEpoch && !this.#isStopped()) await this.#epoch();
    } finally {
      await this.#closeFeed();
      await schedule?.finish();
    }
    for (const callback of callbacks) await callback.onTrainEnd?.();
    return this.#history;
  }

  #checkMonitors(): void {
    const { callbacks, best, metrics, validation } = this.#parts;
    const watched = callbacks.flatMap(({ monitor }) => (monitor ? [monitor] : []));
    if (best !== undefined) watched.push({ name: best, by: "the best checkpoint" });
    checkMonitors(watched, metrics, validation !== undefined);
  }

  #isStopped(): boolean {
    return this.#parts.trainer.stopTraining;
  }

  async #epoch(): Promise<void> {
    const { callbacks, counters, lastEpoch, data, metrics, stepsPerEpoch, schedule } = this.#parts;
    const { epoch } = counters;
    const { state } = this.#parts.resumed ?? {};
    const begun = state?.epoch === epoch && state.batches > 0 ? state : undefined;
    const meter = new EpochMeter(metrics, begun?.sums);
    const place: EpochPlace = { epoch, meter, batches: begun?.batches ?? 0, isOver: begun?.isOver ?? false };
    const steps = stepsPerEpoch ?? data.stepsPerEpoch;
    for (const callback of callbacks) await callback.onEpochBegin?.(epoch, { epochs: lastEpoch, steps });
    if (!place.isOver) await this.#train(place, steps);
    meter.finished();
    if (meter.samples === 0) {
      const hint =
        "a generator can be iterated once; an object with [Symbol.asyncIterator] as often as there are epochs";
      throw new KdataError("input", "Cannot train: the data has no samples", epoch > 0 ? { hint } : {});
    }
    const values = { ...meter.values(), ...(await this.#validate(place)) };
    for (const [name, value] of Object.entries(values)) (this.#history[name] ??= []).push(value);
    counters.epoch++;
    for (const callback of callbacks) await callback.onEpochEnd?.(meter.logs(epoch, lastEpoch, values));
    await schedule?.epochEnded(values, () => this.#state());
    if (this.#parts.signal?.aborted) await this.#abort(undefined);
  }

  async #train(place: EpochPlace, steps: number | undefined): Promise<void> {
    const { signal, stepsPerEpoch = Infinity, schedule, counters, turns } = this.#parts;
    const feed = (this.#feed ??= this.#openFeed(place));
    while (place.batches < stepsPerEpoch) {
      place.meter.waiting();
      let ready: ReadyStep | undefined;
      try {
        ready = await feed.take(signal);
      } catch (error) {
        if (signal?.aborted) await this.#abort(place);
        throw error;
      }
      if (!ready) break;
      place.meter.arrived();
      await this.#step(place, ready, steps);
      if (turns.isOver()) await turns.yield();
      if (signal?.aborted) await this.#abort(place);
      if (this.#isStopped()) break;
      if (schedule?.isDue(counters.step)) await this.#checkpoint(place);
    }
    place.isOver = true;
    if (stepsPerEpoch === Infinity || this.#isStopped()) await this.#closeFeed();
  }

  async #step(place: EpochPlace, ready: ReadyStep, steps: number | undefined): Promise<void> {
    const { callbacks, counters, stepsPerEpoch = Infinity } = this.#parts;
    const { epoch, meter } = place;
    const step = place.batches;
    for (const callback of callbacks) await callback.onTrainBatchBegin?.({ epoch, step });
    const outputs = ready.run();
    this.#running = outputs.catch(() => undefined);
    if (step + 1 < stepsPerEpoch) this.#feed?.begin(this.#running);
    const logs = meter.stepped(await outputs, ready.samples);
    counters.step++;
    counters.dataState = ready.sourceState;
    place.batches++;
    for (const callback of callbacks) {
      await callback.onTrainBatchEnd?.({ epoch, step, steps, keys: ready.keys, ...logs });
    }
    // terminateOnNaN has stopped the run, and keeps what was trained before.
    if (Number.isNaN(logs.loss) && !this.#isStopped()) refuseNaN(ready, counters.step);
  }

  async #validate(place: EpochPlace): Promise<Record<string, number>> {
    const { validation, signal } = this.#parts;
    if (!validation) return {};
    try {
      const values = await this.#parts.evaluate(validation);
      return Object.fromEntries(Object.entries(values).map(([name, value]) => [`val_${name}`, value]));
    } catch (error) {
      if (signal?.aborted) await this.#abort(place);
      throw error;
    }
  }

  /** Opens the source at its beginning, or where the checkpoint left it. */
  #openFeed(place: EpochPlace): BatchFeed {
    const { data, resumed, counters, stepsPerEpoch } = this.#parts;
    this.#preparedStep = counters.step;
    let skipped = 0;
    if (resumed && !this.#isPlaced) {
      // Also where the epoch of the checkpoint was over: then the source's place is the start of the next one.
      if (data.load && resumed.state.data !== undefined) data.load(resumed.state.data);
      else if (resumed.state.epoch === place.epoch) skipped = place.batches;
    }
    this.#isPlaced = true;
    const source = skipped > 0 ? skipBatches(data, skipped) : data;
    return new BatchFeed(source, (batch, idle) => this.#parts.prepare(batch, idle, this.#preparedStep++), {
      repeats: stepsPerEpoch !== undefined,
    });
  }

  async #closeFeed(): Promise<void> {
    await this.#running;
    const feed = this.#feed;
    this.#feed = undefined;
    await feed?.close(this.#parts.signal?.aborted);
  }

  /** Saves between two batches: whether there is another one must be known, so that the rest of an epoch is told from the next one. */
  async #checkpoint(place: EpochPlace): Promise<void> {
    const { stepsPerEpoch = Infinity, schedule } = this.#parts;
    const isOver = place.batches >= stepsPerEpoch || (await this.#feed?.isAtEnd()) === true;
    await schedule?.save(() => this.#state({ ...place, isOver }));
  }

  async #abort(place: EpochPlace | undefined): Promise<never> {
    const { schedule, signal, counters } = this.#parts;
    await this.#running;
    if (schedule && counters.step > 0) {
      if (place && !place.isOver) await this.#checkpoint(place);
      else await schedule.save(() => this.#state(place));
    }
    throw abortedError(signal);
  }

  /** Says how far the run has come: within an epoch, or between two. */
  #state(place?: EpochPlace): Omit<RunState, "seed" | "best"> {
    const { counters, callbacks, firstEpoch } = this.#parts;
    return {
      firstEpoch,
      epoch: counters.epoch,
      step: counters.step,
      batches: place?.batches ?? 0,
      isOver: place?.isOver ?? false,
      sums: place?.meter.save(),
      data: counters.dataState,
      history: Object.fromEntries(Object.entries(this.#history).map(([name, values]) => [name, [...values]])),
      learningRate: counters.learningRate,
      callbacks: callbacks.map((callback) => callback.state?.()),
    };
  }
}

/** Leaves out the first batches of the next iteration: those that were trained before. */
function skipBatches(data: BatchSource, count: number): BatchSource {
  let left = count;
  return {
    async *[Symbol.asyncIterator]() {
      for await (const batch of data) {
        if (left-- > 0) batch.release();
        else yield batch;
      }
    },
  };
}

/** Refuses to go on with weights that a NaN in the data has spoiled. One that training made goes on, as it always did. */
function refuseNaN({ run }: ReadyStep, steps: number): void {
  const place = run.findNaN?.();
  if (place === undefined) return;
  throw new KdataError("shape", `Cannot feed ${place}, and the loss of step ${steps - 1} is NaN`, {
    hint: "the weights are spoiled; mend the data, or give its sample the weight 0",
  });
}
