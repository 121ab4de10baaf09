// The compiled plans of a trainer over one session's state: found or made for a batch, and fed from it.

import type { Batch } from "../core/batch.ts";
import type { Backend, HostTensor, Knobs, Program, Session } from "./backend.ts";
import type { PreparedRun } from "./batch-feed.ts";
import { FeedBuffers } from "./feed-buffers.ts";
import { checkClasses, feedSpec, feedTensor, findNaN } from "./feeds.ts";
import { checkIndices, indexLimits, type IndexLimit } from "./index-limits.ts";
import type { ModelInputs } from "./inputs.ts";
import type { Plan } from "./plan.ts";
import { openForTraining } from "./registry.ts";
import {
  feedNames,
  initialState,
  inspectModel,
  planEvaluation,
  planPrediction,
  planTraining,
  type InputSpec,
  type Recipe,
} from "./train-step.ts";
import { checkClassesOfWeights, weightShape, weightTensor, type TargetSpec, type Weighting } from "./weights.ts";

/** What a program is for. */
export type Entry = "train" | "evaluate" | "predict";

/** What a trainer is made of. */
export interface ProgramParts {
  readonly recipe: Recipe;
  readonly input: ModelInputs;
  readonly target: string;
  readonly sampleWeight: string | undefined;
  readonly backendName: string;
  readonly knobs: Knobs | undefined;
  readonly computeThread: boolean | undefined;
  readonly seed: number;
}

/** What a batch is needed for. */
export interface Purpose {
  readonly entry: Entry;
  readonly classWeight?: Weighting["classWeight"];
  /** The number of the step, which its random numbers depend on. */
  readonly step: number;
}

/** One compiled plan and the shapes it was compiled for. */
interface Compiled {
  readonly rows: number;
  readonly input: InputSpec;
  readonly target: TargetSpec | undefined;
  /** Of the weights; undefined where there is no target. */
  readonly weightShape: readonly number[] | undefined;
  /** Whether a smaller batch cannot be filled up for it. */
  readonly mixesRows: boolean;
  /** Where targets number classes: how many there are. */
  readonly classes: number | undefined;
  /** What inputs that number the rows of a table may be. */
  readonly limits: ReadonlyMap<string, IndexLimit>;
  readonly buffers: FeedBuffers;
  readonly program: Program;
}

/** A plan, and what the trainer has to know of it. */
type Planned = Pick<Compiled, "mixesRows" | "classes"> & { readonly plan: Plan };

/** Holds a trainer's backend, its session and its programs. */
export class Programs {
  readonly #parts: ProgramParts;
  readonly #compiled = new Map<Entry, Compiled[]>();
  #backend: Backend | undefined;
  #session: Session | undefined;
  #input: InputSpec | undefined;
  #isClosed = false;

  constructor(parts: ProgramParts) {
    this.#parts = parts;
  }

  /** The session, once there was a batch. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** What the model takes, once there was a batch. */
  get input(): InputSpec | undefined {
    return this.#input;
  }

