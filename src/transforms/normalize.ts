// Scales and centres a tensor into float32: pixels to the range a model was made for.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";
import { PixelMemory } from "../kernels/pixels.ts";
import { ByteImage } from "./byte-image.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { decodeHalf, isHalfDType } from "../core/half-float.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** What {@link normalize} computes with: each one number, or a list with one for each place on the last axis. */
export interface NormalizeSettings {
  /** Default 1. */
  readonly scale?: number | readonly number[];
  /** Default 0. */
  readonly mean?: number | readonly number[];
  /** Default 1. */
  readonly std?: number | readonly number[];
}

/** The description that {@link normalize} returns: lists of one number, or of one for each place on the last axis. */
export interface NormalizeDescription {
  readonly transform: "normalize";
  readonly feature: string;
  readonly scale: readonly number[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The lists brought to one length. */
interface Coefficients {
  readonly channels: number;
  readonly scale: readonly number[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const MAX_CHANNELS = 4; // of an image in a kernel
const LEAST_BYTES = 1 << 8; // fewer are not worth the way into a kernel
const MOST_BYTES = 1 << 27; // with the floats they become they must fit its memory

/**
 * Makes a feature float32: `(value * scale - mean) / std`, computed in double precision and rounded once.
 *
 * Takes every dtype; the shape stays. Lists apply along the last axis: the channels of an image [height, width, channels].
 *
 * @throws {KdataError} `shape`, for each sample whose last axis is not as long as a list, or whose feature is no tensor.
 */
export function normalize(feature: string, settings: NormalizeSettings): NormalizeDescription {
  const scale = toList(settings.scale ?? 1);
  const mean = toList(settings.mean ?? 0);
  const std = toList(settings.std ?? 1);
  const lengths = new Set([scale, mean, std].map((list) => list.length).filter((length) => length !== 1));
  if (lengths.size > 1 || lengths.has(0)) {
    throw new RangeError(
      `Cannot normalize '${feature}': the lists of scale, mean and std differ in length or are empty`,
    );
  }
  if (![...scale, ...mean, ...std].every(Number.isFinite) || std.includes(0)) {
    throw new RangeError(`Cannot normalize '${feature}': scale, mean and std must be finite, and std not 0`);
  }
  return { transform: "normalize", feature, scale, mean, std };
}

/** Builds the transform that {@link normalize} describes. */
export function buildNormalize(description: NormalizeDescription): Transform {
  const { feature } = description;
  const coefficients = toCoefficients(description);
  const elements = reusedElements("float32");
  const normalizeBytes = byteNormalizer(coefficients);
  return (sample) => {
    const source = requireTensor(sample, feature, "normalize");
    checkLastAxis(source, coefficients, sample, feature);
    const fast = source.dtype === "uint8" ? normalizeBytes(source as Tensor<"uint8">) : undefined;
    if (fast) return replaceFeature(sample, feature, fast);
    const data = elements(source.data.length);
    compute(numbersOf(source), coefficients, data);
    return replaceFeature(sample, feature, { dtype: "float32", shape: source.shape, data });
  };
}

function toList(value: number | readonly number[]): readonly number[] {
  return typeof value === "number" ? [value] : [...value];
}

function toCoefficients({ scale, mean, std }: NormalizeDescription): Coefficients {
  const channels = Math.max(scale.length, mean.length, std.length);
  const [full, fullMean, fullStd] = [scale, mean, std].map((list) =>
    Array.from({ length: channels }, (_, channel) => list[channel] ?? list[0] ?? NaN),
  );
  return { channels, scale: full ?? [], mean: fullMean ?? [], std: fullStd ?? [] };
}

function checkLastAxis(source: Tensor, { channels }: Coefficients, sample: Sample, feature: string): void {
  if (channels === 1 || source.shape.at(-1) === channels) return;
  throw new KdataError(
    "shape",
    `Cannot normalize '${feature}': the last axis of [${source.shape.join(", ")}] is not as long as the lists of ${channels}`,
    { at: sample.origin },
  );
}

/**
 * Makes a function that normalizes bytes in a kernel: by tables of what each of the 256 bytes becomes, so that the result is bit for bit
 * that of {@link compute}. `undefined`: not these.
 */
function byteNormalizer(coefficients: Coefficients): (source: Tensor<"uint8">) => Tensor | undefined {
  const memory = new PixelMemory();
  const tables = new Map<number, Float32Array>();
  function tablesFor(channels: number): Float32Array {
    let table = tables.get(channels);
    if (!table) tables.set(channels, (table = computeTables(coefficients, channels)));
    return table;
  }
  return (source) => {
    if (source instanceof ByteImage && source.isWorkable) {
      const isPerChannel = coefficients.channels === 1 || source.shape.length === 3;
      return isPerChannel ? source.normalize(tablesFor(source.channels)) : undefined;
    }
    const { channels } = coefficients;
    const { shape, data } = source;
    if (channels > MAX_CHANNELS || data.length < LEAST_BYTES || data.length > MOST_BYTES) return undefined;
    const flat = ByteImage.of({ dtype: "uint8", shape: [1, data.length / channels, channels], data }, memory);
    return { dtype: "float32", shape, data: flat.normalize(tablesFor(channels)).data };
  };
}

function computeTables(coefficients: Coefficients, channels: number): Float32Array {
  const table = new Float32Array(channels * 256);
  const bytes = Float64Array.from({ length: 256 }, (_, byte) => byte);
  for (let channel = 0; channel < channels; channel++) {
    const [scale, mean, std] = [coefficients.scale, coefficients.mean, coefficients.std].map((list) => [
      list[coefficients.channels === 1 ? 0 : channel] ?? NaN,
    ]);
    const one = { channels: 1, scale: scale ?? [], mean: mean ?? [], std: std ?? [] };
    compute(bytes, one, table.subarray(channel * 256, channel * 256 + 256));
  }
  return table;
}

/** In JavaScript what costs is the loop, not the arithmetic: tables would gain nothing. */
function compute(values: ArrayLike<number>, coefficients: Coefficients, target: Float32Array): void {
  const { channels } = coefficients;
  for (let channel = 0; channel < channels; channel++) {
    const scale = coefficients.scale[channel] as number;
    const mean = coefficients.mean[channel] as number;
    const std = coefficients.std[channel] as number;
    for (let i = channel; i < target.length; i += channels) target[i] = ((values[i] as number) * scale - mean) / std;
  }
}

/** The elements as numbers: the data itself where it holds numbers. 64-bit integers beyond 2^53 are rounded. */
function numbersOf(source: Tensor): ArrayLike<number> {
  const { dtype, data } = source;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  return isHalfDType(dtype) ? Float32Array.from(data, (bits) => decodeHalf(dtype, bits)) : data;
}
