// Intersection over union of each class, averaged over the classes: for segmentation.

import { checkOptionNames, checkWhole } from "../../core/options.ts";
import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { sameShape } from "../primitives.ts";
import { spreadWeight } from "../targets.ts";
import { ratio, sumOf, type Metric, type MetricOptions } from "./metric.ts";

const MOST_CLASSES = 4096; // the matrix of all pairs comes back from each step

/** Settings of {@link meanIoU}. */
export interface MeanIoUOptions extends MetricOptions {
  readonly numClasses: number;
  /** Places with this target do not count. Default none. */
  readonly ignoreClass?: number;
  /** Targets are class numbers, not a value for each class on the last axis. Default true. */
  readonly sparseYTrue?: boolean;
  /** Predictions are class numbers, not scores of the classes on the last axis. Default true, as in Keras. */
  readonly sparseYPred?: boolean;
}

/**
 * Measures for each class the places where both target and prediction have it, divided by those where one of them has it, and
 * takes the mean over the classes that occur. A class number outside `[0, numClasses)` does not count.
 *
 * @throws {KdataError} `usage` for an unknown option.
 * @throws {RangeError} when a setting is out of range.
 */
export function meanIoU(options: MeanIoUOptions): Metric {
  const { numClasses, ignoreClass, sparseYTrue = true, sparseYPred = true } = options;
  checkOptionNames("Cannot make meanIoU", options, ["name", "numClasses", "ignoreClass", "sparseYTrue", "sparseYPred"]);
  checkWhole("Cannot make meanIoU", "numClasses", numClasses, 1, MOST_CLASSES);
  if (ignoreClass !== undefined) checkWhole("Cannot make meanIoU", "ignoreClass", ignoreClass, -(2 ** 31), 2 ** 31 - 1);
  return {
    name: options.name ?? "meanIoU",
    build(target, prediction, weight) {
      const predicted = sparseYPred ? ops.cast(prediction, "int32") : ops.argmax(prediction);
      const actual = fitted(
        sparseYTrue ? ops.cast(target, "int32") : ops.argmax(ops.cast(target, "float32")),
        predicted,
      );
      const weights = spreadWeight(weight, predicted.shape);
      const isCounted = [isClass(actual, numClasses), isClass(predicted, numClasses)];
      const isIgnored = ignoreClass === undefined ? undefined : ops.equal(actual, ignoreClass);
      const both = ops.equal(
        isCounted.reduce((a, b) => ops.mul(a, b)),
        1,
      );
      const counted = ops.where(both, isIgnored === undefined ? weights : ops.where(isIgnored, 0, weights), 0);
      const pair = ops.where(both, ops.add(ops.mul(actual, numClasses), predicted), 0);
      const length = [elementCount(pair.shape)];
      const matrix = ops.scatterAdd(ops.reshape(pair, length), ops.reshape(counted, length), numClasses * numClasses);
      return { matrix };
    },
    result: (sums) => meanOfClasses(sumOf(sums, "matrix"), numClasses),
  };
}

function fitted(actual: Sym, predicted: Sym): Sym {
  const { shape } = predicted;
  if (
    sameShape(actual.shape, shape) ||
    sameShape(actual.shape, [...shape, 1]) ||
    sameShape([...actual.shape, 1], shape)
  ) {
    return ops.reshape(actual, shape);
  }
  throw predicted.graph.misfit(
    "meanIoU",
    `targets of shape [${actual.shape.join(", ")}], predictions [${shape.join(", ")}]`,
  );
}

function isClass(numbers: Sym, classes: number): Sym {
  return ops.where(ops.greaterEqual(numbers, 0), ops.cast(ops.greater(classes, numbers), "int32"), 0);
}

function meanOfClasses(matrix: Float64Array, classes: number): number {
  const [actual, predicted] = [new Float64Array(classes), new Float64Array(classes)];
  for (const [i, count] of matrix.entries()) {
    const [row, column] = [Math.floor(i / classes), i % classes];
    actual[row] = (actual[row] ?? 0) + count;
    predicted[column] = (predicted[column] ?? 0) + count;
  }
  let sum = 0;
  let present = 0;
  for (let i = 0; i < classes; i++) {
    const both = matrix[i * classes + i] ?? 0;
    const either = (actual[i] ?? 0) + (predicted[i] ?? 0) - both;
    if (either <= 0) continue;
    present++;
    sum += both / either;
  }
  return ratio(sum, present);
}
