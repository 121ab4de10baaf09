// The training loop: a model, a loss and an optimizer, on any backend, over any source of batches.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { takeTurns } from "../core/turns.ts";
import type { Backend, Explanation, HostTensor, Knobs, Program, Session } from "./backend.ts";
import type { Callback } from "./callbacks.ts";
import { readSafetensors, writeSafetensors } from "./checkpoint.ts";
import { EpochMeter, output, RunningSums } from "./epoch-meter.ts";
import { checkClasses, feedSpec, feedTensor } from "./feeds.ts";
import { batchOfOne, inputsOf, ofBatch, type InputNames, type ModelInputs, type SampleShape } from "./inputs.ts";
import type { Model, Parameter } from "./layers.ts";
import type { Loss } from "./losses/loss.ts";
import type { Metric } from "./metrics/metric.ts";
import type { Optimizer } from "./optimizers/optimizer.ts";
import type { Plan } from "./plan.ts";
import { RandomFeeds } from "./random-feeds.ts";
import { openForTraining, resolveBackendName } from "./registry.ts";
import { chooseRestored, type RestoreOptions } from "./restore.ts";
import { formatSummary } from "./summary.ts";
import {
  feedNames,
  initialState,
  inspectModel,
  planEvaluation,
  planPrediction,
  planTraining,
  settingNames,
  statePrefix,
  type InputSpec,
  type Recipe,
} from "./train-step.ts";
import { checkClassWeight, weightShape, weightTensor, type TargetSpec, type Weighting } from "./weights.ts";

/** Batches to train on or to evaluate: a kdata loader, a generator, anything that can be iterated. One iteration is one epoch. */
export interface BatchSource extends AsyncIterable<Batch> {
  /** Steps of a whole epoch, where the source knows; for the progress bar only. */
  readonly stepsPerEpoch?: number;
  /** Frees what the source holds: worker threads, files. The trainer never calls it; whoever opened the source does. */
  close?(): Promise<void>;
}

/** What and how a {@link Trainer} trains. */
export interface TrainerOptions {
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  readonly metrics?: readonly Metric[];
  /**
   * The feature of a batch that the model takes. Default `x`. For a model of several inputs a list of features, or the
   * model's names with the features' (`{ query: "question" }`): the model takes a record of them.
   */
  readonly input?: InputNames;
  /** The feature of a batch that the loss and the metrics compare with. Default `y`. */
  readonly target?: string;
  /**
   * The feature of a batch with the weight of each sample, `[batch]`, or of each place of a sequence, `[batch, time]`: loss and
   * metrics are weighted means, divided by the sum of the weights. Default: every sample weighs 1.
   */
  readonly sampleWeight?: string;
  /** A backend's name. Default: the environment's `KDATA_BACKEND`, else `onnx`. */
  readonly backend?: string;
  /** Settings that only this backend knows, such as `threads`; an unknown one is refused. */
  readonly knobs?: Knobs;
  /**
   * Computes in a thread of its own, so that loading, progress and signals never wait for a step. Default: where the backend
   * blocks the thread that asks, which all do but `reference`.
   */
  readonly computeThread?: boolean;
  /** The seed of the initial weights and of what layers draw at each step. Default 0. */
  readonly seed?: number;
}

/** How long and with what company `fit` runs. */
export interface FitOptions {
  /** Iterations over the data. Default 1. */
  readonly epochs?: number;
  /** Evaluated after each epoch; its numbers are logged with the prefix `val_`. */
  readonly validation?: BatchSource;
  readonly callbacks?: readonly Callback[];
  /** Weights by class number, 1 for one that is missing; they multiply the weights of samples, in training only. */
  readonly classWeight?: Readonly<Record<number, number>>;
  /** Stops after the step that is running, with a `KdataError` `aborted`. */
  readonly signal?: AbortSignal;
}

const trainerOptionNames: Readonly<Record<keyof TrainerOptions, true>> = {
  optimizer: true,
  loss: true,
  metrics: true,
  input: true,
  target: true,
  sampleWeight: true,
  backend: true,
  knobs: true,
  computeThread: true,
  seed: true,
};

const fitOptionNames: Readonly<Record<keyof FitOptions, true>> = {
  epochs: true,
  validation: true,
  callbacks: true,
  classWeight: true,
  signal: true,
};

/** The numbers of each epoch in order, by name: `loss`, the metrics, `val_loss`, ... */
export type History = Record<string, number[]>;

/** How the programs of a trainer are told apart. */
type Entry = "train" | "evaluate" | "predict";

