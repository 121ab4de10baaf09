// What an optimizer is to the training step, and what a rule is to the optimizer: from gradients to the next values of the
// parameters, as part of the step's graph. Defaults and formulas are those of Keras 3, https://keras.io/api/optimizers/

import type { Sym } from "../graph.ts";

/** A parameter as optimizers see it: its path in the model (`encoder/dense_1/kernel`) and its shape. */
export interface ParameterSpec {
  readonly path: string;
  readonly shape: readonly number[];
}

/** A float32 tensor that the session keeps for one parameter, and the number that fills it at first. */
export interface Slot {
  readonly shape: readonly number[];
  readonly initial: number;
}

/** A scalar that the session keeps, and its initial value. Counts are int32: float32 stops counting at 2^24. */
export interface Scalar {
  readonly dtype: "float32" | "int32";
  readonly initial: number;
}

/** One parameter's part in a step. All values are float32; the slots are those of {@link Optimizer.slots}. */
export interface ParameterStep extends ParameterSpec {
  readonly parameter: Sym;
  readonly gradient: Sym;
  readonly slots: Readonly<Record<string, Sym>>;
}

/** The next values of one parameter and of its slots. */
export interface ParameterUpdate {
  readonly parameter: Sym;
  readonly slots: Readonly<Record<string, Sym>>;
}

/** Changes parameters, as part of the graph of a step. */
export interface Optimizer {
  readonly name: string;
  /** Scalars that the session keeps. One is `learningRate`: the rate of the next step. */
  readonly scalars: Readonly<Record<string, Scalar>>;
  /** Those of the scalars that are settings: a trainer keeps its own when it loads what another one saved. */
  readonly settings: readonly string[];
  /** Tensors that the session keeps for a parameter, by name. */
  slots(parameter: ParameterSpec): Readonly<Record<string, Slot>>;
  /** Scales the loss that is differentiated; {@link update} takes the factor out of the gradients again. */
  scaleLoss(loss: Sym, scalars: Readonly<Record<string, Sym>>): Sym;
  /** The same optimizer with a dynamic loss scale; itself where it scales the loss already. It is what float16 needs. */
  scaled?(): Optimizer;
  /** Computes what comes next of all parameters, in their order, and of the scalars. A scalar that stays may be left out. */
  update(
    parameters: readonly ParameterStep[],
    scalars: Readonly<Record<string, Sym>>,
  ): { readonly parameters: readonly ParameterUpdate[]; readonly scalars: Readonly<Record<string, Sym>> };
}

/** One parameter's part in a rule, its gradient clipped and its weight decayed. */
export interface RuleStep extends ParameterStep {
  /** Float32 scalar. */
  readonly learningRate: Sym;
  /** Which update this is, counted from 1: float32 scalar. */
  readonly count: Sym;
  /** The rule's own scalars at this update, as {@link Rule.advance} gave them. */
  readonly scalars: Readonly<Record<string, Sym>>;
}

/** What tells one optimizer from another: its slots and its formula. */
export interface Rule {
  readonly name: string;
  /** Scalars of the rule itself. Default none. */
  readonly scalars?: Readonly<Record<string, Scalar>>;
  /** Computes the rule's scalars at this update from those of the update before. */
  advance?(scalars: Readonly<Record<string, Sym>>): Readonly<Record<string, Sym>>;
  slots(parameter: ParameterSpec): Readonly<Record<string, Slot>>;
  update(step: RuleStep): ParameterUpdate;
  /** The weight decay of a parameter, where it is not the same for all. */
  weightDecay?(parameter: ParameterSpec): number;
}

/** Makes a slot in the parameter's shape, zero at first. */
export function zeroSlot({ shape }: ParameterSpec): Slot {
  return { shape, initial: 0 };
}

/**
 * Takes a value by its name.
 *
 * @throws {TypeError} when there is none.
 */
export function named(values: Readonly<Record<string, Sym>>, name: string): Sym {
  const value = values[name];
  if (value === undefined) throw new TypeError(`Cannot update parameters: nothing is given as '${name}'`);
  return value;
}
