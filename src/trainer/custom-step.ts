// A training step of one's own as a plan: any number of models and optimizers, traced once, the same on every backend.

import { tensor } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import { gradient } from "./gradient.ts";
import { Graph, Sym } from "./graph.ts";
import {
  Layer,
  parametersSoFar,
  traceModel,
  withoutTraining,
  type AnyLayer,
  type Model,
  type Parameter,
  type SymRecord,
} from "./layers.ts";
import * as ops from "./ops.ts";
import type { Optimizer, ParameterStep } from "./optimizers/optimizer.ts";
import type { GraphDType, Plan } from "./plan.ts";
import type { Precision } from "./precision.ts";
import { formatSpec } from "./primitives.ts";
import { filled, initialParameter, inputFeedName, metricOutput, statePrefix, type FeedSpec } from "./train-step.ts";

/** A trainable parameter with its gradient: float32 values of one shape. */
export interface ParameterGradient {
  /** The model's name and the parameter's path in it: `generator/dense/kernel`. */
  readonly path: string;
  readonly parameter: Sym;
  readonly gradient: Sym;
}

/** A model inside a step. */
export interface StepModel {
  /** Applies it as a step of training does: with dropout and with statistics of the batch, which move its averages. */
  apply(x: Sym | SymRecord): Sym;
  /** Applies it as a prediction does; gradients still flow, unless `ops.stopGradient` holds them up. */
  predict(x: Sym | SymRecord): Sym;
  /** The parameters that training may change, of the layers applied so far. */
  parameters(): readonly Pick<ParameterGradient, "path" | "parameter">[];
}

/** An optimizer inside a step. It changes parameters once in a step. */
export interface StepOptimizer {
  /**
   * Changes the parameters of models against the gradient of a float32 scalar.
   *
   * @throws {TypeError} when the models have no parameter to train, or one of them is changed already in this step.
   */
  minimize(loss: Sym, ...models: readonly StepModel[]): void;
  /**
   * Changes parameters against gradients that are given; with `when` (bool scalar) only in the steps in which it is true:
   * in the others the optimizer's own state stays as well.
   *
   * @throws {TypeError} as {@link minimize}, and when the optimizer scales the loss, of which it would know nothing.
   */
  apply(gradients: readonly ParameterGradient[], options?: { readonly when?: Sym }): void;
}

/** A tensor that a step keeps for the next one. */
export interface StepState {
  /** What the step before left, the initial number at first. */
  readonly value: Sym;
  /** Says what this step leaves. The last call counts. */
  set(next: Sym): void;
}

/** What a step is made of; names are those of {@link StepDefinition}. */
export interface StepContext<M extends string = string, O extends string = string, F extends string = string> {
  readonly graph: Graph;
  readonly models: Readonly<Record<M, StepModel>>;
  readonly optimizers: Readonly<Record<O, StepOptimizer>>;
  /** The batch's features, with the batch as leading axis. */
  readonly batch: Readonly<Record<F, Sym>>;
  /** Float32 `[batch]`: 1 for a sample, 0 for one that only fills the batch. */
  readonly weight: Sym;
  /** The gradients of a float32 scalar by the parameters of models. */
  readonly gradients: (loss: Sym, ...models: readonly StepModel[]) => ParameterGradient[];
  /**
   * Keeps a tensor from step to step, filled with one number at first. It is saved with the weights.
   *
   * @throws {TypeError} when the name is taken.
   */
  readonly state: (name: string, shape: readonly number[], options?: StepStateOptions) => StepState;
}

/** How a {@link StepState} starts. */
export interface StepStateOptions {
  /** Default `float32`. */
  readonly dtype?: GraphDType;
  /** Default 0. */
  readonly initial?: number;
}

