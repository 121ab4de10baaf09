// Adafactor: Shazeer and Stern, https://arxiv.org/abs/1804.04235

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { named, zeroSlot, type Optimizer } from "./optimizer.ts";
import { checkOptimizerOptions, checkSetting, type OptimizerOptions } from "./options.ts";

/** Settings of {@link adafactor}. The learning rate's default is 0.001. */
export interface AdafactorOptions extends OptimizerOptions {
  /** The mean of the squares changes by `t^beta2Decay` at step t, below 0. Default -0.8. */
  readonly beta2Decay?: number;
  /** Added to the squared gradients. Default 1e-30. */
  readonly epsilon1?: number;
  /** The least size of a parameter that a change is measured by. Default 1e-3. */
  readonly epsilon2?: number;
  /** The greatest root mean square of a change before the learning rate. Default 1. */
  readonly clipThreshold?: number;
}

/**
 * Makes Adafactor: Adam without `m`, whose `v` of a matrix is kept as its row means `r` and column means `c` (over the last two
 * axes), `v = r c / mean(r)`. A change has the size `max(epsilon2, rms(w)) min(learningRate, 1 / sqrt(t))`. Keras' option
 * relative_step does not exist: its formula takes that minimum with and without.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function adafactor(options: AdafactorOptions = {}): Optimizer {
  const { learningRate = 0.001, beta2Decay = -0.8, epsilon1 = 1e-30, epsilon2 = 1e-3, clipThreshold = 1 } = options;
  const own = { beta2Decay, epsilon1, epsilon2, clipThreshold };
  checkOptimizerOptions("adafactor", options, Object.keys(own));
  checkSetting("adafactor", "beta2Decay", beta2Decay, beta2Decay < 0);
  for (const name of ["epsilon1", "epsilon2", "clipThreshold"] as const) {
    checkSetting("adafactor", name, own[name], own[name] > 0);
  }
  return assemble(
    {
      name: "adafactor",
      slots(parameter) {
        const { shape } = parameter;
        if (shape.length < 2) return { v: zeroSlot(parameter) };
        return {
          r: { shape: shape.slice(0, -1), initial: 0 },
          c: { shape: shape.toSpliced(-2, 1), initial: 0 },
        };
      },
      update({ parameter, gradient, slots, learningRate: rate, count }) {
        const part = ops.exp(ops.mul(ops.log(count), beta2Decay)); // 1 - beta2 at this step
        const squares = ops.add(ops.square(gradient), epsilon1);
        const next = parameter.shape.length < 2 ? wholeAverage(slots, squares, part) : factors(slots, squares, part);
        const change = ops.div(gradient, ops.sqrt(next.v));
        const clipped = ops.div(change, ops.max(ops.div(rootMeanSquare(change), clipThreshold), 1));
        const relative = ops.min(rate, ops.div(1, ops.sqrt(count)));
        const size = ops.mul(ops.max(rootMeanSquare(parameter), epsilon2), relative);
        return { parameter: ops.sub(parameter, ops.mul(size, clipped)), slots: next.slots };
      },
    },
    { ...options, learningRate },
  );
}

type Averages = { readonly v: Sym; readonly slots: Readonly<Record<string, Sym>> };

function wholeAverage(slots: Readonly<Record<string, Sym>>, squares: Sym, part: Sym): Averages {
  const v = moveBy(named(slots, "v"), squares, part);
  return { v, slots: { v } };
}

function factors(slots: Readonly<Record<string, Sym>>, squares: Sym, part: Sym): Averages {
  const r = moveBy(named(slots, "r"), ops.mean(squares, { axes: -1 }), part);
  const c = moveBy(named(slots, "c"), ops.mean(squares, { axes: -2 }), part);
  const rows = ops.div(r, ops.mean(r, { axes: -1, keepDims: true }));
  const v = ops.mul(ops.reshape(rows, [...r.shape, 1]), ops.reshape(c, c.shape.toSpliced(-1, 0, 1)));
  return { v, slots: { r, c } };
}

function moveBy(average: Sym, value: Sym, part: Sym): Sym {
  return ops.add(ops.mul(average, ops.sub(1, part)), ops.mul(value, part));
}

function rootMeanSquare(x: Sym): Sym {
  return ops.sqrt(ops.mean(ops.square(x)));
}
