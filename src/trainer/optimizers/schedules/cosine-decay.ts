// Cosine decay of the learning rate, after a warm-up if wanted: Loshchilov and Hutter, https://arxiv.org/abs/1608.03983

import type { Sym } from "../../graph.ts";
import * as ops from "../../ops.ts";
import { checkDivisor, checkSchedule, halfCosine, type Schedule } from "./schedule.ts";

/** Settings of {@link cosineDecay} in Keras' words. */
export interface CosineDecayOptions {
  readonly initialLearningRate: number;
  /** The steps of the decay, the warm-up not among them. */
  readonly decaySteps: number;
  /** What remains at the end, as a share of the rate that the decay starts from. Default 0. */
  readonly alpha?: number;
  /** The rate that a warm-up in a straight line reaches. Default: no warm-up. */
  readonly warmupTarget?: number;
  /** Default 0. */
  readonly warmupSteps?: number;
}

/** Settings of {@link cosineDecay} by its peak: from 0 up to the peak, then down. */
export interface PeakOptions {
  readonly peak: number;
  /** All steps, the warm-up among them. */
  readonly steps: number;
  /** Default 0. */
  readonly warmupSteps?: number;
  /** What remains at the end, as a share of the peak. Default 0. */
  readonly alpha?: number;
}

/**
 * Makes `rate * ((1 - alpha) * (1 + cos(pi * step / decaySteps)) / 2 + alpha)`; the end stays.
 *
 * @throws {RangeError} when a number is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 *
 * @example
 * optimizers.cosineDecay({ peak: 1e-3, warmupSteps: 500, steps: 20_000 });
 * optimizers.cosineDecay({ initialLearningRate: 0, warmupTarget: 1e-3, warmupSteps: 500, decaySteps: 19_500 }); // the same
 */
export function cosineDecay(options: CosineDecayOptions | PeakOptions): Schedule {
  const { initialLearningRate, decaySteps, alpha = 0, warmupTarget, warmupSteps = 0 } = inKerasWords(options);
  checkDivisor("cosineDecay", "decaySteps", decaySteps);
  const top = warmupTarget ?? initialLearningRate;
  const warmup = warmupTarget === undefined ? 0 : warmupSteps;
  return {
    name: "cosineDecay",
    initial: warmup === 0 ? top : initialLearningRate,
    build(step) {
      const decayed = decayFrom(ops.max(ops.sub(step, warmup), 0), { decaySteps, top, alpha });
      if (warmup === 0) return decayed;
      const done = ops.div(ops.cast(step, "float32"), warmup);
      const rising = ops.add(ops.mul(done, top - initialLearningRate), initialLearningRate);
      return ops.where(ops.greater(warmup, step), rising, decayed);
    },
  };
}

function inKerasWords(options: CosineDecayOptions | PeakOptions): CosineDecayOptions {
  if (!("peak" in options)) {
    const names = ["initialLearningRate", "decaySteps", "alpha", "warmupTarget", "warmupSteps"];
    checkSchedule("cosineDecay", options, names);
    return options;
  }
  checkSchedule("cosineDecay", options, ["peak", "steps", "warmupSteps", "alpha"]);
  const { peak, steps, warmupSteps = 0, alpha = 0 } = options;
  if (warmupSteps >= steps) {
    throw new RangeError(`Cannot make cosineDecay: warmupSteps is ${warmupSteps}, steps ${steps} with them`);
  }
  const initialLearningRate = warmupSteps > 0 ? 0 : peak;
  return { initialLearningRate, decaySteps: steps - warmupSteps, alpha, warmupTarget: peak, warmupSteps };
}

function decayFrom(
  step: Sym,
  { decaySteps, top, alpha }: { readonly decaySteps: number; readonly top: number; readonly alpha: number },
): Sym {
  const fraction = ops.min(ops.div(ops.cast(step, "float32"), decaySteps), 1);
  return ops.mul(ops.add(ops.mul(halfCosine(fraction), 1 - alpha), alpha), top);
}
