// Metrics that are a weighted mean over all samples or places, and functions of such a mean.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import type { Loss } from "../losses/loss.ts";
import * as losses from "../losses/regression.ts";
import { cosine } from "../losses/similarity.ts";
import { sparseCategoricalCrossentropy, type CrossentropyOptions } from "../losses/sparse-categorical-crossentropy.ts";
import { weightedSum } from "../targets.ts";
import { ratio, scalarOf, type Metric, type MetricOptions } from "./metric.ts";

/**
 * Makes a metric of any loss: its mean over the epoch.
 *
 * @example
 * metrics.meanOf(losses.huber({ delta: 2 }), { name: "huber2" });
 */
export function meanOf(loss: Loss, options: MetricOptions = {}): Metric {
  checkOptionNames(`Cannot make metric ${loss.name}`, options, ["name"]);
  return meanMetric(options.name ?? loss.name, (target, prediction) => loss.build(target, prediction), {
    counts: (target, prediction) => loss.counts?.(target, prediction),
  });
}

/** Makes the mean of the squared differences. */
export function meanSquaredError(options: MetricOptions = {}): Metric {
  return meanOf(losses.meanSquaredError(), options);
}

/** Makes the mean of the magnitudes of the differences. */
export function meanAbsoluteError(options: MetricOptions = {}): Metric {
  return meanOf(losses.meanAbsoluteError(), options);
}

/** Makes the square root of the mean of the squared differences. */
export function rootMeanSquaredError(options: MetricOptions = {}): Metric {
  return mapped(meanOf(losses.meanSquaredError(), { name: "rootMeanSquaredError", ...options }), Math.sqrt);
}

/** Makes the mean cosine of the angle between target and prediction over the last axis: 1 for one direction. */
export function cosineSimilarity(options: MetricOptions = {}): Metric {
  checkOptionNames("Cannot make metric cosineSimilarity", options, ["name"]);
  return meanMetric(options.name ?? "cosineSimilarity", (target, prediction) =>
    cosine("cosineSimilarity", target, prediction),
  );
}

/**
 * Makes perplexity: e to the mean cross-entropy of all places that count, for targets that number classes.
 *
 * @throws {KdataError} `usage` for an unknown option.
 */
export function perplexity(options: CrossentropyOptions & MetricOptions = {}): Metric {
  const { name = "perplexity", ...rest } = options;
  return mapped(meanOf(sparseCategoricalCrossentropy(rest), { name }), Math.exp);
}

/** Makes a metric that is the weighted mean of values `[batch, ...s]`. */
export function meanMetric(
  name: string,
  values: (target: Sym, prediction: Sym) => Sym,
  { counts }: { readonly counts?: (target: Sym, prediction: Sym) => Sym | undefined } = {},
): Metric {
  return {
    name,
    build(target, prediction, weight) {
      return { ...weightedSum(values(target, prediction), weight, counts?.(target, prediction)) };
    },
    result: (sums) => ratio(scalarOf(sums, "total"), scalarOf(sums, "weight")),
  };
}

function mapped(metric: Metric, map: (mean: number) => number): Metric {
  return { ...metric, result: (sums) => map(ratio(scalarOf(sums, "total"), scalarOf(sums, "weight"))) };
}
