// The coefficient of determination.

import { checkOptionNames } from "../../core/options.ts";
import { elementCount } from "../../core/tensor.ts";
import * as ops from "../ops.ts";
import { denseTarget, spreadWeight, weighted } from "../targets.ts";
import { sumOf, type Metric, type MetricOptions } from "./metric.ts";

const aggregations = ["uniform_average", "variance_weighted_average"] as const;

/** Settings of {@link r2Score}. */
export interface R2ScoreOptions extends MetricOptions {
  /** How the scores of several outputs become one; `null` gives one an output. Default `uniform_average`. */
  readonly classAggregation?: (typeof aggregations)[number] | null;
}

/**
 * Measures which share of the targets' variance the prediction explains: 1 is all, 0 as much as their mean. Target and prediction
 * `[batch, outputs]` or `[batch]`. Sums of a batch are float32, so targets far from 0 for their spread cost digits.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when the aggregation is not one.
 */
export function r2Score(options: R2ScoreOptions = {}): Metric {
  const { classAggregation = "uniform_average", name = "r2Score" } = options;
  checkOptionNames("Cannot make r2Score", options, ["name", "classAggregation"]);
  if (classAggregation !== null && !aggregations.includes(classAggregation)) {
    throw new RangeError(`Cannot make r2Score: classAggregation is ${classAggregation}`);
  }
  return {
    name,
    build(target, prediction, weight) {
      const [rows = 1] = prediction.shape;
      const shape = [rows, elementCount(prediction.shape.slice(1))];
      const wanted = ops.reshape(denseTarget("r2Score", target, prediction), shape);
      const weights = ops.reshape(spreadWeight(weight, prediction.shape), shape);
      const error = ops.sub(wanted, ops.reshape(prediction, shape));
      return {
        sum: ops.sum(weighted(wanted, weights), { axes: 0 }),
        squares: ops.sum(weighted(ops.square(wanted), weights), { axes: 0 }),
        residual: ops.sum(weighted(ops.square(error), weights), { axes: 0 }),
        weight: ops.sum(weights, { axes: 0 }),
      };
    },
    result(sums) {
      const [sum, residual] = [sumOf(sums, "sum"), sumOf(sums, "residual")];
      const [squares, weight] = [sumOf(sums, "squares"), sumOf(sums, "weight")];
      const totals = Array.from(sum, (s, i) => (squares[i] ?? 0) - (s * s) / (weight[i] ?? 0));
      const scores = totals.map((total, i) => finiteScore(1 - (residual[i] ?? 0) / total));
      if (classAggregation === null) return scores;
      if (classAggregation === "uniform_average") return scores.reduce((a, b) => a + b, 0) / scores.length;
      const all = totals.reduce((a, b) => a + b, 0);
      return scores.reduce((value, score, i) => value + (score * (totals[i] ?? 0)) / all, 0);
    },
  };
}

/** An output without variance has no score: 0, as in Keras. */
function finiteScore(score: number): number {
  return Math.abs(score) === Infinity ? 0 : score;
}
