// Assembles the three computations of a training run as plans: a step (forward, backward, update), an evaluation, a prediction.

import { RandomStream, deriveKeyFromName } from "../core/random.ts";
import { tensor, zeros } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Sym } from "./graph.ts";
import { traceModel, type Model, type Parameter, type SymRecord, type TracedModel } from "./layers.ts";
import type { Loss } from "./losses/loss.ts";
import type { Metric } from "./metrics/metric.ts";
import * as ops from "./ops.ts";
import type { Optimizer, ParameterStep } from "./optimizers/optimizer.ts";
import type { GraphDType, Plan } from "./plan.ts";
import type { Precision } from "./precision.ts";
import { weightedSum } from "./targets.ts";

/** Shape and dtype of one feature as the graph takes it, the batch axis included. */
export interface FeedSpec {
  readonly shape: readonly number[];
  readonly dtype: GraphDType;
}

/** What a model takes: one value, or several by name. */
export type InputSpec = FeedSpec | Readonly<Record<string, FeedSpec>>;

/** What a training run computes. */
export interface Recipe {
  readonly model: Model;
  readonly loss: Loss;
  readonly metrics: readonly Metric[];
  readonly optimizer: Optimizer;
  /** Of the model's layers. Default `float32`. */
  readonly precision?: Precision;
}

/**
 * Names of the feeds; of several inputs each is `input/<name>`. `weight` is 0 for a sample that fills the batch; see
 * {@link planTraining}.
 */
export const feedNames = { input: "input", target: "target", weight: "weight" } as const;

/** A plan of the model with its loss, and what the model predicts in it. */
export interface SupervisedPlan {
  readonly plan: Plan;
  /** The batch axis included. */
  readonly predictionShape: readonly number[];
  /** Whether rows that only fill a batch would change the result: layers keep statistics of the whole batch. */
  readonly mixesRows: boolean;
}

/** Prefixes of the names under which a session keeps parameters and optimizer state. */
export const statePrefix = { model: "model/", optimizer: "optimizer/" } as const;

/**
 * Plans one training step: the weighted mean loss, its gradient, the optimizer's update, the metrics.
 *
 * Outputs: `loss` (float32 scalar, the mean over all places that count, by their weights), `weight` (the sum of these weights)
 * and `metric/<name>/<sum>` (what the batch adds to a metric's sums).
 *
 * @param recipe - model, loss, metrics and optimizer
 * @param input - of the model
 * @param target - of the loss
 * @param weightShape - of the weights: `[batch]`, the default, or with the axes of the loss that have weights of their own
 */
export function planTraining(
  recipe: Recipe,
  input: InputSpec,
  target: FeedSpec,
  weightShape?: readonly number[],
): SupervisedPlan {
  const traced = traceSupervised(recipe, input, target, { training: true, weightShape });
  const { graph, outputs } = traced;
  const state: Record<string, Sym> = { ...traced.state };
  const updates: Record<string, Sym> = {};
  for (const [path, sym] of traced.model.updates) updates[`${statePrefix.model}${path}`] = sym;

  const scalars: Record<string, Sym> = {};
  for (const [name, { dtype }] of Object.entries(recipe.optimizer.scalars)) {
    scalars[name] = graph.input(`${statePrefix.optimizer}${name}`, [], dtype);
    state[`${statePrefix.optimizer}${name}`] = scalars[name];
  }
  const trainable = traced.model.parameters.filter(({ parameter }) => parameter.trainable);
  const gradients = gradient(
    recipe.optimizer.scaleLoss(outputs.loss, scalars),
    trainable.map(({ sym }) => sym),
  );
  const steps = trainable.map(({ parameter, sym }, i): ParameterStep => {
    const slots: Record<string, Sym> = {};
    for (const [slot, { shape }] of Object.entries(recipe.optimizer.slots(parameter))) {
      const name = slotName(slot, parameter);
      slots[slot] = graph.input(name, shape, "float32");
      state[name] = slots[slot];
    }
    return { path: parameter.path, shape: parameter.shape, parameter: sym, gradient: gradients[i] as Sym, slots };
  });
  const next = graph.scope("optimizer", () => recipe.optimizer.update(steps, scalars));
  for (const [name, sym] of Object.entries(next.scalars)) updates[`${statePrefix.optimizer}${name}`] = sym;
  for (const [i, { parameter, slots }] of next.parameters.entries()) {
    const { path } = steps[i] as ParameterStep;
    updates[`${statePrefix.model}${path}`] = parameter;
    for (const [slot, value] of Object.entries(slots)) updates[slotName(slot, { path })] = value;
  }
  const plan = graph.plan({ name: "train", feeds: traced.feeds, state, updates, outputs });
  return { plan, predictionShape: traced.model.output.shape, mixesRows: traced.model.updates.size > 0 };
}

/** Plans an evaluation: the outputs of {@link planTraining} without any update. */
export function planEvaluation(
  recipe: Recipe,
  input: InputSpec,
  target: FeedSpec,
  weightShape?: readonly number[],
): SupervisedPlan {
  const { graph, model, feeds, state, outputs } = traceSupervised(recipe, input, target, {
    training: false,
    weightShape,
  });
  const plan = graph.plan({ name: "evaluate", feeds, state, updates: {}, outputs });
  return { plan, predictionShape: model.output.shape, mixesRows: false };
}