/** A training step: what it takes, and a function that writes it with `ops`. */
export interface StepDefinition<M extends string, O extends string, F extends string> {
  /** By name, which begins the paths of their parameters. A frozen one (`trainable: false`) is never changed. */
  readonly models: Readonly<Record<M, Model>>;
  readonly optimizers: Readonly<Record<O, Optimizer>>;
  /** The features of a batch that the step takes. */
  readonly features: readonly F[];
  /**
   * Writes the step. It is called once for each batch size, not at each step.
   *
   * @returns values to hand back from each step. `loss`, a float32 scalar, has to be one of them; float32 scalars are logged.
   */
  step(context: StepContext<M, O, F>): Readonly<Record<string, Sym>> & { readonly loss: Sym };
  /** Of the models' layers; what the step itself computes is float32. Default `float32`. */
  readonly precision?: Precision;
}

/** A step as a plan. */
export interface PlannedStep {
  readonly plan: Plan;
  /** What the session holds at first, by name. */
  readonly initialState: (seed: number) => Map<string, HostTensor>;
  /** Names of the outputs that are logged beside `loss`. */
  readonly logged: readonly string[];
}

/** Prefix of the names under which a session keeps the state of a step itself. */
const STEP_STATE = "step/";

/** Names the plan's output that holds one of the step's outputs. */
export function stepOutput(name: string): string {
  return `output/${name}`;
}

/** Names the feed of the samples' weights. */
export const WEIGHT_FEED = "weight";

/**
 * Traces a step for features of given shapes and cuts out its plan.
 *
 * @throws {KdataError} `shape` when values do not fit; the message names the layer.
 * @throws {TypeError} when the step returns no scalar `loss`, or changes a parameter twice.
 */
export function planStep<M extends string, O extends string, F extends string>(
  definition: StepDefinition<M, O, F>,
  specs: Readonly<Record<F, FeedSpec>>,
  rows: number,
): PlannedStep {
  const graph = new Graph();
  const batch = mapRecord(specs, (name, { shape, dtype }) => graph.input(inputFeedName(name), shape, dtype));
  const weight = graph.input(WEIGHT_FEED, [rows], "float32");
  const writing = new StepWriting(graph, definition.models);
  let outputs: Readonly<Record<string, Sym>> = {};
  const root = new StepRoot(definition.models, () => {
    outputs = definition.step({
      graph,
      models: mapRecord(definition.models, (name, model) => writing.model(name, model)),
      optimizers: mapRecord(definition.optimizers, (name, optimizer) => writing.optimizer(name, optimizer)),
      batch,
      weight,
      gradients: (loss, ...models) => writing.gradients(loss, models),
      state: (name, shape, options) => writing.state(name, shape, options),
    });
    return lossOf(outputs);
  });
  const { precision } = definition;
  const traced = traceModel(root, graph, batch, { training: true, precision, roundsBorder: false });
  const total = ops.sum(weight);
  const logged = Object.keys(outputs).filter((name) => name !== "loss" && isScalar(outputs[name]));
  const handedBack: Record<string, Sym> = { loss: traced.output, weight: total };
  for (const [name, sym] of Object.entries(outputs)) handedBack[stepOutput(name)] = sym;
  for (const name of logged) {
    handedBack[metricOutput(name, "total")] = ops.mul(outputs[name] ?? total, total);
    handedBack[metricOutput(name, "weight")] = total;
  }
  const state: Record<string, Sym> = { ...writing.held };
  const updates: Record<string, Sym> = { ...writing.updates };
  for (const { parameter, sym } of traced.parameters) state[`${statePrefix.model}${parameter.path}`] = sym;
  for (const [path, sym] of traced.updates) updates[`${statePrefix.model}${path}`] = sym;
  const feeds = Object.fromEntries(Object.entries<Sym>(batch).map(([name, sym]) => [inputFeedName(name), sym]));
  const plan = graph.plan({
    name: "train",
    feeds: { ...feeds, [WEIGHT_FEED]: weight },
    state,
    updates,
    outputs: handedBack,
  });
  return {
    plan,
    logged,
    initialState: (seed) =>
      new Map([
        ...traced.parameters.map(({ parameter }): [string, HostTensor] => {
          return [`${statePrefix.model}${parameter.path}`, initialParameter(parameter, seed)];
        }),
        ...writing.initial,
      ]),
  };
}