/** One compiled plan and the shapes it was compiled for. */
interface Compiled {
  readonly rows: number;
  readonly input: InputSpec;
  readonly target: TargetSpec | undefined;
  /** Of the weights; undefined where there is no target. */
  readonly weightShape: readonly number[] | undefined;
  /** Whether a smaller batch cannot be filled up for it. */
  readonly mixesRows: boolean;
  readonly randoms: RandomFeeds;
  /** Where targets number classes: how many there are. */
  readonly classes: number | undefined;
  readonly program: Program;
}

/** What was loaded before the first batch said what the model looks like. */
interface PendingState {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly options: RestoreOptions;
}

/**
 * Trains a model on a backend that is chosen when it is made.
 *
 * The graph is traced at the first batch, whose features give shapes and dtypes. Batches smaller than the first are filled up
 * and the filling weighs nothing, so a short last batch counts exactly what it holds.
 *
 * @example
 * const trainer = new Trainer(layers.sequential([layers.flatten(), layers.dense(10)]), {
 *   backend: "reference",
 *   optimizer: optimizers.adam(),
 *   loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
 * });
 */
export class Trainer {
  readonly #recipe: Recipe;
  readonly #input: ModelInputs;
  readonly #target: string;
  readonly #sampleWeight: string | undefined;
  readonly #backendName: string;
  readonly #knobs: Knobs | undefined;
  readonly #computeThread: boolean | undefined;
  readonly #seed: number;
  readonly #programs = new Map<Entry, Compiled[]>();
  #backend: Backend | undefined;
  #session: Session | undefined;
  #inputSpec: InputSpec | undefined;
  #pending: PendingState | undefined;
  #epoch = 0;
  /** Steps trained so far: what the random numbers of the next one depend on. */
  #step = 0;
  /** What was set, where it was. */
  #learningRate: number | undefined;
  #isClosed = false;
  /** A backend may compute without ever giving way. */
  readonly #turns = takeTurns();

