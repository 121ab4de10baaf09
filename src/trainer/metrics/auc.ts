// The area under the ROC or the precision-recall curve, from histograms of the predictions: as many thresholds as Keras takes,
// and its sums. Davis and Goadrich, https://www.biostat.wisc.edu/~page/rocpr.pdf, for the interpolation of the latter.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import * as ops from "../ops.ts";
import { weighted } from "../targets.ts";
import { elementsOf } from "./elements.ts";
import { ratio, sumOf, type Metric, type MetricOptions } from "./metric.ts";

const summations = ["interpolation", "minoring", "majoring"] as const;

/** Settings of {@link auc}. */
export interface AucOptions extends MetricOptions {
  /** Default `ROC`. */
  readonly curve?: "ROC" | "PR";
  /** Default 200, evenly from just below 0 to just above 1. */
  readonly numThresholds?: number;
  /** How the area between two thresholds is taken: the mean, the lesser or the greater height. Default `interpolation`. */
  readonly summationMethod?: (typeof summations)[number];
  /** The predictions are logits, not probabilities. Default false. */
  readonly fromLogits?: boolean;
}

/** For each threshold, the weights of what lies above it. */
interface Curve {
  readonly truePositives: Float64Array;
  readonly falsePositives: Float64Array;
}

/**
 * Measures how well predictions in [0, 1] tell targets of 1 from targets of 0: the area under a curve over all thresholds.
 *
 * Target and prediction have one shape, whose elements all count. Without a target of 1, or of 0, the area is 0. A prediction
 * that is NaN makes it NaN.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when a setting is out of range.
 */
export function auc(options: AucOptions = {}): Metric {
  const { curve = "ROC", numThresholds = 200, summationMethod = "interpolation", fromLogits = false } = options;
  checkOptionNames("Cannot make auc", options, ["name", "curve", "numThresholds", "summationMethod", "fromLogits"]);
  checkWhole("Cannot make auc", "numThresholds", numThresholds, 2);
  if (!["ROC", "PR"].includes(curve)) throw new RangeError(`Cannot make auc: curve is ${curve}, not ROC or PR`);
  if (!summations.includes(summationMethod)) {
    throw new RangeError(`Cannot make auc: summationMethod is ${summationMethod}, not one of ${summations.join(", ")}`);
  }
  const buckets = numThresholds - 1;
  return {
    name: options.name ?? "auc",
    build(target, prediction, weight) {
      const elements = elementsOf("auc", target, fromLogits ? ops.sigmoid(prediction) : prediction, weight);
      const { prediction: p, isTrue } = elements;
      const inside = ops.where(ops.greater(p, 0), ops.where(ops.greater(1, p), p, 1), 0); // NaN too: an index must be one
      const position = ops.mul(inside, buckets);
      const whole = ops.cast(position, "int32");
      const isWhole = ops.cast(ops.equal(ops.cast(whole, "float32"), position), "int32");
      const bucket = ops.max(ops.sub(whole, isWhole), 0); // (t[i], t[i + 1]] is bucket i, and 0 is in the first
      const weights = ops.where(ops.equal(p, p), elements.weight, weighted(p, elements.weight));
      return {
        positives: ops.scatterAdd(bucket, weighted(isTrue, weights), buckets),
        negatives: ops.scatterAdd(bucket, weighted(ops.sub(1, isTrue), weights), buckets),
      };
    },
    result(sums) {
      const points = {
        truePositives: above(sumOf(sums, "positives")),
        falsePositives: above(sumOf(sums, "negatives")),
      };
      if (curve === "PR" && summationMethod === "interpolation") return interpolatedPrecision(points);
      return area(...(curve === "ROC" ? rocPoints(points) : precisionPoints(points)), summationMethod);
    },
  };
}

/** Adds up a histogram from the end: one more element than buckets, the last one 0. */
function above(histogram: Float64Array): Float64Array {
  const sums = new Float64Array(histogram.length + 1);
  for (let i = histogram.length - 1; i >= 0; i--) sums[i] = (sums[i + 1] ?? 0) + (histogram[i] ?? 0);
  return sums;
}

type Points = [x: number[], y: number[]];

function rocPoints({ truePositives, falsePositives }: Curve): Points {
  const [allTrue = 0, allFalse = 0] = [truePositives[0], falsePositives[0]];
  return [
    Array.from(falsePositives, (count) => ratio(count, allFalse)),
    Array.from(truePositives, (count) => ratio(count, allTrue)),
  ];
}

function precisionPoints({ truePositives, falsePositives }: Curve): Points {
  const allTrue = truePositives[0] ?? 0;
  return [
    Array.from(truePositives, (count) => ratio(count, allTrue)),
    Array.from(truePositives, (count, i) => ratio(count, count + (falsePositives[i] ?? 0))),
  ];
}

function area(x: readonly number[], y: readonly number[], method: (typeof summations)[number]): number {
  let total = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const [left = 0, right = 0] = [y[i], y[i + 1]];
    const height = {
      interpolation: (left + right) / 2,
      minoring: Math.min(left, right),
      majoring: Math.max(left, right),
    };
    total += ((x[i] ?? 0) - (x[i + 1] ?? 0)) * height[method];
  }
  return total;
}

/** Interpolates true positives between thresholds and so precision, which is no straight line between them. */
function interpolatedPrecision({ truePositives: tp, falsePositives: fp }: Curve): number {
  let total = 0;
  for (let i = 0; i + 1 < tp.length; i++) {
    const [left = 0, right = 0] = [tp[i], tp[i + 1]];
    const [predictedLeft, predictedRight] = [left + (fp[i] ?? 0), right + (fp[i + 1] ?? 0)];
    const slope = ratio(left - right, predictedLeft - predictedRight);
    const intercept = right - slope * predictedRight;
    const isSafe = predictedLeft > 0 && predictedRight > 0;
    const logRatio = isSafe ? Math.log(predictedLeft / predictedRight) : 0;
    total += ratio(slope * (left - right + intercept * logRatio), tp[0] ?? 0);
  }
  return total;
}
