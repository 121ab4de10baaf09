// Random numbers of the graph: feeds that are drawn anew at each step from the trainer's seed, the step's number and the
// layer's path. No backend draws any itself, so all of them compute with the same bits.

import type { Graph, Sym } from "../graph.ts";
import { add, mul } from "./elementwise.ts";

/** The range of {@link randomUniform}. */
export interface RandomUniformOptions {
  /** The least number. Default 0. */
  readonly min?: number;
  /** The number that all are below. Default 1. */
  readonly max?: number;
}

/** The moments of {@link randomNormal}. */
export interface RandomNormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** The standard deviation. Default 1. */
  readonly stddev?: number;
}

/** Draws float32 numbers evenly from `[min, max)`, each call others. */
export function randomUniform(graph: Graph, shape: readonly number[], options: RandomUniformOptions = {}): Sym {
  const { min = 0, max = 1 } = options;
  return add(mul(graph.random(shape, { kind: "uniform" }), max - min), min);
}

/** Draws float32 numbers from a normal distribution, each call others. */
export function randomNormal(graph: Graph, shape: readonly number[], options: RandomNormalOptions = {}): Sym {
  const { mean = 0, stddev = 1 } = options;
  return add(mul(graph.random(shape, { kind: "normal" }), stddev), mean);
}

/**
 * Draws bool: true with the given probability, each call others. The mask of a dropout.
 *
 * @throws {RangeError} when the probability is not in [0, 1].
 */
export function bernoulli(graph: Graph, shape: readonly number[], probability: number): Sym {
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`Cannot draw: ${probability} is not a probability from 0 to 1`);
  }
  return graph.random(shape, { kind: "bernoulli", probability });
}
