// Sequences of different lengths in one batch, each filled up to the longest of it.

import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import type { Sample } from "../core/sample.ts";
import type { SamplesTransform } from "./batch-transform.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { axisSize, maskOf, padTensor, type Side } from "./pad.ts";

/** How {@link padBatch} fills up. */
export interface PadBatchSettings {
  /** What is filled in; it must be a number that the dtype holds. Default 0. */
  readonly value?: number;
  /** The length becomes a multiple of it, so that there are fewer different shapes. Default 1. */
  readonly multipleOf?: number;
  /** Where it is filled in. Default `right`. */
  readonly side?: Side;
  /** Which axis, of one sample, without the batch axis. Default 0. */
  readonly axis?: number;
  /** The name of a feature to add: the lengths before, int32 [batch]. */
  readonly lengths?: string;
  /** The name of a feature to add: int32 [batch, length], 1 where there is data and 0 where it was filled in. */
  readonly mask?: string;
}

/** The description that {@link padBatch} returns. */
export interface PadBatchDescription {
  readonly transform: "padBatch";
  readonly feature: string;
  readonly value: number;
  readonly multipleOf: number;
  readonly side: Side;
  readonly axis: number;
  readonly lengths?: string;
  readonly mask?: string;
}

/**
 * Fills up one axis of a feature to the longest of its batch: tensors [length, ...s] of one dtype become [batch, longest, ...s]. The
 * samples of a batch may then differ in that axis, which is an error otherwise.
 *
 * Works on batches: it comes after all transforms of samples, and before `mixup` and `cutmix`.
 *
 * @throws {KdataError} `shape` when the feature of a sample is no tensor with that axis, or its dtype does not hold `value`.
 */
export function padBatch(feature: string, settings: PadBatchSettings = {}): PadBatchDescription {
  const action = `Cannot pad '${feature}'`;
  checkOptionNames(action, settings, ["value", "multipleOf", "side", "axis", "lengths", "mask"]);
  const { value = 0, multipleOf = 1, side = "right", axis = 0, lengths, mask } = settings;
  checkWhole(action, "multipleOf", multipleOf, 1);
  checkWhole(action, "axis", axis, 0);
  checkName(action, "side", side, ["left", "right"]);
  const names = [feature, lengths, mask].filter((name) => name !== undefined);
  if (new Set(names).size < names.length) throw new RangeError(`${action}: a name comes twice in ${names.join(", ")}`);
  return { ...settings, transform: "padBatch", feature, value, multipleOf, side, axis };
}

/** Builds the transform that {@link padBatch} describes. */
export function buildPadBatch(description: PadBatchDescription): SamplesTransform {
  const { feature, multipleOf, axis } = description;
  return (samples) => {
    const sizes = samples.map((sample) => axisSize(requireTensor(sample, feature, "pad"), axis, feature, sample));
    const longest = sizes.reduce((most, size) => Math.max(most, size), 0);
    const length = Math.ceil(longest / multipleOf) * multipleOf;
    return samples.map((sample, row) => padSample(sample, sizes[row] as number, length, description));
  };
}

function padSample(sample: Sample, size: number, length: number, description: PadBatchDescription): Sample {
  const { feature, lengths, mask } = description;
  const padding = { ...description, length };
  const padded = padTensor(requireTensor(sample, feature, "pad"), padding, sample, feature);
  let result = replaceFeature(sample, feature, padded);
  if (lengths !== undefined) {
    result = replaceFeature(result, lengths, { dtype: "int32", shape: [], data: Int32Array.of(size) });
  }
  return mask === undefined ? result : replaceFeature(result, mask, maskOf(size, padding, new Int32Array(length)));
}
