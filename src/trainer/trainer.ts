// The training loop: a model, a loss and an optimizer, on any backend, over any source of batches.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames } from "../core/options.ts";
import type { Tensor } from "../core/tensor.ts";
import { takeTurns } from "../core/turns.ts";
import type { Backend, Explanation, HostTensor, Session } from "./backend.ts";
import type { PreparedRun } from "./batch-feed.ts";
import type { BatchSource, DataSource } from "./batch-source.ts";
import { checkParts } from "./check-parts.ts";
import { readSafetensors, writeSafetensors } from "./checkpoint.ts";
import { listCheckpoints, readNewest, removeCheckpoints, type LoadedCheckpoint } from "./checkpoint-folder.ts";
import { resolveCheckpoint, type ResolvedCheckpoint } from "./checkpoint-options.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { evaluateAll, predictAll, type Pass } from "./evaluation.ts";
import { checkEvaluateOptions, checkFitOptions, type EvaluateOptions, type FitOptions } from "./fit-options.ts";
import { FitRun, type Counters, type History } from "./fit-run.ts";
import { inputsOf, batchOfOne, ofBatch, type SampleShape } from "./inputs.ts";
import type { Model, Parameter } from "./layers.ts";
import type { Plan } from "./plan.ts";
import { explainPrecision, optimizerFor, resolvePrecision } from "./precision.ts";
import { Programs, type Purpose } from "./programs.ts";
import { resolveBackendName } from "./registry.ts";
import { chooseRestored, type RestoreOptions } from "./restore.ts";
import { formatSummary } from "./summary.ts";
import { toBatches } from "./to-batches.ts";
import { benchTrainers, type TrainerBenchOptions, type TrainerBenchReport } from "./trainer-bench.ts";
import { checkMetricNames, checkTrainerOptions, type TrainerOptions } from "./trainer-options.ts";
import { inspectModel, planPrediction, settingNames, statePrefix, type InputSpec, type Recipe } from "./train-step.ts";

export type { BatchSource, DataSource } from "./batch-source.ts";
export type { EvaluateOptions, FitOptions } from "./fit-options.ts";
export type { History } from "./fit-run.ts";
export type { TrainerOptions } from "./trainer-options.ts";

