// Assembles the three computations of a training run as plans: a step (forward, backward, update), an evaluation, a prediction.

import { RandomStream, deriveKeyFromName } from "../core/random.ts";
import { tensor, zeros } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Sym } from "./graph.ts";
import { traceModel, type Model, type Parameter, type SymRecord, type TracedModel } from "./layers.ts";
import type { Loss } from "./losses.ts";
import type { Metric } from "./metrics.ts";
import * as ops from "./ops.ts";
import type { Optimizer } from "./optimizers.ts";
import type { GraphDType, Plan } from "./plan.ts";

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
}

/** Names of the feeds; of several inputs each is `input/<name>`. `weight` is 1 for a sample that counts and 0 for one that fills the batch. */
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
 * Outputs: `loss` (float32 scalar, the mean over the samples that count), `weight` (how many those are) and `metric/<name>`
 * (the sum over the samples that count).
 */
export function planTraining(recipe: Recipe, input: InputSpec, target: FeedSpec): SupervisedPlan {
  const traced = traceSupervised(recipe, input, target, { training: true });
  const { graph, outputs } = traced;
  const state: Record<string, Sym> = { ...traced.state };
  const updates: Record<string, Sym> = {};
  for (const [path, sym] of traced.model.updates) updates[`${statePrefix.model}${path}`] = sym;

  const scalars: Record<string, Sym> = {};
  for (const name of Object.keys(recipe.optimizer.scalars)) {
    scalars[name] = graph.input(`${statePrefix.optimizer}${name}`, [], "float32");
    state[`${statePrefix.optimizer}${name}`] = scalars[name];
  }
  const advanced = recipe.optimizer.advance(scalars);
  for (const [name, sym] of Object.entries(advanced)) {
    if (sym !== scalars[name]) updates[`${statePrefix.optimizer}${name}`] = sym;
  }

  const trainable = traced.model.parameters.filter(({ parameter }) => parameter.trainable);
  const gradients = gradient(
    outputs.loss,
    trainable.map(({ sym }) => sym),
  );
  trainable.forEach(({ parameter, sym }, i) => {
    const slots: Record<string, Sym> = {};
    for (const slot of recipe.optimizer.slots) {
      const name = slotName(slot, parameter);
      slots[slot] = graph.input(name, parameter.shape, "float32");
      state[name] = slots[slot];
    }
    const result = recipe.optimizer.update({
      parameter: sym,
      gradient: gradients[i] as Sym,
      slots,
      scalars: { ...scalars, ...advanced },
    });
    updates[`${statePrefix.model}${parameter.path}`] = result.parameter;
    for (const [slot, next] of Object.entries(result.slots)) updates[slotName(slot, parameter)] = next;
  });
  const plan = graph.plan({ name: "train", feeds: traced.feeds, state, updates, outputs });
  return { plan, predictionShape: traced.model.output.shape, mixesRows: traced.model.updates.size > 0 };
}

/** Plans an evaluation: the outputs of {@link planTraining} without any update. */
export function planEvaluation(recipe: Recipe, input: InputSpec, target: FeedSpec): SupervisedPlan {
  const { graph, model, feeds, state, outputs } = traceSupervised(recipe, input, target, { training: false });
  const plan = graph.plan({ name: "evaluate", feeds, state, updates: {}, outputs });
  return { plan, predictionShape: model.output.shape, mixesRows: false };
}

/** Plans a prediction. Output: `prediction`, what the model returns. */
export function planPrediction(model: Model, input: InputSpec): Plan {
  const graph = new Graph();
  const { x, feeds } = declareInputs(graph, input);
  const traced = traceModel(model, graph, x);
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
 * Makes the initial state of a session: parameters by their initializers, zero slots, the optimizer's scalars.
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
    const stream = new RandomStream(deriveKeyFromName(seed, parameter.path));
    const values = parameter.initializer.create(parameter.shape, stream);
    state.set(`${statePrefix.model}${parameter.path}`, tensor("float32", parameter.shape, values));
    if (!parameter.trainable) continue;
    for (const slot of optimizer.slots) state.set(slotName(slot, parameter), zeros("float32", parameter.shape));
  }
  for (const [name, value] of Object.entries(optimizer.scalars)) {
    state.set(`${statePrefix.optimizer}${name}`, tensor("float32", [], Float32Array.of(value)));
  }
  return state;
}

/** Names the state that a trainer's own settings give: it is saved to be looked at, but not loaded. */
export function settingNames(optimizer: Optimizer): readonly string[] {
  return optimizer.settings.map((name) => `${statePrefix.optimizer}${name}`);
}

function slotName(slot: string, parameter: Parameter): string {
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

function traceSupervised(recipe: Recipe, input: InputSpec, target: FeedSpec, mode: { readonly training: boolean }) {
  const graph = new Graph();
  const { x, feeds } = declareInputs(graph, input);
  const y = graph.input(feedNames.target, target.shape, target.dtype);
  const weight = graph.input(feedNames.weight, [target.shape[0] ?? 1], "float32");
  const model = traceModel(recipe.model, graph, x, mode);

  const total = ops.sum(weight);
  // A batch may hold nothing but filling (a rank that had to make a step); its loss is 0, not 0 / 0.
  const divisor = ops.where(ops.greater(total, 0), total, 1);
  const losses = graph.scope("loss", () => recipe.loss.build(y, model.output));
  const outputs: Record<string, Sym> & { loss: Sym } = {
    loss: ops.div(ops.sum(ops.mul(losses, weight)), divisor),
    weight: total,
  };
  for (const metric of recipe.metrics) {
    const values = graph.scope(`metric/${metric.name}`, () => metric.build(y, model.output));
    outputs[`metric/${metric.name}`] = ops.sum(ops.mul(values, weight));
  }
  return {
    graph,
    model,
    outputs,
    feeds: { ...feeds, [feedNames.target]: y, [feedNames.weight]: weight },
    state: parameterState(model),
  };
}
