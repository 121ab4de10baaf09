// The training loop around a step of one's own.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { Tensor } from "../core/tensor.ts";
import { takeTurns } from "../core/turns.ts";
import type { Explanation, HostTensor, Knobs, Program, Session } from "./backend.ts";
import type { Callback } from "./callbacks/callback.ts";
import { readSafetensors, writeSafetensors } from "./checkpoint.ts";
import { planStep, planStepPrediction, stepOutput, WEIGHT_FEED, type StepDefinition } from "./custom-step.ts";
import { EpochMeter, output, type MetricResult } from "./epoch-meter.ts";
import { feedSpec, feedTensor } from "./feeds.ts";
import { ratio, scalarOf } from "./metrics/metric.ts";
import type { Optimizer } from "./optimizers/optimizer.ts";
import { explainPrecision, optimizerFor, resolvePrecision } from "./precision.ts";
import { RandomFeeds } from "./random-feeds.ts";
import { openForTraining, resolveBackendName } from "./registry.ts";
import { chooseRestored, type RestoreOptions } from "./restore.ts";
import { filled, inputFeedName, statePrefix, type FeedSpec } from "./train-step.ts";
import type { BatchSource, History } from "./trainer.ts";

/** A step of one's own, and where it runs. */
export interface StepTrainerOptions<M extends string, O extends string, F extends string> extends StepDefinition<
  M,
  O,
  F
> {
  /** A backend's name. Default: the environment's `KDATA_BACKEND`, else `onnx`. */
  readonly backend?: string;
  /** Settings that only this backend knows; an unknown one is refused. */
  readonly knobs?: Knobs;
  /** Computes in a thread of its own. Default: where the backend blocks the thread that asks. */
  readonly computeThread?: boolean;
  /** The seed of the initial weights and of what the step draws. Default 0. */
  readonly seed?: number;
}

/** How long and with what company {@link StepTrainer.fit} runs. */
export interface StepFitOptions {
  /** Iterations over the data. Default 1. */
  readonly epochs?: number;
  readonly callbacks?: readonly Callback[];
  /** Stops after the step that is running, with a `KdataError` `aborted`. */
  readonly signal?: AbortSignal;
}

const optionNames: Readonly<Record<keyof StepTrainerOptions<string, string, string>, true>> = {
  models: true,
  optimizers: true,
  features: true,
  step: true,
  backend: true,
  knobs: true,
  precision: true,
  computeThread: true,
  seed: true,
};

/** A step compiled for one number of rows. */
interface CompiledStep {
  readonly program: Program;
  readonly randoms: RandomFeeds;
  readonly metrics: readonly MetricResult[];
}

/**
 * Trains by a step that is written with `ops`: several models, several optimizers, state of its own. The step is traced once for
 * each batch size and runs on any backend; the loop around it, its callbacks and its logs are those of `Trainer.fit`.
 *
 * @example
 * const trainer = new StepTrainer({
 *   backend: "reference",
 *   models: { student: layers.dense(1) },
 *   optimizers: { sgd: optimizers.sgd() },
 *   features: ["x", "y"],
 *   step({ models, optimizers, batch }) {
 *     const loss = ops.mean(ops.square(ops.sub(models.student.apply(batch.x), batch.y)));
 *     optimizers.sgd.minimize(loss, models.student);
 *     return { loss };
 *   },
 * });
 */
export class StepTrainer<const M extends string, const O extends string, const F extends string> {
  readonly #options: StepTrainerOptions<M, O, F>;
  readonly #backendName: string;
  readonly #seed: number;
  /** By the shapes of the features. */
  readonly #steps = new Map<string, CompiledStep>();
  readonly #predictions = new Map<string, Program>();
  readonly #turns = takeTurns();
  readonly #rates = new Map<O, number>();
  /** Weights that wait for the session. */
  readonly #given = new Map<string, HostTensor>();
  #session: Session | undefined;
  #pending: ReadonlyMap<string, HostTensor> | undefined;
  #pendingOptions: RestoreOptions = {};
  #epoch = 0;
  #step = 0;
  #isClosed = false;

