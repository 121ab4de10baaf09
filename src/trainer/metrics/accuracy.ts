// How often a prediction is right.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget, meanOfLast, sparseTarget } from "../targets.ts";
import { meanMetric } from "./mean.ts";
import type { Metric, MetricOptions } from "./metric.ts";

/** Settings of {@link binaryAccuracy}. */
export interface BinaryAccuracyOptions extends MetricOptions {
  /** Predictions above it are a yes. Default 0.5; for logits it is 0. */
  readonly threshold?: number;
}

/** Settings of {@link topKCategoricalAccuracy}. */
export interface TopKOptions extends MetricOptions {
  /** Default 5. */
  readonly k?: number;
}

/**
 * Measures how often the class with the greatest score is the right one; of equal scores the first class counts.
 *
 * Target `[batch, ...s]` or `[batch, ...s, 1]` of class numbers, prediction `[batch, ...s, classes]`. Weights with the axes of
 * `s` weigh each place.
 */
export function sparseCategoricalAccuracy(options: MetricOptions = {}): Metric {
  checkOptionNames("Cannot make sparseCategoricalAccuracy", options, ["name"]);
  return meanMetric(options.name ?? "accuracy", (target, prediction) =>
    asNumber(ops.equal(ops.argmax(prediction), sparseTarget("sparseCategoricalAccuracy", target, prediction))),
  );
}

/** Measures how often the greatest score is where the greatest target is. Target and prediction `[batch, ...s, classes]`. */
export function categoricalAccuracy(options: MetricOptions = {}): Metric {
  checkOptionNames("Cannot make categoricalAccuracy", options, ["name"]);
  return meanMetric(options.name ?? "accuracy", (target, prediction) =>
    asNumber(ops.equal(ops.argmax(prediction), ops.argmax(denseTarget("categoricalAccuracy", target, prediction)))),
  );
}

/**
 * Measures how often a prediction above the threshold meets a target of 1, or one up to it a target of 0.
 *
 * @throws {KdataError} `usage` for an unknown option.
 */
export function binaryAccuracy(options: BinaryAccuracyOptions = {}): Metric {
  const { threshold = 0.5 } = options;
  checkOptionNames("Cannot make binaryAccuracy", options, ["name", "threshold"]);
  return meanMetric(options.name ?? "accuracy", (target, prediction) => {
    const isYes = asNumber(ops.greater(prediction, threshold));
    return meanOfLast(asNumber(ops.equal(isYes, denseTarget("binaryAccuracy", target, prediction))));
  });
}

/**
 * Measures how often fewer than k classes have a greater score than the right one. Classes with an equal score do not count
 * against it, as in Keras.
 *
 * Target `[batch, ...s]` or `[batch, ...s, 1]` of class numbers, prediction `[batch, ...s, classes]`.
 *
 * @throws {RangeError} when k is not a whole number from 1 on.
 */
export function sparseTopKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  return topK("sparseTopKCategoricalAccuracy", options, sparseTarget);
}

/** Measures the same as {@link sparseTopKCategoricalAccuracy} for targets `[batch, ...s, classes]`: the greatest is the right one. */
export function topKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  return topK("topKCategoricalAccuracy", options, (action, target, prediction) =>
    ops.argmax(denseTarget(action, target, prediction)),
  );
}

function topK(
  action: string,
  options: TopKOptions,
  classOf: (action: string, target: Sym, prediction: Sym) => Sym,
): Metric {
  const { k = 5, name = action } = options;
  checkOptionNames(`Cannot make ${action}`, options, ["name", "k"]);
  checkWhole(`Cannot make ${action}`, "k", k, 1);
  return meanMetric(name, (target, prediction) => {
    const isRight = ops.greater(ops.oneHot(classOf(action, target, prediction), prediction.shape.at(-1) ?? 0), 0);
    const score = ops.sum(ops.where(isRight, prediction, 0), { axes: -1, keepDims: true });
    const isNumber = ops.equal(score, score);
    const rank = ops.sum(asNumber(ops.greater(prediction, ops.where(isNumber, score, -Infinity))), { axes: -1 });
    const isClass = ops.sum(asNumber(isRight), { axes: -1 });
    return ops.mul(asNumber(ops.greater(k, rank)), isClass);
  });
}

function asNumber(condition: Sym): Sym {
  return ops.cast(condition, "float32");
}
