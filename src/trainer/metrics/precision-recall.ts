// Precision and recall of yes-or-no predictions.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import { tensor } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget, weighted } from "../targets.ts";
import { elementsOf } from "./elements.ts";
import { ratio, sumOf, type Metric, type MetricOptions } from "./metric.ts";

/** Settings of {@link precision} and {@link recall}. */
export interface PrecisionOptions extends MetricOptions {
  /** Predictions above it are a yes; several give several results. Default 0.5, or none with `topK`. */
  readonly thresholds?: number | readonly number[];
  /** Only the k greatest scores of the last axis can be a yes; of equal ones the first. Compares each pair of classes. */
  readonly topK?: number;
  /** Looks at one class of the last axis alone. */
  readonly classId?: number;
}

/**
 * Measures which share of the predicted yes are right. Target (0 is no) and prediction have one shape. 0 where nothing was
 * predicted.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when a setting is out of range.
 */
export function precision(options: PrecisionOptions = {}): Metric {
  return counting("precision", options, ({ isTrue, isYes }) => ops.mul(ops.sub(1, isTrue), isYes));
}

/**
 * Measures which share of the true yes are predicted. 0 where there is none.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when a setting is out of range.
 */
export function recall(options: PrecisionOptions = {}): Metric {
  return counting("recall", options, ({ isTrue, isYes }) => ops.mul(isTrue, ops.sub(1, isYes)));
}

function counting(
  action: string,
  options: PrecisionOptions,
  missOf: (sides: { readonly isTrue: Sym; readonly isYes: Sym }) => Sym,
): Metric {
  const { topK, classId, name = action, thresholds = topK === undefined ? 0.5 : -Infinity } = options;
  checkOptionNames(`Cannot make ${action}`, options, ["name", "thresholds", "topK", "classId"]);
  if (topK !== undefined) checkWhole(`Cannot make ${action}`, "topK", topK, 1);
  if (classId !== undefined) checkWhole(`Cannot make ${action}`, "classId", classId, 0);
  const list = typeof thresholds === "number" ? [thresholds] : thresholds;
  if (list.length === 0 || list.some(Number.isNaN))
    throw new RangeError(`Cannot make ${action}: thresholds are [${list.join(", ")}]`);
  return {
    name,
    build(target, prediction, weight) {
      const wanted = denseTarget(action, target, prediction);
      const scores = topK === undefined ? prediction : onlyGreatest(prediction, topK);
      const [y, p] = [wanted, scores].map((x) => (classId === undefined ? x : oneClass(x, classId)));
      const elements = elementsOf(action, y ?? wanted, p ?? scores, weight);
      const count = elements.prediction.shape[0] ?? 0;
      const bounds = prediction.graph.constant(tensor("float32", [list.length], Float32Array.from(list)));
      const isYes = ops.cast(ops.greater(ops.reshape(elements.prediction, [count, 1]), bounds), "float32");
      const isTrue = ops.reshape(elements.isTrue, [count, 1]);
      const weights = ops.broadcastTo(ops.reshape(elements.weight, [count, 1]), isYes.shape);
      return {
        hits: ops.sum(weighted(ops.mul(isTrue, isYes), weights), { axes: 0 }),
        misses: ops.sum(weighted(missOf({ isTrue, isYes }), weights), { axes: 0 }),
      };
    },
    result(sums) {
      const misses = sumOf(sums, "misses");
      const shares = Array.from(sumOf(sums, "hits"), (hits, i) => ratio(hits, hits + (misses[i] ?? 0)));
      return typeof thresholds === "number" ? (shares[0] ?? NaN) : shares;
    },
  };
}

/** Sets all but the k greatest scores of the last axis to minus infinity: those with k or more before them in descending order. */
function onlyGreatest(scores: Sym, k: number): Sym {
  const classes = scores.shape.at(-1) ?? 0;
  const one = ops.reshape(scores, [...scores.shape, 1]);
  const other = ops.reshape(scores, [...scores.shape.slice(0, -1), 1, classes]);
  const places = ops.iota(scores.graph, [classes, classes], 0);
  const isEarlier = ops.greater(places, ops.iota(scores.graph, [classes, classes], 1));
  const before = ops.add(
    ops.cast(ops.greater(other, one), "float32"),
    ops.where(isEarlier, ops.cast(ops.equal(other, one), "float32"), 0),
  );
  return ops.where(ops.greater(k, ops.sum(before, { axes: -1 })), scores, -Infinity);
}

function oneClass(x: Sym, classId: number): Sym {
  const last = x.shape.length - 1;
  if (classId >= (x.shape[last] ?? 0)) throw x.graph.misfit("classId", `there is no class ${classId} on the last axis`);
  const starts = x.shape.map(() => 0).with(last, classId);
  return ops.slice(x, starts, x.shape.with(last, classId + 1));
}
