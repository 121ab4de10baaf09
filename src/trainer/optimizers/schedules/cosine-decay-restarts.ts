// Cosine decay of the learning rate with warm restarts: Loshchilov and Hutter, https://arxiv.org/abs/1608.03983

import { tensor } from "../../../core/tensor.ts";
import type { Sym } from "../../graph.ts";
import * as ops from "../../ops.ts";
import { checkDivisor, checkSchedule, halfCosine, type Schedule } from "./schedule.ts";

const LEAST_GROWTH = 1.001; // a smaller one would need a table of very many periods
const LAST_STEP = 2 ** 31; // the step count is int32

/** Settings of {@link cosineDecayRestarts}. */
export interface CosineDecayRestartsOptions {
  readonly initialLearningRate: number;
  /** The steps of the first period. */
  readonly firstDecaySteps: number;
  /** How many times longer each period is than the one before: 1, or from 1.001 on. Default 2. */
  readonly tMul?: number;
  /** How many times higher each period starts than the one before. Default 1. */
  readonly mMul?: number;
  /** What remains at the end of a period, as a share of the initial rate. Default 0. */
  readonly alpha?: number;
}

/**
 * Makes `initialLearningRate * ((1 - alpha) * mMul^i * (1 + cos(pi * fraction)) / 2 + alpha)` in period i.
 *
 * @throws {RangeError} when a number is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function cosineDecayRestarts(options: CosineDecayRestartsOptions): Schedule {
  const { initialLearningRate, firstDecaySteps, tMul = 2, mMul = 1, alpha = 0 } = options;
  const names = ["initialLearningRate", "firstDecaySteps", "tMul", "mMul", "alpha"];
  checkSchedule("cosineDecayRestarts", options, names);
  checkDivisor("cosineDecayRestarts", "firstDecaySteps", firstDecaySteps);
  checkDivisor("cosineDecayRestarts", "mMul", mMul);
  if (tMul !== 1 && tMul < LEAST_GROWTH) throw new RangeError(`Cannot make cosineDecayRestarts: tMul is ${tMul}`);
  return {
    name: "cosineDecayRestarts",
    initial: initialLearningRate,
    build(step) {
      const { period, fraction } =
        tMul === 1 ? evenPeriod(step, firstDecaySteps) : longerPeriod(step, firstDecaySteps, tMul);
      const height = ops.exp(ops.mul(period, Math.log(mMul)));
      const scaled = ops.mul(height, halfCosine(fraction));
      return ops.mul(ops.add(ops.mul(scaled, 1 - alpha), alpha), initialLearningRate);
    },
  };
}

function evenPeriod(step: Sym, length: number): { period: Sym; fraction: Sym } {
  const done = ops.div(ops.cast(step, "float32"), length);
  const period = ops.cast(ops.cast(done, "int32"), "float32");
  return { period, fraction: ops.sub(done, period) };
}

/** Finds the period in a table of where each starts: whole steps, which a logarithm in float32 would miss by one. */
function longerPeriod(step: Sym, first: number, growth: number): { period: Sym; fraction: Sym } {
  const starts = [0];
  const lengths = [first];
  for (let start = first, length = first * growth; start < LAST_STEP; start += length, length *= growth) {
    starts.push(start);
    lengths.push(length);
  }
  function table(values: readonly number[]): Sym {
    return step.graph.constant(tensor("float32", [values.length], Float32Array.from(values)));
  }
  const firstSteps = Int32Array.from(starts, (start) => Math.ceil(start));
  const begun = ops.greaterEqual(step, step.graph.constant(tensor("int32", [starts.length], firstSteps)));
  const period = ops.sub(ops.sum(ops.cast(begun, "int32")), 1);
  const isHere = ops.equal(ops.iota(step.graph, [starts.length]), period);
  function here(values: readonly number[]): Sym {
    return ops.sum(ops.where(isHere, table(values), 0));
  }
  const fraction = ops.div(ops.sub(ops.cast(step, "float32"), here(starts)), here(lengths));
  return { period: ops.cast(period, "float32"), fraction };
}