  /**
   * Keeps the recipe. The backend is opened at the first batch, or by {@link Trainer.backend}.
   *
   * @throws {KdataError} `usage` when there is no such option or backend.
   * @throws {RangeError} when the seed is not a whole number from 0 on.
   */
  constructor(model: Model, options: TrainerOptions) {
    checkOptionNames("Cannot make trainer", options, Object.keys(trainerOptionNames));
    checkWhole("Cannot make trainer", "seed", options.seed ?? 0, 0);
    const { optimizer, loss, metrics = [] } = options;
    checkMetricNames(metrics);
    this.#recipe = { model, loss, metrics, optimizer };
    this.#input = inputsOf(options.input ?? "x");
    this.#target = options.target ?? "y";
    this.#sampleWeight = options.sampleWeight;
    this.#backendName = resolveBackendName(options.backend);
    this.#knobs = options.knobs;
    this.#computeThread = options.computeThread;
    this.#seed = options.seed ?? 0;
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Steps trained so far, over all calls of `fit`. */
  get step(): number {
    return this.#step;
  }

  /** Opens the backend and says what it is, before any data is there. */
  async backend(): Promise<Backend> {
    const backend = this.#backend ?? (await openForTraining(this.#backendName, this.#computeThread));
    this.#backend = backend;
    return backend;
  }

  /**
   * Trains on every batch of `data`, `epochs` times.
   *
   * @returns one number an epoch for `loss`, each metric, and the same with the prefix `val_`.
   * @throws {KdataError} `shape` when the data does not fit the model, `usage` when there is no such option, `aborted` through
   *   `signal`, and what the data or the backend throws.
   * @throws {RangeError} when `epochs` is not a whole number from 1 on.
   */
  async fit(data: BatchSource, options: FitOptions = {}): Promise<History> {
    checkOptionNames("Cannot fit", options, Object.keys(fitOptionNames));
    const { epochs = 1, validation, callbacks = [], signal, classWeight } = options;
    checkWhole("Cannot fit", "epochs", epochs, 1);
    if (classWeight) checkClassWeight(classWeight);
    const history: History = {};
    const last = this.#epoch + epochs;
    for (const callback of callbacks) await callback.onTrainBegin?.({ epochs: last });
    while (this.#epoch < last) {
      const epoch = this.#epoch;
      for (const callback of callbacks) {
        await callback.onEpochBegin?.(epoch, { epochs: last, steps: data.stepsPerEpoch });
      }
      const meter = await this.#trainEpoch(data, epoch, options);
      const values = meter.values();
      if (validation) {
        const evaluated = await this.evaluate(validation, signal && { signal });
        for (const [name, value] of Object.entries(evaluated)) values[`val_${name}`] = value;
      }
      for (const [name, value] of Object.entries(values)) (history[name] ??= []).push(value);
      this.#epoch++;
      for (const callback of callbacks) await callback.onEpochEnd?.(meter.logs(epoch, last, values));
    }
    for (const callback of callbacks) await callback.onTrainEnd?.();
    return history;
  }

  /**
   * Computes loss and metrics over every batch of `data` without training: exact means over its samples.
   *
   * @throws {KdataError} `input` when there is no sample, `aborted` through `signal`.
   */
  async evaluate(
    data: BatchSource,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Record<string, number>> {
    const sums = new RunningSums(this.#recipe.metrics);
    for await (const batch of data) {
      const program = await this.#program("evaluate", batch);
      sums.add(await program.program.run(this.#feeds(batch, program)), batch.size - batch.padded);
      batch.release();
      await this.#giveTurn(signal);
    }
    if (sums.samples === 0) throw new KdataError("input", "Cannot evaluate: the data has no samples");
    return sums.values();
  }

  /**
   * Computes what the model returns for every sample of `data`, in order: a float32 tensor `[samples, ...]`.
   */
  async predict(data: BatchSource): Promise<Tensor<"float32">> {
    const parts: Float32Array[] = [];
    let rowShape: readonly number[] = [];
    let rows = 0;
    for await (const batch of data) {
      const compiled = await this.#program("predict", batch);
      const outputs = await compiled.program.run(this.#feeds(batch, compiled));
      const prediction = output(outputs, "prediction");
      const count = batch.size - batch.padded;
      rowShape = prediction.shape.slice(1);
      rows += count;
      parts.push((prediction.data as Float32Array).slice(0, count * elementCount(rowShape)));
      batch.release();
      await this.#giveTurn();
    }
    const joined = new Float32Array(rows * elementCount(rowShape));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return { dtype: "float32", shape: [rows, ...rowShape], data: joined };
  }

  /**
   * Describes the model as a table: layers, output shapes, parameters.
   *
   * @param sample shape (float32), or shape and dtype, of one sample's input, or those of its inputs by name; left out, those
   *   of the data seen so far.
   */
  summary(sample?: SampleShape): string {
    return formatSummary(inspectModel(this.#recipe.model, this.#sampleSpec("summarise", sample)));
  }

  /** Lists the model's parameters, its layers' state among them, in the order of the computation; `sample` as in `summary()`. */
  parameters(sample?: SampleShape): readonly Parameter[] {
    const traced = inspectModel(this.#recipe.model, this.#sampleSpec("list parameters", sample));
    return traced.parameters.map(({ parameter }) => parameter);
  }

  /** Copies the model's weights: name to float32 tensor, names as in `summary()`. */
  async weights(): Promise<Map<string, HostTensor>> {
    const state = await this.#opened().read();
    return selectPrefix(state, statePrefix.model);
  }

  /**
   * Copies the moving averages of the weights that an optimizer with `useEma` keeps: those that are trained, named as in
   * {@link weights}. Empty without `useEma`.
   */
  async averagedWeights(): Promise<Map<string, HostTensor>> {
    return selectPrefix(await this.#opened().read(), `${statePrefix.optimizer}average/`);
  }

  /**
   * Reads the learning rate of the next step: the setting, or what the optimizer's schedule says.
   *
   * @throws {TypeError} when the trainer is closed.
   */
  async learningRate(): Promise<number> {
    this.#checkOpen();
    const name = `${statePrefix.optimizer}learningRate`;
    const held = (await this.#session?.read([name]))?.get(name);
    return held
      ? Number(held.data[0])
      : (this.#learningRate ?? this.#recipe.optimizer.scalars["learningRate"]?.initial ?? NaN);
  }

  /**
   * Sets the learning rate of the steps that follow. What `load` reads does not change it.
   *
   * @throws {TypeError} when the optimizer has a schedule, or the trainer is closed.
   * @throws {RangeError} when it is not a finite number from 0 on.
   */
  async setLearningRate(rate: number): Promise<void> {
    this.#checkOpen();
    if (!this.#recipe.optimizer.settings.includes("learningRate")) {
      throw new TypeError("Cannot set the learning rate: the optimizer has a schedule");
    }
    if (!(rate >= 0 && rate < Infinity)) throw new RangeError(`Cannot set the learning rate: it is ${rate}`);
    this.#learningRate = rate;
    await this.#session?.write(new Map([[`${statePrefix.optimizer}learningRate`, rateTensor(rate)]]));
  }

  /** Writes weights, the layers' and the optimizer's state as safetensors, whole or not at all. */
  async save(path: string): Promise<void> {
    writeSafetensors(path, await this.#opened().read(), {
      format: "kdata",
      epoch: String(this.#epoch),
      step: String(this.#step),
    });
  }

  /**
   * Reads what `save` wrote: weights, the optimizer's state, the numbers of epochs and steps. The optimizer's settings, such as its
   * learning rate, stay those of this trainer. Before the first batch it is kept to replace the initial weights then.
   *
   * @throws {KdataError} `state` (here, or at the first batch) when a tensor is missing, too much, or has another shape than
   *   the model's; the trainer is as before then.
   */
  async load(path: string, options: RestoreOptions = {}): Promise<void> {
    checkOptionNames("Cannot load weights", options, ["weightsOnly"]);
    this.#checkOpen();
    const { tensors, metadata } = readSafetensors(path);
    const [epoch, step] = (["epoch", "step"] as const).map((name) => {
      const count = Number(metadata[name] ?? 0);
      if (Number.isSafeInteger(count) && count >= 0) return count;
      throw new KdataError("format", `Cannot load weights: '${metadata[name]}' is no number of ${name}s`, {
        at: { source: path },
      });
    });
    if (this.#session) await this.#restore(this.#session, { tensors, options });
    else this.#pending = { tensors, options };
    this.#epoch = epoch ?? 0;
    this.#step = step ?? 0;
  }

  /**
   * Makes the model's forward pass with its present weights as a self-contained ONNX file: one input `input` (of several, one
   * `input/<name>` each), one output `prediction`, all with the batch as the leading axis, of any size.
   *
   * @throws {KdataError} `unsupported` when the model computes something that depends on the batch size.
   */
  async exportOnnx(): Promise<Uint8Array> {
    const session = this.#opened();
    const { model } = this.#recipe;
    const input = this.#inputSpec ?? {};
    function planOf(batch: number): Plan {
      return planPrediction(model, ofBatch(input, batch));
    }
    const { planToOnnx } = await import("./backends/onnx-model.ts");
    return planToOnnx(planOf, { state: await session.read([...planOf(1).state.keys()]) });
  }

  /** Says what the backend really does with this model. */
  explain(): Explanation {
    return this.#opened().explain();
  }

  /** Frees the backend's memory; the trainer cannot be used afterwards. Calling it twice is harmless. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const session = this.#session;
    this.#session = undefined;
    this.#programs.clear();
    await session?.close();
  }

  /** Closes, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #trainEpoch(data: BatchSource, epoch: number, options: FitOptions): Promise<EpochMeter> {
    const { callbacks = [], signal, classWeight } = options;
    const meter = new EpochMeter(this.#recipe.metrics);
    meter.waiting();
    for await (const batch of data) {
      meter.arrived();
      const compiled = await this.#program("train", batch, classWeight);
      const feeds = this.#feeds(batch, compiled, classWeight);
      compiled.randoms.addTo(feeds, this.#step);
      const outputs = await compiled.program.run(feeds);
      this.#step++;
      const samples = batch.size - batch.padded;
      batch.release();
      const step = meter.stepped(outputs, samples);
      for (const callback of callbacks) {
        await callback.onTrainBatchEnd?.({ epoch, steps: data.stepsPerEpoch, ...step });
      }
      await this.#giveTurn(signal);
      meter.waiting();
    }
    meter.finished();
    if (meter.samples === 0) throw new KdataError("input", "Cannot train: the data has no samples");
    return meter;
  }

  /** Lets the event loop run when it has not for a while, then stops if that was asked. */
  async #giveTurn(signal?: AbortSignal): Promise<void> {
    if (this.#turns.isOver()) await this.#turns.yield();
    if (signal?.aborted) throw new KdataError("aborted", "Training stopped on request", { cause: signal.reason });
  }

  /**
   * Finds or compiles the program for a batch: one that takes exactly its rows, else the next larger one, unless rows that
   * only fill the batch would count.
   */
  async #program(entry: Entry, batch: Batch, classWeight?: Weighting["classWeight"]): Promise<Compiled> {
    const known = this.#programs.get(entry) ?? [];
    const target = entry === "predict" ? undefined : this.#targetSpec(batch);
    const weights = target && weightShape(batch, target, batch.size, this.#weighting(classWeight));
    const fitting = known
      .filter(({ rows, mixesRows }) => (mixesRows ? rows === batch.size : rows >= batch.size))
      .filter(({ weightShape: shape }) => shape?.slice(1).join() === weights?.slice(1).join())
      .sort((a, b) => a.rows - b.rows)[0];
    if (fitting) return fitting;

    const input = this.#input.spec((feature) => feedSpec(batch, feature));
    const session = await this.#open(input);
    const shapes = { input, target, weightShape: weights };
    const compiled = { rows: batch.size, ...shapes, ...(await this.#compile(session, entry, shapes)) };
    this.#programs.set(entry, [...known, compiled]);
    return compiled;
  }

  async #compile(
    session: Session,
    entry: Entry,
    { input, target, weightShape: weights }: Pick<Compiled, "input" | "target" | "weightShape">,
  ): Promise<Pick<Compiled, "classes" | "program" | "mixesRows" | "randoms">> {
    if (target === undefined) {
      const plan = planPrediction(this.#recipe.model, input);
      const program = await session.compile(plan);
      return { classes: undefined, program, mixesRows: false, randoms: new RandomFeeds(plan, this.#seed) };
    }
    const planned = (entry === "train" ? planTraining : planEvaluation)(this.#recipe, input, target, weights);
    const { plan, predictionShape, mixesRows } = planned;
    const classes = this.#recipe.loss.classes?.(predictionShape);
    const program = await session.compile(plan);
    return { classes, program, mixesRows, randoms: new RandomFeeds(plan, this.#seed) };
  }

  #targetSpec(batch: Batch): TargetSpec {
    return { ...feedSpec(batch, this.#target), isSparse: this.#recipe.loss.classes !== undefined };
  }

  #weighting(classWeight: Weighting["classWeight"]): Weighting {
    return { sampleWeight: this.#sampleWeight, classWeight };
  }

  #feeds(batch: Batch, compiled: Compiled, classWeight?: Weighting["classWeight"]): Map<string, HostTensor> {
    const { input, target, weightShape: weights, classes } = compiled;
    const feeds = this.#input.feeds(input, (feature, spec) => feedTensor(batch, feature, spec));
    if (target && weights) {
      const targets = feedTensor(batch, this.#target, target);
      const ignored = this.#recipe.loss.ignoredClass;
      if (classes !== undefined) checkClasses(batch, this.#target, targets, { classes, ignored });
      feeds.set(feedNames.target, targets);
      const labelled = { ...targets, isSparse: target.isSparse };
      feeds.set(feedNames.weight, weightTensor(batch, labelled, weights, this.#weighting(classWeight)));
    }
    return feeds;
  }

  /** Opens the session at the first batch. It becomes the trainer's only when what was loaded before fits it. */
  async #open(input: InputSpec): Promise<Session> {
    this.#checkOpen();
    if (this.#session) return this.#session;
    const { parameters } = inspectModel(this.#recipe.model, input);
    const state = initialState(
      parameters.map(({ parameter }) => parameter),
      this.#recipe.optimizer,
      this.#seed,
    );
    if (this.#learningRate !== undefined) {
      state.set(`${statePrefix.optimizer}learningRate`, rateTensor(this.#learningRate));
    }
    const backend = await this.backend();
    const session = await backend.open(state, this.#knobs);
    try {
      if (this.#pending) await this.#restore(session, this.#pending);
    } catch (error) {
      await session.close();
      throw error;
    }
    this.#pending = undefined;
    this.#inputSpec = input;
    this.#session = session;
    return session;
  }

  async #restore(session: Session, { tensors, options }: PendingState): Promise<void> {
    const settings = settingNames(this.#recipe.optimizer);
    await session.write(chooseRestored(tensors, await session.read(), settings, options));
  }

  #sampleSpec(action: string, sample: SampleShape | undefined): InputSpec {
    const spec = sample === undefined ? this.#inputSpec : batchOfOne(sample, this.#inputSpec);
    if (spec === undefined) throw new TypeError(`Cannot ${action}: give the shape of one sample, or fit first`);
    return spec;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new TypeError("Cannot use the trainer: it is closed");
  }

  #opened(): Session {
    this.#checkOpen();
    if (!this.#session) throw new TypeError("Cannot use the model's state: fit, evaluate or predict first");
    return this.#session;
  }
}

function checkMetricNames(metrics: readonly Metric[]): void {
  for (const [i, { name }] of metrics.entries()) {
    if (name !== "loss" && metrics.findIndex((metric) => metric.name === name) === i) continue;
    throw new TypeError(`Cannot make trainer: two numbers would be called '${name}'; give a metric another { name }`);
  }
}

function rateTensor(rate: number): HostTensor {
  return { dtype: "float32", shape: [], data: Float32Array.of(rate) };
}

function selectPrefix(state: ReadonlyMap<string, HostTensor>, prefix: string): Map<string, HostTensor> {
  const selected = new Map<string, HostTensor>();
  for (const [name, value] of state) if (name.startsWith(prefix)) selected.set(name.slice(prefix.length), value);
  return selected;
}
