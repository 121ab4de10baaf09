// Brings sequences to one length, so that samples of different lengths fit into one batch.

import { KdataError } from "../core/errors.ts";
import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import type { Sample } from "../core/sample.ts";
import { copyElements, elementCount, zeros, type DType, type Tensor, type TensorData } from "../core/tensor.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { elementOf, fill } from "./fill-value.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** The end of an axis. */
export type Side = "left" | "right";

/** How {@link pad} brings a feature to its length. One of `length` and `multipleOf` is needed. */
export interface PadSettings {
  /** The size of the axis afterwards. */
  readonly length?: number;
  /** The size becomes the next multiple of it instead. */
  readonly multipleOf?: number;
  /** What is filled in; it must be a number that the dtype holds. Default 0. */
  readonly value?: number;
  /** Where it is filled in. Default `right`. */
  readonly side?: Side;
  /** Which axis, of one sample, without the batch axis. Default 0. */
  readonly axis?: number;
  /** What is longer than `length` loses what is over at this end. Left out, it is an error. */
  readonly truncate?: Side;
  /** The name of a feature to add: int32 [length], 1 where there is data and 0 where it was filled in. */
  readonly mask?: string;
}

/** The description that {@link pad} returns. */
export interface PadDescription extends PadSettings {
  readonly transform: "pad";
  readonly feature: string;
  readonly value: number;
  readonly side: Side;
  readonly axis: number;
}

/** What an axis is brought to. */
export interface Padding {
  readonly axis: number;
  readonly length: number;
  readonly value: number;
  readonly side: Side;
  readonly truncate?: Side | undefined;
}

const MAX_LENGTH = 2 ** 30; // more elements fill no memory of a batch
const sides = ["left", "right"] as const;

/**
 * Fills up one axis of a tensor to a given length, or to a multiple of one. The dtype and the other axes stay.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no tensor with that axis, is longer than `length` where `truncate` is left
 *   out, or has a dtype that does not hold `value`.
 *
 * @example
 * const ids = tensor("int32", [2], Int32Array.of(5, 6));
 * const made = applyTransform(pad("ids", { length: 4, value: -1, mask: "mask" }), { ids });
 * assert.deepEqual([[...made.ids.data], [...made.mask.data]], [[5, 6, -1, -1], [1, 1, 0, 0]]);
 */
export function pad(feature: string, settings: PadSettings): PadDescription {
  const action = `Cannot pad '${feature}'`;
  checkOptionNames(action, settings, ["length", "multipleOf", "value", "side", "axis", "truncate", "mask"]);
  const { length, multipleOf, value = 0, side = "right", axis = 0, truncate, mask } = settings;
  if ((length === undefined) === (multipleOf === undefined)) {
    throw new RangeError(`${action}: give either length or multipleOf`);
  }
  if (length !== undefined) checkWhole(action, "length", length, 1, MAX_LENGTH);
  if (multipleOf !== undefined) checkWhole(action, "multipleOf", multipleOf, 1, MAX_LENGTH);
  checkWhole(action, "axis", axis, 0);
  checkName(action, "side", side, sides);
  if (truncate !== undefined) checkName(action, "side to truncate", truncate, sides);
  if (mask === feature) throw new RangeError(`${action}: its mask cannot have its name`);
  return { ...settings, transform: "pad", feature, value, side, axis };
}

/** Builds the transform that {@link pad} describes. */
export function buildPad(description: PadDescription): Transform {
  const { feature, length, multipleOf = 1, mask, axis } = description;
  let elements: ((length: number) => TensorData) | undefined;
  let dtype: DType | undefined;
  const maskElements = reusedElements("int32");
  return (sample) => {
    const source = requireTensor(sample, feature, "pad");
    if (source.dtype !== dtype) elements = reusedElements((dtype = source.dtype));
    const size = axisSize(source, axis, feature, sample);
    const target = length ?? Math.ceil(size / multipleOf) * multipleOf;
    const padding = { ...description, length: target };
    const padded = padTensor(source, padding, sample, feature, elements);
    const result = padded === source ? sample : replaceFeature(sample, feature, padded);
    if (mask === undefined) return result;
    return replaceFeature(result, mask, maskOf(Math.min(size, target), padding, maskElements(target)));
  };
}

/**
 * Brings one axis of a tensor to a length. The tensor itself, where it has that length.
 *
 * @throws {KdataError} `shape` as {@link pad} says.
 */
export function padTensor(
  source: Tensor,
  { axis, length, value, side, truncate }: Padding,
  sample: Sample,
  feature: string,
  allocate: (length: number) => TensorData = (count) => zeros(source.dtype, [count]).data,
): Tensor {
  const size = axisSize(source, axis, feature, sample);
  if (size === length) return source;
  if (size > length && truncate === undefined) {
    throw padFault(feature, sample, `${size} along axis ${axis} is longer than ${length}`, {
      hint: 'truncate: "right" cuts off what is over',
    });
  }
  const { dtype, shape, data } = source;
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const target = allocate(outer * length * inner);
  const kept = Math.min(size, length) * inner;
  const from = size > length && truncate === "left" ? (size - length) * inner : 0;
  const to = side === "left" ? length * inner - kept : 0;
  if (size < length) fill(target, fillElement(dtype, value, feature, sample));
  for (let row = 0; row < outer; row++) {
    const start = row * size * inner + from;
    copyElements(target, data.subarray(start, start + kept), row * length * inner + to);
  }
  return { dtype, shape: shape.with(axis, length), data: target };
}

/** Makes the mask of an axis that was brought to a length: 1 for what is data. */
export function maskOf(size: number, { length, side }: Padding, data: Int32Array): Tensor<"int32"> {
  data.fill(0);
  if (side === "left") data.fill(1, length - size);
  else data.fill(1, 0, size);
  return { dtype: "int32", shape: [length], data };
}

/** Gives the size of an axis. @throws {KdataError} `shape` when there is no such axis. */
export function axisSize({ shape }: Tensor, axis: number, feature: string, sample: Sample): number {
  const size = shape[axis];
  if (size === undefined) throw padFault(feature, sample, `[${shape.join(", ")}] has no axis ${axis}`);
  return size;
}

function fillElement(dtype: DType, value: number, feature: string, sample: Sample): number | bigint {
  try {
    return elementOf(dtype, value);
  } catch (error) {
    if (error instanceof KdataError) throw padFault(feature, sample, error.reason);
    throw error;
  }
}

function padFault(
  feature: string,
  sample: Sample,
  reason: string,
  details: { readonly hint?: string } = {},
): KdataError {
  return new KdataError("shape", `Cannot pad '${feature}': ${reason}`, { at: sample.origin, ...details });
}
