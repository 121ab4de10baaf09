// The weighted harmonic mean of precision and recall.

import { checkOptionNames } from "../../core/options.ts";
import * as ops from "../ops.ts";
import { denseTarget, spreadWeight, weighted } from "../targets.ts";
import { sumOf, type Metric, type MetricOptions } from "./metric.ts";

const EPSILON = 1e-7; // Keras adds it to every divisor
const LEAST_SCORE = 1e-9; // a row of zeros has no greatest class

const averages = ["micro", "macro", "weighted"] as const;

/** Settings of {@link f1Score}. */
export interface F1ScoreOptions extends MetricOptions {
  /** `null` gives a result a class, `micro` counts all classes together, `macro` is the mean, `weighted` by true elements. Default null. */
  readonly average?: (typeof averages)[number] | null;
  /** Scores above it are a yes. Default null: the greatest of a row. */
  readonly threshold?: number | null;
}

/** Settings of {@link fBetaScore}. */
export interface FBetaScoreOptions extends F1ScoreOptions {
  /** How much more recall weighs than precision. Default 1. */
  readonly beta?: number;
}

/**
 * Measures `(1 + beta^2) precision recall / (beta^2 precision + recall)`. Targets are 1 and 0 for each class; target and
 * prediction `[batch, ...s, classes]`.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when a setting is out of range.
 */
export function fBetaScore(options: FBetaScoreOptions = {}): Metric {
  const { average = null, threshold = null, beta = 1, name = "fBetaScore" } = options;
  checkOptionNames("Cannot make fBetaScore", options, ["name", "average", "threshold", "beta"]);
  if (!(beta > 0)) throw new RangeError(`Cannot make fBetaScore: beta is ${beta}`);
  if (threshold !== null && !(threshold > 0 && threshold <= 1)) {
    throw new RangeError(`Cannot make fBetaScore: threshold is ${threshold}`);
  }
  if (average !== null && !averages.includes(average)) {
    throw new RangeError(`Cannot make fBetaScore: average is ${average}, not null or ${averages.join(", ")}`);
  }
  return {
    name,
    build(target, prediction, weight) {
      const isTrue = denseTarget("fBetaScore", target, prediction);
      const greatest = ops.reduceMax(prediction, { axes: -1, keepDims: true });
      const isYes = ops.cast(
        threshold === null
          ? ops.greater(ops.where(ops.greaterEqual(prediction, greatest), ops.abs(prediction), 0), LEAST_SCORE)
          : ops.greater(prediction, threshold),
        "float32",
      );
      const weights = spreadWeight(weight, prediction.shape);
      const axes = prediction.shape.map((_, axis) => axis).slice(0, -1);
      return {
        hits: ops.sum(weighted(ops.mul(isYes, isTrue), weights), { axes }),
        predicted: ops.sum(weighted(isYes, weights), { axes }),
        actual: ops.sum(weighted(isTrue, weights), { axes }),
      };
    },
    result(sums) {
      const classes = { hits: sumOf(sums, "hits"), predicted: sumOf(sums, "predicted"), actual: sumOf(sums, "actual") };
      if (average === "micro") return score(total(classes.hits), total(classes.predicted), total(classes.actual), beta);
      const scores = Array.from(classes.hits, (hits, i) =>
        score(hits, classes.predicted[i] ?? 0, classes.actual[i] ?? 0, beta),
      );
      if (average === null) return scores;
      if (average === "macro") return total(scores) / scores.length;
      const all = total(classes.actual) + EPSILON;
      return total(scores.map((value, i) => (value * (classes.actual[i] ?? 0)) / all));
    },
  };
}

/** Makes {@link fBetaScore} with beta 1. */
export function f1Score(options: F1ScoreOptions = {}): Metric {
  checkOptionNames("Cannot make f1Score", options, ["name", "average", "threshold"]);
  return fBetaScore({ name: "f1Score", ...options });
}

function score(hits: number, predicted: number, actual: number, beta: number): number {
  const precision = hits / (predicted + EPSILON);
  const recall = hits / (actual + EPSILON);
  return ((1 + beta * beta) * precision * recall) / (beta * beta * precision + recall + EPSILON);
}

function total(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
