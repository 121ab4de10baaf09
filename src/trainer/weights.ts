// The weight of each sample, or of each place of a sequence: from a feature of the batch, from the class, 0 for what fills the batch.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { elementCount } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import { feedSpec, feedTensor } from "./feeds.ts";
import { sameShape } from "./primitives.ts";
import type { FeedSpec } from "./train-step.ts";

/** Where weights come from. */
export interface Weighting {
  /** A feature `[batch]`, or with the first axes of the targets. */
  readonly sampleWeight: string | undefined;
  /** The weight of each class by its number; 1 for one that is missing. */
  readonly classWeight: Readonly<Record<number, number>> | undefined;
}

/** What the targets of a batch are. */
export interface TargetSpec extends FeedSpec {
  /** They number classes. Otherwise a last axis above 1 has a value for each class, and a single value is rounded to a class. */
  readonly isSparse: boolean;
}

/**
 * Checks the weights of classes.
 *
 * @throws {RangeError} when a class is not a whole number from 0 on, or a weight not a finite number from 0 on.
 */
export function checkClassWeight(classWeight: Readonly<Record<number, number>>): void {
  for (const [name, weight] of Object.entries(classWeight)) {
    if (/^\d+$/.test(name) && Number.isFinite(weight) && weight >= 0) continue;
    throw new RangeError(`Cannot fit: classWeight gives class '${name}' the weight ${weight}`);
  }
}

/**
 * Refuses the weight of a class that a model lacks.
 *
 * @param classWeight - weights by class
 * @param classes - how many there are; undefined where targets number none
 * @throws {RangeError} with the class.
 */
export function checkClassesOfWeights(classWeight: Weighting["classWeight"], classes: number | undefined): void {
  if (classes === undefined) return;
  const beyond = Object.keys(classWeight ?? {}).find((name) => Number(name) >= classes);
  if (beyond === undefined) return;
  throw new RangeError(`Cannot fit: classWeight has class ${beyond}, the model's classes are 0 to ${classes - 1}`);
}

/**
 * Finds the shape of a batch's weights, brought to `rows`: that of the feature, or of the classes where they have more axes.
 *
 * @throws {KdataError} `shape` when the batch has no such feature, or the feature does not fit the targets.
 */
export function weightShape(batch: Batch, target: TargetSpec, rows: number, weighting: Weighting): readonly number[] {
  const { sampleWeight, classWeight } = weighting;
  const places = classWeight === undefined ? [rows] : classShape(target);
  if (sampleWeight === undefined) return [rows, ...places.slice(1)];
  const given = withoutLastOnes(feedSpec(batch, sampleWeight).shape).slice(1);
  const [longer, shorter] = given.length >= places.length - 1 ? [given, places.slice(1)] : [places.slice(1), given];
  if (!sameShape(longer.slice(0, shorter.length), shorter)) {
    throw new KdataError(
      "shape",
      `Cannot feed '${sampleWeight}': weights [${given.join(", ")}] of a sample do not fit targets [${places.slice(1).join(", ")}]`,
    );
  }
  return [rows, ...longer];
}

/**
 * Makes the weights to feed, of a shape that {@link weightShape} gave.
 *
 * `targets` are those that are fed, filled up to as many rows.
 *
 * @throws {KdataError} `shape` when a weight is negative or not finite; the message names the sample.
 */
export function weightTensor(
  batch: Batch,
  targets: HostTensor & TargetSpec,
  shape: readonly number[],
  { sampleWeight, classWeight }: Weighting,
): HostTensor {
  const data = new Float32Array(elementCount(shape));
  const perRow = elementCount(shape.slice(1));
  data.fill(1, 0, (batch.size - batch.padded) * perRow);
  if (sampleWeight !== undefined) multiply(data, sampleWeights(batch, sampleWeight, shape[0] ?? 1));
  if (classWeight !== undefined) {
    multiply(
      data,
      classesOf(targets).map((number) => classWeight[number] ?? 1),
    );
  }
  return { dtype: "float32", shape, data };
}

function sampleWeights(batch: Batch, feature: string, rows: number): Float32Array {
  const { shape, dtype } = feedSpec(batch, feature);
  const { data } = feedTensor(batch, feature, { shape: [rows, ...shape.slice(1)], dtype });
  const weights = Float32Array.from(data);
  const bad = weights.findIndex((weight) => !(weight >= 0 && weight < Infinity));
  if (bad < 0) return weights;
  const row = Math.floor((bad * rows) / weights.length);
  throw new KdataError(
    "shape",
    `Cannot feed '${feature}': ${weights[bad]} is no weight (sample ${batch.keys[row] ?? "unknown"})`,
  );
}

/** Multiplies by factors of which each stands for as many elements as there are more of. */
function multiply(data: Float32Array, factors: Float32Array): void {
  const each = data.length / factors.length;
  for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) * (factors[Math.floor(i / each)] ?? 0);
}

function hasClassAxis({ shape, isSparse }: TargetSpec): boolean {
  return !isSparse && shape.length > 1 && (shape.at(-1) ?? 1) > 1;
}

function classShape(target: TargetSpec): readonly number[] {
  return withoutLastOnes(hasClassAxis(target) ? target.shape.slice(0, -1) : target.shape);
}

function classesOf(targets: HostTensor & TargetSpec): Float32Array {
  if (!hasClassAxis(targets)) return Float32Array.from(targets.data, Math.round);
  const classes = targets.shape.at(-1) ?? 1;
  return Float32Array.from({ length: targets.data.length / classes }, (_, place) => {
    const scores = targets.data.subarray(place * classes, (place + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
}

function withoutLastOnes(shape: readonly number[]): readonly number[] {
  const last = shape.findLastIndex((size, axis) => axis === 0 || size !== 1);
  return shape.slice(0, last + 1);
}