/** Plans a prediction. Output: `prediction`, what the model returns. */
export function planPrediction(model: Model, input: InputSpec, precision?: Precision): Plan {
  const graph = new Graph();
  const { x, feeds } = declareInputs(graph, input);
  const traced = traceModel(model, graph, x, { precision });
  return graph.plan({
    name: "predict",
    feeds,
    state: parameterState(traced),
    updates: {},
    outputs: { prediction: traced.output },
  });
}

/** Traces the model alone, to look at its layers and parameters. */
export function inspectModel(model: Model, input: InputSpec): TracedModel {
  const graph = new Graph();
  return traceModel(model, graph, declareInputs(graph, input).x);
}

/** Says whether a model takes one value, not several by name. */
export function isOneInput(input: InputSpec): input is FeedSpec {
  return Array.isArray(input["shape"]);
}

/** Names the feed of one of several inputs. */
export function inputFeedName(name: string): string {
  return `${feedNames.input}/${name}`;
}

/**
 * Makes the initial state of a session: parameters by their initializers, the optimizer's slots and scalars.
 *
 * A parameter depends on the seed and its path alone, never on the order in which parameters are made.
 */
export function initialState(
  parameters: readonly Parameter[],
  optimizer: Optimizer,
  seed: number,
): Map<string, HostTensor> {
  const state = new Map<string, HostTensor>();
  for (const parameter of parameters) {
    state.set(`${statePrefix.model}${parameter.path}`, initialParameter(parameter, seed));
    if (!parameter.trainable) continue;
    for (const [slot, { shape, initial }] of Object.entries(optimizer.slots(parameter))) {
      state.set(slotName(slot, parameter), filled("float32", shape, initial));
    }
  }
  for (const [name, { dtype, initial }] of Object.entries(optimizer.scalars)) {
    state.set(`${statePrefix.optimizer}${name}`, filled(dtype, [], initial));
  }
  return state;
}

/** Makes the first value of a parameter: it depends on the seed and the parameter's path alone. */
export function initialParameter({ path, shape, initializer }: Parameter, seed: number): HostTensor {
  const stream = new RandomStream(deriveKeyFromName(seed, path));
  return tensor("float32", shape, initializer.create(shape, stream));
}

/** Makes a tensor whose elements are one number. */
export function filled(dtype: GraphDType, shape: readonly number[], value: number): HostTensor {
  const held = zeros(dtype, shape);
  held.data.fill(value);
  return held;
}

/** Names the output that holds one of a metric's sums. */
export function metricOutput(metric: string, sum: string): string {
  return `metric/${metric}/${sum}`;
}

/** Names the state that a trainer's own settings give: it is saved to be looked at, but not loaded. */
export function settingNames(optimizer: Optimizer): readonly string[] {
  return optimizer.settings.map((name) => `${statePrefix.optimizer}${name}`);
}

function slotName(slot: string, parameter: Pick<Parameter, "path">): string {
  return `${statePrefix.optimizer}${slot}/${parameter.path}`;
}

function parameterState(traced: TracedModel): Record<string, Sym> {
  return Object.fromEntries(
    traced.parameters.map(({ parameter, sym }) => [`${statePrefix.model}${parameter.path}`, sym]),
  );
}

/** Declares the model's inputs, and lists them by the names of their feeds. */
function declareInputs(
  graph: Graph,
  input: InputSpec,
): { readonly x: Sym | SymRecord; readonly feeds: Record<string, Sym> } {
  if (isOneInput(input)) {
    const x = graph.input(feedNames.input, input.shape, input.dtype);
    return { x, feeds: { [feedNames.input]: x } };
  }
  const x = Object.fromEntries(
    Object.entries(input).map(([name, { shape, dtype }]) => [name, graph.input(inputFeedName(name), shape, dtype)]),
  );
  return { x, feeds: Object.fromEntries(Object.entries(x).map(([name, sym]) => [inputFeedName(name), sym])) };
}

function traceSupervised(
  recipe: Recipe,
  input: InputSpec,
  target: FeedSpec,
  mode: { readonly training: boolean; readonly weightShape: readonly number[] | undefined },
) {
  const graph = new Graph();
  const { x, feeds } = declareInputs(graph, input);
  const y = graph.input(feedNames.target, target.shape, target.dtype);
  const weight = graph.input(feedNames.weight, mode.weightShape ?? [target.shape[0] ?? 1], "float32");
  const model = traceModel(recipe.model, graph, x, { training: mode.training, precision: recipe.precision });

  const sums = graph.scope("loss", () => {
    const values = recipe.loss.build(y, model.output);
    return weightedSum(values, weight, recipe.loss.counts?.(y, model.output));
  });
  // A batch may hold nothing but filling (a rank that had to make a step); its loss is 0, not 0 / 0.
  const divisor = ops.where(ops.greater(sums.weight, 0), sums.weight, 1);
  const outputs: Record<string, Sym> & { loss: Sym } = {
    loss: ops.div(sums.total, divisor),
    weight: sums.weight,
  };
  for (const metric of recipe.metrics) {
    const parts = graph.scope(`metric/${metric.name}`, () => metric.build(y, model.output, weight));
    for (const [name, sum] of Object.entries(parts)) outputs[metricOutput(metric.name, name)] = sum;
  }
  return {
    graph,
    model,
    outputs,
    feeds: { ...feeds, [feedNames.target]: y, [feedNames.weight]: weight },
    state: parameterState(model),
  };
}