const DEFAULT_BATCH_SIZE = 32; // Keras'

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
  /** Set to true, by a callback: training ends with this batch or epoch, as if it had been the last one. */
  stopTraining = false;
  readonly #options: TrainerOptions;
  readonly #recipe: Recipe;
  readonly #programs: Programs;
  readonly #seed: number;
  readonly #counters: Counters = { epoch: 0, step: 0, learningRate: undefined, dataState: undefined };
  #pending: PendingState | undefined;
  /** A backend may compute without ever giving way. */
  readonly #turns = takeTurns();

  /**
   * Keeps the recipe. The backend is opened at the first batch, or by {@link Trainer.backend}.
   *
   * @throws {KdataError} `usage` when there is no such option, backend or precision; `unsupported` when the optimizer cannot do it.
   * @throws {RangeError} when the seed is not a whole number from 0 on.
   * @throws {TypeError} when the model, the loss, the optimizer or a metric is none: a name in quotes.
   */
  constructor(model: Model, options: TrainerOptions) {
    checkTrainerOptions(options);
    const { loss, metrics = [], seed = 0 } = options;
    checkParts(model, { optimizer: options.optimizer, loss, metrics });
    checkMetricNames(metrics);
    const precision = resolvePrecision(options.precision);
    const optimizer = optimizerFor(precision, options.optimizer);
    this.#options = options;
    this.#recipe = { model, loss, metrics, optimizer, precision };
    this.#seed = seed;
    this.#programs = new Programs({
      recipe: this.#recipe,
      input: inputsOf(options.input ?? "x"),
      target: options.target ?? "y",
      sampleWeight: options.sampleWeight,
      backendName: resolveBackendName(options.backend),
      knobs: options.knobs,
      computeThread: options.computeThread,
      seed,
    });
  }

  /** Epochs trained so far, over all calls of `fit`. */
  get epoch(): number {
    return this.#counters.epoch;
  }

  /** Steps trained so far, over all calls of `fit`. */
  get step(): number {
    return this.#counters.step;
  }

  /** What the data's `state()` was when the last trained batch had arrived; the data itself is a batch ahead while a step computes. */
  get dataState(): unknown {
    return this.#counters.dataState;
  }

  /** Opens the backend and says what it is, before any data is there. */
  async backend(): Promise<Backend> {
    return this.#programs.backend();
  }

  /**
   * Trains on every batch of `data`, `epochs` times. While a step computes, the next batch is fetched.
   *
   * @returns one number an epoch for `loss`, each metric, and the same with the prefix `val_`; after a resumption those of the epochs
   *   before it too.
   * @throws {KdataError} `shape` when the data does not fit the model, `usage` when there is no such option, `aborted` through
   *   `signal`, `exists` when the checkpoint's folder has some and `resume` is false, and what the data or the backend throws.
   * @throws {RangeError} when a number is out of its range.
   */
  async fit(data: DataSource, options: FitOptions = {}): Promise<History> {
    checkFitOptions(options);
    this.#programs.checkOpen();
    await this.#programs.backend(); // so that its knobs are checked also where nothing is left to train
    const { callbacks = [], epochs = 1, signal, classWeight } = options;
    const backup = callbacks.find((callback) => callback.backup)?.backup;
    const { deleteAtEnd = false, ...backupOptions } = backup ?? {};
    const checkpoint = resolveCheckpoint(options.checkpoint === undefined ? backupOptions : options);
    const loaded = checkpoint && (await this.#resume(checkpoint));
    const firstEpoch = loaded?.state.firstEpoch ?? options.initialEpoch ?? this.epoch;
    if (!loaded && options.initialEpoch !== undefined) this.#counters.epoch = options.initialEpoch;
    const { train, validation } = this.#sources(data, options);
    const history = await new FitRun({
      trainer: this,
      counters: this.#counters,
      metrics: this.#recipe.metrics,
      turns: this.#turns,
      data: train,
      validation,
      firstEpoch,
      lastEpoch: options.initialEpoch === undefined ? firstEpoch + epochs : epochs,
      stepsPerEpoch: options.stepsPerEpoch,
      callbacks,
      signal,
      best: checkpoint?.best,
      schedule: checkpoint && this.#schedule(checkpoint, loaded),
      resumed: loaded && { ...loaded, epoch: loaded.state.epoch, step: loaded.state.step },
      prepare: (batch, idle, step) => this.#prepare(batch, idle, { entry: "train", classWeight, step }),
      evaluate: (held) =>
        evaluateAll(this.#pass("evaluate", held, { ...options, steps: options.validationSteps }), this.#recipe.metrics),
    }).run();
    if (checkpoint && deleteAtEnd && !this.stopTraining) await removeCheckpoints(checkpoint.folder);
    return history;
  }

  /**
   * Computes loss and metrics over every batch of `data` without training: exact means over its samples.
   *
   * @throws {KdataError} `input` when there is no sample, `aborted` through `signal`.
   */
  async evaluate(data: DataSource, options: EvaluateOptions = {}): Promise<Record<string, number>> {
    checkEvaluateOptions("Cannot evaluate", options);
    return evaluateAll(this.#pass("evaluate", this.#inOrder(data, options), options), this.#recipe.metrics);
  }

  /**
   * Computes what the model returns for every sample of `data`, in order: a float32 tensor `[samples, ...]`.
   *
   * @throws {KdataError} `aborted` through `signal`.
   */
  async predict(data: DataSource, options: EvaluateOptions = {}): Promise<Tensor<"float32">> {
    checkEvaluateOptions("Cannot predict", options);
    return predictAll(this.#pass("predict", this.#inOrder(data, options), options));
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
    const state = await this.#programs.opened().read();
    return selectPrefix(state, statePrefix.model);
  }

  /**
   * Copies the moving averages of the weights that an optimizer with `useEma` keeps: those that are trained, named as in
   * {@link weights}. Empty without `useEma`.
   */
  async averagedWeights(): Promise<Map<string, HostTensor>> {
    return selectPrefix(await this.#programs.opened().read(), `${statePrefix.optimizer}average/`);
  }

  /**
   * Reads the learning rate of the next step: the setting, or what the optimizer's schedule says.
   *
   * @throws {TypeError} when the trainer is closed.
   */
  async learningRate(): Promise<number> {
    this.#programs.checkOpen();
    const name = `${statePrefix.optimizer}learningRate`;
    const held = (await this.#programs.session?.read([name]))?.get(name);
    return held
      ? Number(held.data[0])
      : // As the session will hold it: what is computed from it must not depend on whether that is open yet.
        Math.fround(this.#counters.learningRate ?? this.#recipe.optimizer.scalars["learningRate"]?.initial ?? NaN);
  }

  /**
   * Sets the learning rate of the steps that follow. What `load` reads does not change it.
   *
   * @throws {TypeError} when the optimizer has a schedule, or the trainer is closed.
   * @throws {RangeError} when it is not a finite number from 0 on.
   */
  async setLearningRate(rate: number): Promise<void> {
    this.#programs.checkOpen();
    if (!this.#recipe.optimizer.settings.includes("learningRate")) {
      throw new TypeError("Cannot set the learning rate: the optimizer has a schedule");
    }
    if (!(rate >= 0 && rate < Infinity)) throw new RangeError(`Cannot set the learning rate: it is ${rate}`);
    this.#counters.learningRate = rate;
    await this.#programs.session?.write(rateState(rate));
  }

  /**
   * Replaces weights, named and shaped as {@link weights} gives them; all of them, the layers' state included.
   *
   * @throws {KdataError} `state` when one is missing, too much or has another shape; none has been replaced then.
   */
  async setWeights(weights: ReadonlyMap<string, HostTensor>): Promise<void> {
    const named = new Map(Array.from(weights, ([name, value]) => [`${statePrefix.model}${name}`, value]));
    await this.#restore(this.#programs.opened(), { tensors: named, options: { weightsOnly: true } });
  }

  /** Writes weights, the layers' and, unless `weightsOnly`, the optimizer's state as safetensors, whole or not at all. */
  async save(path: string, options: RestoreOptions = {}): Promise<void> {
    checkOptionNames("Cannot save weights", options, ["weightsOnly"]);
    const state = await this.#programs.opened().read();
    if (options.weightsOnly === true) {
      for (const name of state.keys()) if (name.startsWith(statePrefix.optimizer)) state.delete(name);
    }
    writeSafetensors(path, state, { format: "kdata", epoch: String(this.epoch), step: String(this.step) });
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
    this.#programs.checkOpen();
    const { tensors, metadata } = readSafetensors(path);
    const [epoch, step] = (["epoch", "step"] as const).map((name) => {
      const count = Number(metadata[name] ?? 0);
      if (Number.isSafeInteger(count) && count >= 0) return count;
      throw new KdataError("format", `Cannot load weights: '${metadata[name]}' is no number of ${name}s`, {
        at: { source: path },
      });
    });
    await this.#take({ tensors, options });
    this.#counters.epoch = epoch ?? 0;
    this.#counters.step = step ?? 0;
  }

  /**
   * Makes the model's forward pass with its present weights as a self-contained ONNX file: one input `input` (of several, one
   * `input/<name>` each), one output `prediction`, all with the batch as the leading axis, of any size.
   *
   * @throws {KdataError} `unsupported` when the model computes something that depends on the batch size.
   */
  async exportOnnx(): Promise<Uint8Array> {
    const session = this.#programs.opened();
    const { model, precision } = this.#recipe;
    const input = this.#programs.input ?? {};
    function planOf(batch: number): Plan {
      return planPrediction(model, ofBatch(input, batch), precision);
    }
    const { planToOnnx } = await import("./backends/onnx-model.ts");
    return planToOnnx(planOf, { state: await session.read([...planOf(1).state.keys()]) });
  }

  /**
   * Times real steps of this model on `data`, on each backend, and with `knobs` what each knob and each precision does: trained by
   * trainers of their own, so this one stays as it is.
   *
   * @throws {KdataError} `input` when there is no batch, `aborted` through `signal`, and what training throws.
   */
  async bench(data: DataSource, options: TrainerBenchOptions = {}): Promise<TrainerBenchReport> {
    const { backend, knobs = {}, precision, ...rest } = this.#options;
    return benchTrainers(
      {
        data: this.#inOrder(data, {}),
        backend: resolveBackendName(backend),
        knobs,
        precision: resolvePrecision(precision),
        make: ({ knobs: own = {}, ...variant }) => new Trainer(this.#recipe.model, { ...rest, ...variant, knobs: own }),
      },
      options,
    );
  }

  /** Says what the backend really does with this model. */
  explain(): Explanation {
    const { precision = "float32", optimizer } = this.#recipe;
    return explainPrecision(this.#programs.opened().explain(), precision, [optimizer]);
  }

  /** Frees the backend's memory; the trainer cannot be used afterwards. Calling it twice is harmless. */
  async close(): Promise<void> {
    await this.#programs.close();
  }

  /** Closes, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #sources(data: DataSource, options: FitOptions): { train: BatchSource; validation: BatchSource | undefined } {
    const { batchSize = DEFAULT_BATCH_SIZE, shuffle = true, validationSplit = 0, validation } = options;
    const cut = { batchSize, shuffle, seed: this.#seed, epoch: this.epoch, validationSplit };
    const split = toBatches(data, cut);
    return { train: split.train, validation: validation ? this.#inOrder(validation, options) : split.validation };
  }

  /** Batches as they come, without another order of arrays. */
  #inOrder(data: DataSource, { batchSize = DEFAULT_BATCH_SIZE }: { readonly batchSize?: number }): BatchSource {
    return toBatches(data, { batchSize, shuffle: false, seed: this.#seed, epoch: 0 }).train;
  }

  #pass(
    entry: Purpose["entry"],
    data: BatchSource,
    {
      steps,
      callbacks = [],
      signal,
    }: { [Name in "steps" | "callbacks" | "signal"]?: EvaluateOptions[Name] | undefined },
  ): Pass {
    return {
      data,
      steps,
      callbacks,
      signal,
      turns: this.#turns,
      prepare: (batch, idle) => this.#prepare(batch, idle, { entry, step: this.step }),
    };
  }

  /** Makes a batch ready while a step may be computing; opening and compiling wait until none does. */
  async #prepare(batch: Batch, idle: Promise<unknown>, purpose: Purpose): Promise<PreparedRun> {
    if (!this.#programs.session || !this.#programs.knows(batch, purpose)) await idle.catch(() => undefined);
    const session = await this.#programs.open(batch, async (opened) => {
      const { learningRate } = this.#counters;
      if (learningRate !== undefined) await opened.write(rateState(learningRate));
      if (this.#pending) await this.#restore(opened, this.#pending);
    });
    this.#pending = undefined;
    return this.#programs.prepare(session, batch, purpose);
  }

  async #restore(session: Session, { tensors, options }: PendingState): Promise<void> {
    const settings = settingNames(this.#recipe.optimizer);
    await session.write(chooseRestored(tensors, await session.read(), settings, options));
  }

  /** Goes on from the newest whole checkpoint, if that is wanted and there is one. */
  async #resume({ folder, resume }: ResolvedCheckpoint): Promise<LoadedCheckpoint | undefined> {
    if (!resume) {
      const [newest] = listCheckpoints(folder);
      if (newest === undefined) return undefined;
      throw new KdataError("exists", `Cannot fit: ${folder} has checkpoints of a run (${newest.name})`, {
        hint: "resume: true goes on from the newest; else give another folder",
      });
    }
    const loaded = readNewest(folder);
    if (!loaded) return undefined;
    const { seed, epoch, step, learningRate, data } = loaded.state;
    if (seed !== this.#seed) {
      throw new KdataError(
        "state",
        `Cannot resume ${loaded.path}: it is of seed ${seed}, the trainer has ${this.#seed}`,
      );
    }
    await this.#take({ tensors: loaded.tensors, options: {} });
    Object.assign(this.#counters, { epoch, step, dataState: data } satisfies Partial<Counters>);
    if (learningRate !== undefined) await this.setLearningRate(learningRate);
    return loaded;
  }

  #schedule(checkpoint: ResolvedCheckpoint, loaded: LoadedCheckpoint | undefined): CheckpointSchedule {
    const best = loaded?.state.best;
    return new CheckpointSchedule(checkpoint, { seed: this.#seed, best, read: () => this.#programs.opened().read() });
  }

  /** Replaces the state now, or when the first batch opens the session. */
  async #take(state: PendingState): Promise<void> {
    const { session } = this.#programs;
    if (session) await this.#restore(session, state);
    else this.#pending = state;
  }

  #sampleSpec(action: string, sample: SampleShape | undefined): InputSpec {
    const spec = sample === undefined ? this.#programs.input : batchOfOne(sample, this.#programs.input);
    if (spec === undefined) throw new TypeError(`Cannot ${action}: give the shape of one sample, or fit first`);
    return spec;
  }
}

function rateState(rate: number): Map<string, HostTensor> {
  return new Map([
    [`${statePrefix.optimizer}learningRate`, { dtype: "float32", shape: [], data: Float32Array.of(rate) }],
  ]);
}

function selectPrefix(state: ReadonlyMap<string, HostTensor>, prefix: string): Map<string, HostTensor> {
  const selected = new Map<string, HostTensor>();
  for (const [name, value] of state) if (name.startsWith(prefix)) selected.set(name.slice(prefix.length), value);
  return selected;
}