  /** Opens the backend. */
  async backend(): Promise<Backend> {
    return (this.#backend ??= await openForTraining(this.#parts.backendName, this.#parts.computeThread));
  }

  /**
   * Gives the session.
   *
   * @throws {TypeError} when there was no batch yet, or the trainer is closed.
   */
  opened(): Session {
    this.checkOpen();
    if (!this.#session) throw new TypeError("Cannot use the model's state: fit, evaluate or predict first");
    return this.#session;
  }

  /**
   * Refuses to go on behind {@link close}.
   *
   * @throws {TypeError} when the trainer is closed.
   */
  checkOpen(): void {
    if (this.#isClosed) throw new TypeError("Cannot use the trainer: it is closed");
  }

  /**
   * Opens the session at the first batch. It becomes the trainer's only when `restore` succeeds.
   *
   * @param batch - gives the shapes of the model's input
   * @param restore - changes the session's initial state before anything else sees it
   */
  async open(batch: Batch, restore: (session: Session) => Promise<void>): Promise<Session> {
    this.checkOpen();
    if (this.#session) return this.#session;
    const { recipe, seed, knobs } = this.#parts;
    const input = this.#inputSpec(batch);
    const { parameters } = inspectModel(recipe.model, input);
    const state = initialState(
      parameters.map(({ parameter }) => parameter),
      recipe.optimizer,
      seed,
    );
    const session = await (await this.backend()).open(state, knobs);
    try {
      await restore(session);
    } catch (error) {
      await session.close();
      throw error;
    }
    this.#input = input;
    this.#session = session;
    return session;
  }

  /** Says whether there is a program for a batch. */
  knows(batch: Batch, purpose: Purpose): boolean {
    return this.#find(batch, purpose) !== undefined;
  }

  /**
   * Copies what a batch feeds to its program, compiles that where there is none, and gives what runs it. Afterwards the batch's
   * memory is not needed.
   *
   * @throws {KdataError} `shape` when the batch does not fit the model.
   */
  async prepare(session: Session, batch: Batch, purpose: Purpose): Promise<PreparedRun> {
    const compiled = this.#find(batch, purpose) ?? (await this.#compile(session, batch, purpose));
    const feeds = compiled.buffers.fill(this.#feeds(batch, compiled, purpose), purpose.step);
    const { keys } = batch;
    const run = (): Promise<Map<string, HostTensor>> => {
      this.checkOpen();
      return compiled.program.run(feeds);
    };
    return Object.assign(run, { findNaN: () => this.#findNaN(feeds, keys) });
  }

  /** Frees the session. Calling it twice is harmless. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const session = this.#session;
    this.#session = undefined;
    this.#compiled.clear();
    await session?.close();
  }

  /** Finds the program that takes exactly a batch's rows, else the next larger one, unless rows that only fill the batch would count. */
  #find(batch: Batch, purpose: Purpose): Compiled | undefined {
    const { weightShape: weights } = this.#targets(batch, purpose);
    return (this.#compiled.get(purpose.entry) ?? [])
      .filter(({ rows, mixesRows }) => (mixesRows ? rows === batch.size : rows >= batch.size))
      .filter(({ weightShape: shape }) => shape?.slice(1).join() === weights?.slice(1).join())
      .sort((a, b) => a.rows - b.rows)[0];
  }

  async #compile(session: Session, batch: Batch, purpose: Purpose): Promise<Compiled> {
    const shapes = { input: this.#inputSpec(batch), ...this.#targets(batch, purpose) };
    const { plan, ...planned } = this.#plan(purpose.entry, shapes);
    checkClassesOfWeights(purpose.classWeight, planned.classes);
    const program = await session.compile(plan);
    const buffers = new FeedBuffers(plan, this.#parts.seed);
    const compiled = { rows: batch.size, ...shapes, ...planned, limits: indexLimits(plan), buffers, program };
    this.#compiled.set(purpose.entry, [...(this.#compiled.get(purpose.entry) ?? []), compiled]);
    return compiled;
  }

  #plan(
    entry: Entry,
    { input, target, weightShape: weights }: Pick<Compiled, "input" | "target" | "weightShape">,
  ): Planned {
    const { recipe } = this.#parts;
    if (target === undefined) {
      return { plan: planPrediction(recipe.model, input), mixesRows: false, classes: undefined };
    }
    const planOf = entry === "train" ? planTraining : planEvaluation;
    const { plan, predictionShape, mixesRows } = planOf(recipe, input, target, weights);
    return { plan, mixesRows, classes: recipe.loss.classes?.(predictionShape) };
  }

  #inputSpec(batch: Batch): InputSpec {
    return this.#parts.input.spec((feature) => feedSpec(batch, feature));
  }

  #targets(batch: Batch, { entry, classWeight }: Purpose): Pick<Compiled, "target" | "weightShape"> {
    if (entry === "predict") return { target: undefined, weightShape: undefined };
    const { recipe, target: feature, sampleWeight } = this.#parts;
    const target = { ...feedSpec(batch, feature), isSparse: recipe.loss.classes !== undefined };
    return { target, weightShape: weightShape(batch, target, batch.size, { sampleWeight, classWeight }) };
  }

  #feeds(batch: Batch, compiled: Compiled, { classWeight }: Purpose): Map<string, HostTensor> {
    const { input, target, weightShape: weights, classes, limits } = compiled;
    const { target: feature, sampleWeight, recipe } = this.#parts;
    const feeds = this.#parts.input.feeds(input, (name, spec) => feedTensor(batch, name, spec));
    for (const [name, limit] of limits) {
      const [own, indices] = [this.#parts.input.features.get(name), feeds.get(name)];
      if (own !== undefined && indices) checkIndices(batch, own, indices, limit);
    }
    if (target && weights) {
      const targets = feedTensor(batch, feature, target);
      const ignored = recipe.loss.ignoredClass;
      if (classes !== undefined) checkClasses(batch, feature, targets, { classes, ignored });
      feeds.set(feedNames.target, targets);
      const labelled = { ...targets, isSparse: target.isSparse };
      feeds.set(feedNames.weight, weightTensor(batch, labelled, weights, { sampleWeight, classWeight }));
    }
    return feeds;
  }

  /** Looks for a NaN in samples that count, among what a step was fed. */
  #findNaN(feeds: ReadonlyMap<string, HostTensor>, keys: readonly string[]): string | undefined {
    const named = [...this.#parts.input.features, [feedNames.target, this.#parts.target] as const];
    const weights = feeds.get(feedNames.weight);
    for (const [name, feature] of named) {
      const fed = feeds.get(name);
      const row = fed && findNaN(fed, weights);
      if (row !== undefined) return `'${feature}': NaN in sample ${keys[row] ?? row}`;
    }
    return undefined;
  }
}