/** Plans the prediction of one of a step's models. Output: `prediction`. */
export function planStepPrediction(
  { models, precision }: { readonly models: Readonly<Record<string, Model>>; readonly precision?: Precision },
  name: string,
  spec: FeedSpec,
): Plan {
  const graph = new Graph();
  const x = graph.input(inputFeedName("x"), spec.shape, spec.dtype);
  const root = new StepRoot(models, () => (models[name] as Layer).apply(x));
  const traced = traceModel(root, graph, x, { precision, roundsBorder: false });
  const state = Object.fromEntries(
    traced.parameters.map(({ parameter, sym }) => [`${statePrefix.model}${parameter.path}`, sym]),
  );
  return graph.plan({
    name: "predict",
    feeds: { [inputFeedName("x")]: x },
    state,
    updates: {},
    outputs: { prediction: traced.output },
  });
}

/** The layer around a step's models: it gives their parameters paths. */
class StepRoot extends Layer {
  readonly #models: Readonly<Record<string, AnyLayer>>;
  readonly #body: () => Sym;

  constructor(models: Readonly<Record<string, AnyLayer>>, body: () => Sym) {
    super({ name: "step" });
    this.#models = models;
    this.#body = body;
  }

  call(): Sym {
    return this.#body();
  }

  override children(): readonly (readonly [string, AnyLayer])[] {
    return Object.entries(this.#models);
  }
}

/** State, updates and initial values, as the step's function asks for them. */
class StepWriting {
  readonly held: Record<string, Sym> = {};
  readonly updates: Record<string, Sym> = {};
  readonly initial = new Map<string, HostTensor>();
  readonly #graph: Graph;
  readonly #prefixes: ReadonlyMap<StepModel, string>;
  readonly #byName = new Map<string, StepModel>();

  constructor(graph: Graph, models: Readonly<Record<string, Model>>) {
    this.#graph = graph;
    const prefixes = new Map<StepModel, string>();
    for (const [name, model] of Object.entries(models)) {
      const prefix = `${model.name ?? name}/`;
      const one = stepModel(model, prefix);
      prefixes.set(one, prefix);
      this.#byName.set(name, one);
    }
    this.#prefixes = prefixes;
  }

  model(name: string, model: Model): StepModel {
    return this.#byName.get(name) ?? stepModel(model, name);
  }

  gradients(loss: Sym, models: readonly StepModel[]): ParameterGradient[] {
    const parameters = models.flatMap((model) => {
      const own = model.parameters();
      if (own.length > 0) return own;
      const name = (this.#prefixes.get(model) ?? "").slice(0, -1);
      throw new TypeError(`Cannot differentiate by '${name}': it has no parameter to train, or is not applied yet`);
    });
    const gradients = gradient(
      loss,
      parameters.map(({ parameter }) => parameter),
    );
    return parameters.map((parameter, i) => ({ ...parameter, gradient: gradients[i] ?? parameter.parameter }));
  }

  state(name: string, shape: readonly number[], { dtype = "float32", initial = 0 }: StepStateOptions = {}): StepState {
    const key = `${STEP_STATE}${name}`;
    if (key in this.held) throw new TypeError(`Cannot keep state '${name}': the step has state of that name`);
    return { value: this.#hold(key, filled(dtype, shape, initial)), set: (next) => (this.updates[key] = next) };
  }

  optimizer(name: string, optimizer: Optimizer): StepOptimizer {
    const scalars = Object.fromEntries(
      Object.entries(optimizer.scalars).map(([scalar, { dtype, initial }]) => [
        scalar,
        this.#hold(`${statePrefix.optimizer}${name}/${scalar}`, filled(dtype, [], initial)),
      ]),
    );
    let isUsed = false;
    const update = (gradients: readonly ParameterGradient[], when?: Sym) => {
      if (isUsed) throw new TypeError(`Cannot apply optimizer '${name}' twice in one step`);
      isUsed = true;
      this.#graph.scope(`optimizer/${name}`, () => {
        this.#update({ name, optimizer, scalars, when }, gradients);
      });
    };
    return {
      minimize: (loss, ...models) => {
        update(this.gradients(optimizer.scaleLoss(loss, scalars), models));
      },
      apply: (gradients, { when } = {}) => {
        const one = this.#graph.constant(1);
        if (optimizer.scaleLoss(one, scalars) !== one)
          throw new TypeError(`Cannot apply gradients by optimizer '${name}': it scales the loss; use minimize`);
        update(gradients, when);
      },
    };
  }

