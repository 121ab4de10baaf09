// AdamW: Loshchilov and Hutter, https://arxiv.org/abs/1711.05101

import { makeAdam, type AdamOptions } from "./adam.ts";
import type { Optimizer } from "./optimizer.ts";

const WEIGHT_DECAY = 0.004; // Keras' default

/**
 * Makes Adam with weight decay apart from the gradient: `w = w - w weightDecay learningRate` before each step of Adam. The
 * decay's default is 0.004, of all parameters that `excludeFromWeightDecay` does not choose.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function adamW(options: AdamOptions = {}): Optimizer {
  return makeAdam("adamW", { weightDecay: WEIGHT_DECAY, ...options });
}
