// Optimizers: from a gradient to the next value of a parameter. Defaults and formulas are those of Keras 3,
// https://keras.io/api/optimizers/

import type { Sym } from "./graph.ts";
import * as ops from "./ops.ts";

/** One parameter's part in a step. All values but the scalars have the parameter's shape; all are float32. */
export interface ParameterStep {
  readonly parameter: Sym;
  readonly gradient: Sym;
  readonly slots: Readonly<Record<string, Sym>>;
  /** The scalars of this step, as {@link Optimizer.advance} gave them. */
  readonly scalars: Readonly<Record<string, Sym>>;
}

/** A rule that changes parameters, as part of the graph of a step. */
export interface Optimizer {
  readonly name: string;
  /** Scalars that the session keeps, with their initial values. */
  readonly scalars: Readonly<Record<string, number>>;
  /** Those of the scalars that are settings: a trainer keeps its own when it loads what another one saved. */
  readonly settings: readonly string[];
  /** Names of tensors that the session keeps for each parameter, in its shape, zero at first. */
  readonly slots: readonly string[];
  /** Computes the scalars of this step from those of the step before. One that stays may be left out. */
  advance(scalars: Readonly<Record<string, Sym>>): Record<string, Sym>;
  /** Computes the next value of one parameter and of its slots. */
  update(step: ParameterStep): { readonly parameter: Sym; readonly slots: Record<string, Sym> };
}

/** Settings of {@link sgd}. */
export interface SgdOptions {
  /** Default 0.01. */
  readonly learningRate?: number;
  /** The part of the last change that goes on, in [0, 1]. Default 0. */
  readonly momentum?: number;
  /** Looks one change ahead; needs momentum. Default false. */
  readonly nesterov?: boolean;
}

/**
 * Makes gradient descent, with momentum if wanted: `v = momentum v - learningRate g; w = w + v`, or
 * `w = w + momentum v - learningRate g` with Nesterov's.
 *
 * @throws {RangeError} when a setting is out of its range.
 */
export function sgd({ learningRate = 0.01, momentum = 0, nesterov = false }: SgdOptions = {}): Optimizer {
  checkSetting("sgd", "learningRate", learningRate, learningRate >= 0);
  checkSetting("sgd", "momentum", momentum, momentum >= 0 && momentum <= 1);
  if (nesterov && momentum === 0) throw new RangeError("Cannot make sgd: nesterov needs a momentum above 0");
  return {
    name: "sgd",
    scalars: { learningRate },
    settings: ["learningRate"],
    slots: momentum === 0 ? [] : ["momentum"],
    advance: () => ({}),
    update({ parameter, gradient, slots, scalars }) {
      const step = ops.mul(named(scalars, "learningRate"), gradient);
      if (momentum === 0) return { parameter: ops.sub(parameter, step), slots: {} };
      const velocity = ops.sub(ops.mul(named(slots, "momentum"), momentum), step);
      const change = nesterov ? ops.sub(ops.mul(velocity, momentum), step) : velocity;
      return { parameter: ops.add(parameter, change), slots: { momentum: velocity } };
    },
  };
}

/** Settings of {@link adam}. */
export interface AdamOptions {
  /** Default 0.001. */
  readonly learningRate?: number;
  /** How slowly the mean of the gradients changes, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** How slowly the mean of their squares changes, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the square root that divides. Default 1e-7. */
  readonly epsilon?: number;
}

/**
 * Makes Adam: with `alpha = learningRate sqrt(1 - beta2^t) / (1 - beta1^t)` at step t, counted from 1,
 * `m = m + (g - m) (1 - beta1); v = v + (g g - v) (1 - beta2); w = w - alpha m / (sqrt(v) + epsilon)`.
 * Kingma and Ba, https://arxiv.org/abs/1412.6980
 *
 * @throws {RangeError} when a setting is out of its range.
 */
export function adam(options: AdamOptions = {}): Optimizer {
  const { learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7 } = options;
  checkSetting("adam", "learningRate", learningRate, learningRate >= 0);
  checkSetting("adam", "beta1", beta1, beta1 >= 0 && beta1 < 1);
  checkSetting("adam", "beta2", beta2, beta2 >= 0 && beta2 < 1);
  checkSetting("adam", "epsilon", epsilon, epsilon > 0);
  return {
    name: "adam",
    scalars: { learningRate, beta1Power: 1, beta2Power: 1 },
    settings: ["learningRate"],
    slots: ["m", "v"],
    advance: (scalars) => ({
      beta1Power: ops.mul(named(scalars, "beta1Power"), beta1),
      beta2Power: ops.mul(named(scalars, "beta2Power"), beta2),
    }),
    update({ parameter, gradient, slots, scalars }) {
      const correction = ops.div(
        ops.sqrt(ops.sub(1, named(scalars, "beta2Power"))),
        ops.sub(1, named(scalars, "beta1Power")),
      );
      const alpha = ops.mul(named(scalars, "learningRate"), correction);
      const m = moveToward(named(slots, "m"), gradient, 1 - beta1);
      const v = moveToward(named(slots, "v"), ops.square(gradient), 1 - beta2);
      const change = ops.div(ops.mul(alpha, m), ops.add(ops.sqrt(v), epsilon));
      return { parameter: ops.sub(parameter, change), slots: { m, v } };
    },
  };
}

function moveToward(average: Sym, value: Sym, part: number): Sym {
  return ops.add(average, ops.mul(ops.sub(value, average), part));
}

function checkSetting(optimizer: string, name: string, value: number, inRange: boolean): void {
  if (!inRange || !Number.isFinite(value)) throw new RangeError(`Cannot make ${optimizer}: ${name} is ${value}`);
}

function named(values: Readonly<Record<string, Sym>>, name: string): Sym {
  const value = values[name];
  if (value === undefined) throw new TypeError(`Cannot update parameters: nothing is given as '${name}'`);
  return value;
}