  #update(
    { name, optimizer, scalars, when }: NamedOptimizer & { readonly when: Sym | undefined },
    gradients: readonly ParameterGradient[],
  ): void {
    function decide(next: Sym, held: Sym): Sym {
      return when === undefined ? next : ops.where(when, next, held);
    }
    const prefix = `${statePrefix.optimizer}${name}/`;
    const steps = gradients.map(({ path, parameter, gradient: own }): ParameterStep => {
      const key = `${statePrefix.model}${path}`;
      if (key in this.updates) throw new TypeError(`Cannot change '${path}' twice in one step (optimizer '${name}')`);
      this.updates[key] = parameter;
      const spec = { path, shape: parameter.shape };
      const slots = Object.entries(optimizer.slots(spec)).map(([slot, { shape, initial }]) => {
        return [slot, this.#hold(`${prefix}${slot}/${path}`, filled("float32", shape, initial))] as const;
      });
      return { ...spec, parameter, gradient: own, slots: Object.fromEntries(slots) };
    });
    const next = optimizer.update(steps, scalars);
    for (const [scalar, sym] of Object.entries(next.scalars)) {
      this.updates[`${prefix}${scalar}`] = decide(sym, scalars[scalar] ?? sym);
    }
    for (const [i, { path, parameter, slots }] of steps.entries()) {
      const changed = next.parameters[i];
      if (changed === undefined) continue;
      this.updates[`${statePrefix.model}${path}`] = decide(changed.parameter, parameter);
      for (const [slot, sym] of Object.entries(changed.slots)) {
        this.updates[`${prefix}${slot}/${path}`] = decide(sym, slots[slot] ?? sym);
      }
    }
  }

  #hold(key: string, initial: HostTensor): Sym {
    const sym = this.#graph.input(key, initial.shape, initial.dtype);
    this.held[key] = sym;
    this.initial.set(key, tensor(initial.dtype, initial.shape, initial.data));
    return sym;
  }
}

interface NamedOptimizer {
  readonly name: string;
  readonly optimizer: Optimizer;
  readonly scalars: Readonly<Record<string, Sym>>;
}

function stepModel(model: Model, prefix: string): StepModel {
  // Whether a model takes one value or several is known to who wrote the step.
  function apply(x: Sym | SymRecord): Sym {
    return (model as Layer<Sym | SymRecord>).apply(x);
  }
  return {
    apply,
    predict: (x) => withoutTraining(() => apply(x)),
    parameters: () =>
      parametersSoFar()
        .filter(({ parameter }) => parameter.trainable && isWithin(parameter, prefix))
        .map(({ parameter, sym }) => ({ path: parameter.path, parameter: sym })),
  };
}

function isWithin({ path }: Parameter, prefix: string): boolean {
  return path.startsWith(prefix);
}

function lossOf(outputs: Readonly<Record<string, Sym>>): Sym {
  const loss = outputs["loss"];
  if (loss instanceof Sym && isScalar(loss)) return loss;
  const found = loss instanceof Sym ? `its 'loss' is ${formatSpec(loss)}` : "it returns no 'loss'";
  throw new TypeError(`Cannot trace step: ${found}; return a float32 scalar of that name`);
}

function isScalar(sym: Sym | undefined): boolean {
  return sym?.dtype === "float32" && sym.shape.length === 0;
}

function mapRecord<K extends string, T, R>(record: Readonly<Record<K, T>>, make: (name: K, value: T) => R) {
  const entries = Object.entries(record) as [K, T][];
  return Object.fromEntries(entries.map(([name, value]) => [name, make(name, value)])) as Record<K, R>;
}