  /**
   * Keeps the definition. The step is traced and the backend opened at the first batch.
   *
   * @throws {KdataError} `usage` when there is no such option, backend or precision; `unsupported` when an optimizer cannot do it.
   * @throws {RangeError} when the seed is not a whole number from 0 on.
   */
  constructor(options: StepTrainerOptions<M, O, F>) {
    checkOptionNames("Cannot make step trainer", options, Object.keys(optionNames));
    checkWhole("Cannot make step trainer", "seed", options.seed ?? 0, 0);
    const precision = resolvePrecision(options.precision);
    const scaled = Object.entries<Optimizer>(options.optimizers).map(([name, one]) => [
      name,
      optimizerFor(precision, one),
    ]);
    this.#options = { ...options, precision, optimizers: Object.fromEntries(scaled) as typeof options.optimizers };
    this.#backendName = resolveBackendName(options.backend);
    this.#seed = options.seed ?? 0;
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Steps trained so far. */
  get step(): number {
    return this.#step;
  }

  /**
   * Trains on every batch of `data`, `epochs` times.
   *
   * @returns one number an epoch for `loss` and each other float32 scalar that the step returns: means by samples.
   * @throws {KdataError} `shape` when the data does not fit the step, `input` when there is none, `aborted` through `signal`,
   *   `usage` for a callback that changes a `Trainer` or backs it up: it does not know a step of one's own.
   */
  async fit(data: BatchSource, options: StepFitOptions = {}): Promise<History> {
    checkOptionNames("Cannot fit", options, ["epochs", "callbacks", "signal"]);
    const { epochs = 1, callbacks = [] } = options;
    checkWhole("Cannot fit", "epochs", epochs, 1);
    checkCallbacks(callbacks);
    const history: History = {};
    const last = this.#epoch + epochs;
    for (const callback of callbacks) await callback.onTrainBegin?.({ epochs: last, firstEpoch: this.#epoch });
    while (this.#epoch < last) {
      const epoch = this.#epoch;
      const info = { epochs: last, steps: data.stepsPerEpoch };
      for (const callback of callbacks) await callback.onEpochBegin?.(epoch, info);
      const meter = await this.#trainEpoch(data, epoch, options);
      const values = meter.values();
      for (const [name, value] of Object.entries(values)) (history[name] ??= []).push(value);
      this.#epoch++;
      for (const callback of callbacks) await callback.onEpochEnd?.(meter.logs(epoch, last, values));
    }
    for (const callback of callbacks) await callback.onTrainEnd?.();
    return history;
  }

  /** Runs one step and gives what it returns, by name. The batch stays the caller's. */
  async trainStep(batch: Batch): Promise<Map<string, HostTensor>> {
    const outputs = await this.#run(batch, await this.#compiled(batch));
    const prefix = stepOutput("");
    return new Map(
      Array.from(outputs)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value]),
    );
  }

  /**
   * Computes what one of the models makes of `x`, whose leading axis is the batch, without training.
   *
   * @throws {TypeError} before the first step: there are no weights yet.
   */
  async predict(model: M, x: Tensor<"float32" | "int32" | "bool">): Promise<HostTensor> {
    const session = this.#opened();
    const key = `${model} ${x.dtype} ${x.shape.join()}`;
    let program = this.#predictions.get(key);
    if (program === undefined) {
      program = await session.compile(planStepPrediction(this.#options, model, x));
      this.#predictions.set(key, program);
    }
    return output(await program.run(new Map([[inputFeedName("x"), x]])), "prediction");
  }

  /** Copies the models' weights: model and parameter's path (`generator/dense/kernel`) to float32 tensor. */
  async weights(): Promise<Map<string, HostTensor>> {
    const { model } = statePrefix;
    const state = await this.#opened().read();
    return new Map(
      Array.from(state)
        .filter(([name]) => name.startsWith(model))
        .map(([name, value]) => [name.slice(model.length), value]),
    );
  }

  /**
   * Gives one of the models weights, named as in that model: those of a teacher, of a trainer. Before the first batch they are
   * kept to replace the initial ones then; parameters that are not among them stay.
   *
   * @throws {KdataError} `state` (here, or at the first batch) when the model has no such parameter, or one of another shape.
   */
  async setWeights(model: M, weights: ReadonlyMap<string, HostTensor>): Promise<void> {
    this.#checkOpen();
    const prefix = `${statePrefix.model}${this.#options.models[model].name ?? model}/`;
    const named = Array.from(weights, ([path, value]) => [`${prefix}${path}`, value] as const);
    if (this.#session) await this.#session.write(new Map(named));
    else for (const [name, value] of named) this.#given.set(name, value);
  }

  /**
   * Sets the learning rate of one optimizer for the steps that follow.
   *
   * @throws {TypeError} when the optimizer has a schedule.
   * @throws {RangeError} when it is not a finite number from 0 on.
   */
  async setLearningRate(optimizer: O, rate: number): Promise<void> {
    if (!this.#options.optimizers[optimizer].settings.includes("learningRate")) {
      throw new TypeError(`Cannot set the learning rate of '${optimizer}': it has a schedule`);
    }
    if (!(rate >= 0 && rate < Infinity)) {
      throw new RangeError(`Cannot set the learning rate of '${optimizer}': it is ${rate}`);
    }
    this.#rates.set(optimizer, rate);
    await this.#session?.write(new Map([rateEntry(optimizer, rate)]));
  }

  /** Writes the models' weights, the optimizers' state and the step's own as safetensors, whole or not at all. */
  async save(path: string): Promise<void> {
    writeSafetensors(path, await this.#opened().read(), {
      format: "kdata",
      epoch: String(this.#epoch),
      step: String(this.#step),
    });
  }

  /**
   * Reads what `save` wrote; before the first batch it is kept to replace the initial state then.
   *
   * @throws {KdataError} `state` (here, or at the first batch) when a tensor is missing, too much, or of another shape.
   */
  async load(path: string, options: RestoreOptions = {}): Promise<void> {
    checkOptionNames("Cannot load weights", options, ["weightsOnly"]);
    this.#checkOpen();
    const { tensors, metadata } = readSafetensors(path);
    this.#pending = tensors;
    this.#pendingOptions = options;
    if (this.#session) await this.#restore(this.#session);
    this.#epoch = savedCount(metadata, "epoch", path);
    this.#step = savedCount(metadata, "step", path);
  }

  /** Says what the backend really does. */
  explain(): Explanation {
    const { precision = "float32", optimizers } = this.#options;
    return explainPrecision(this.#opened().explain(), precision, Object.values<Optimizer>(optimizers));
  }

  /** Frees the backend's memory; the trainer cannot be used afterwards. Calling it twice is harmless. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const session = this.#session;
    this.#session = undefined;
    this.#steps.clear();
    this.#predictions.clear();
    await session?.close();
  }

  /** Closes, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #trainEpoch(data: BatchSource, epoch: number, options: StepFitOptions): Promise<EpochMeter> {
    const { callbacks = [], signal } = options;
    const metrics: MetricResult[] = []; // known when the step is traced
    const meter = new EpochMeter(metrics);
    let place = 0;
    meter.waiting();
    for await (const batch of data) {
      meter.arrived();
      const compiled = await this.#compiled(batch);
      if (metrics.length === 0) metrics.push(...compiled.metrics);
      const outputs = await this.#run(batch, compiled);
      const samples = batch.size - batch.padded;
      const keys = batch.keys.slice(0, samples);
      batch.release();
      const at = { epoch, step: place++, steps: data.stepsPerEpoch, keys };
      const logs = { ...at, ...meter.stepped(outputs, samples) };
      for (const callback of callbacks) await callback.onTrainBatchEnd?.(logs);
      if (this.#turns.isOver()) await this.#turns.yield();
      if (signal?.aborted) throw new KdataError("aborted", "Training stopped on request", { cause: signal.reason });
      meter.waiting();
    }
    meter.finished();
    if (meter.samples === 0) throw new KdataError("input", "Cannot train: the data has no samples");
    return meter;
  }

  async #run(batch: Batch, { program, randoms }: CompiledStep): Promise<Map<string, HostTensor>> {
    const feeds = new Map<string, HostTensor>();
    for (const feature of this.#options.features) {
      feeds.set(inputFeedName(feature), feedTensor(batch, feature, feedSpec(batch, feature)));
    }
    const weight = filled("float32", [batch.size], 1);
    weight.data.fill(0, batch.size - batch.padded);
    feeds.set(WEIGHT_FEED, weight);
    randoms.addTo(feeds, this.#step);
    const outputs = await program.run(feeds);
    this.#step++;
    return outputs;
  }

  async #compiled(batch: Batch): Promise<CompiledStep> {
    this.#checkOpen();
    const { features } = this.#options;
    const entries = features.map((feature) => [feature, feedSpec(batch, feature)] as const);
    const specs = Object.fromEntries(entries) as Record<F, FeedSpec>;
    const key = JSON.stringify([batch.size, specs]);
    const known = this.#steps.get(key);
    if (known) return known;
    const { plan, initialState, logged } = planStep(this.#options, specs, batch.size);
    const session = this.#session ?? (await this.#open(initialState(this.#seed)));
    const compiled = {
      program: await session.compile(plan),
      randoms: new RandomFeeds(plan, this.#seed),
      metrics: logged.map(meanMetric),
    };
    this.#steps.set(key, compiled);
    return compiled;
  }

  async #open(state: Map<string, HostTensor>): Promise<Session> {
    for (const [name, rate] of this.#rates) state.set(...rateEntry(name, rate));
    const { computeThread, knobs } = this.#options;
    const backend = await openForTraining(this.#backendName, computeThread, knobs);
    const session = await backend.open(state, knobs);
    try {
      await session.write(this.#given);
      await this.#restore(session);
    } catch (error) {
      await session.close();
      throw error;
    }
    this.#session = session;
    return session;
  }

  async #restore(session: Session): Promise<void> {
    if (this.#pending === undefined) return;
    const optimizers = Object.entries<StepDefinition<M, O, F>["optimizers"][O]>(this.#options.optimizers);
    const settings = optimizers.flatMap(([name, optimizer]) =>
      optimizer.settings.map((setting) => `${statePrefix.optimizer}${name}/${setting}`),
    );
    await session.write(chooseRestored(this.#pending, await session.read(), settings, this.#pendingOptions));
    this.#pending = undefined;
  }

  #opened(): Session {
    this.#checkOpen();
    if (!this.#session) throw new TypeError("Cannot use the models' state: train first");
    return this.#session;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new TypeError("Cannot use the step trainer: it is closed");
  }
}

/** A scalar of the step, as a mean over the samples of an epoch. */
function meanMetric(name: string): MetricResult {
  return { name, result: (sums) => ratio(scalarOf(sums, "total"), scalarOf(sums, "weight")) };
}

function rateEntry(optimizer: string, rate: number): [string, HostTensor] {
  return [`${statePrefix.optimizer}${optimizer}/learningRate`, filled("float32", [], rate)];
}

function savedCount(metadata: Readonly<Record<string, string>>, name: string, path: string): number {
  const count = Number(metadata[name] ?? 0);
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new KdataError("format", `Cannot load weights: '${metadata[name]}' is no number of ${name}s`, {
    at: { source: path },
  });
}

/** Callbacks that only listen are as good here as with a `Trainer`. */
function checkCallbacks(callbacks: readonly Callback[]): void {
  if (!callbacks.some((callback) => callback.setTrainer !== undefined || callback.backup !== undefined)) return;
  throw new KdataError("usage", "Cannot fit: a callback needs a Trainer, which a step of one's own has not", {
    hint: "set learning rates, save and stop in a callback of your own",
  });
}
