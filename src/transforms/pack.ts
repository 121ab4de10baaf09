// Several sequences in one row, so that little of a batch is padding: Krell et al., "Efficient Sequence Packing without
// Cross-contamination", https://arxiv.org/abs/2107.02027.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { emptyFeatures, type Sample } from "../core/sample.ts";
import { copyElements, elementCount, zeros, type Tensor } from "../core/tensor.ts";
import type { SamplesTransform } from "./batch-transform.ts";
import { packBestFit } from "./best-fit.ts";
import { requireTensor } from "./feature.ts";
import { padTensor } from "./pad.ts";

/** How {@link pack} packs. */
export interface PackSettings {
  /** Of each row. */
  readonly length: number;
  /** What the rest of a row is filled with; it must be a number that each dtype holds. Default 0. */
  readonly value?: number;
  /** The name of the feature that tells sequences apart. Default `segments`. */
  readonly segments?: string;
  /** The name of the feature that counts in each sequence. Default `positions`. */
  readonly positions?: string;
}

/** The description that {@link pack} returns. */
export interface PackDescription {
  readonly transform: "pack";
  readonly features: readonly string[];
  readonly length: number;
  readonly value: number;
  readonly segments: string;
  readonly positions: string;
}

const MAX_LENGTH = 2 ** 30; // more elements fill no memory of a batch

/**
 * Packs the sequences of a batch into fewer rows of a fixed length, by best fit: `batchSize` counts sequences, and the batch has as many
 * rows as they need. Features [n, ...s] become [rows, length, ...s], dtype as it is; those of one sample have one n and lie at the same
 * places. Added are int32 [rows, length] `segments` (1 for the first sequence of a row, 2 for the second, ..., 0 for what is filled up) and
 * `positions` (0 to n - 1 in each sequence, 0 for what is filled up): what attention needs to keep sequences apart. The key of a row is
 * that of its sequences, with commas between.
 *
 * A batch is packed by itself, so order, resume and ranks are as without; a larger `batchSize` packs better. Samples that only repeat others
 * to fill a batch (`remainder: "pad"`) are not packed.
 *
 * Works on batches: it comes after all transforms of samples, which must leave the features that are packed and no others.
 *
 * @throws {KdataError} `shape` when a sequence is longer than `length`, the features of a sample differ in n, or there are others.
 */
export function pack(features: string | readonly string[], settings: PackSettings): PackDescription {
  const names = typeof features === "string" ? [features] : [...features];
  const action = `Cannot pack '${names.join("', '")}'`;
  checkOptionNames(action, settings, ["length", "value", "segments", "positions"]);
  const { length, value = 0, segments = "segments", positions = "positions" } = settings;
  checkWhole(action, "length", length, 1, MAX_LENGTH);
  if (names.length === 0) throw new RangeError("Cannot pack: no feature is given");
  const all = [...names, segments, positions];
  if (new Set(all).size < all.length) throw new RangeError(`${action}: a name comes twice in ${all.join(", ")}`);
  return { transform: "pack", features: names, length, value, segments, positions };
}

/** Builds the transform that {@link pack} describes. */
export function buildPack(description: PackDescription): SamplesTransform {
  return (samples) => {
    const sizes = samples.map((sample) => lengthOf(sample, description));
    return packBestFit(sizes, description.length).map((row) => {
      const parts = row.map((item) => samples[item] as Sample);
      const lengths = row.map((item) => sizes[item] as number);
      return packRow(parts, lengths, description);
    });
  };
}

function lengthOf(sample: Sample, { features, length }: PackDescription): number {
  const others = Object.keys(sample.features).filter((name) => !features.includes(name));
  if (others.length > 0) {
    throw packFault(sample, `the sample also has ${others.join(", ")}, which cannot be told apart in a row`, {
      hint: `leave them out, with select(${JSON.stringify(features)})`,
    });
  }
  const sizes = features.map((name) => requireTensor(sample, name, "pack").shape[0]);
  const [size] = sizes;
  if (size === undefined || sizes.some((other) => other !== size)) {
    throw packFault(sample, `lengths ${sizes.join(", ")} of ${features.join(", ")} are not one length`);
  }
  if (size <= length) return size;
  throw packFault(sample, `${size} is longer than a row of ${length}`, {
    hint: "cut it first: tokenize and pad have an option for that",
  });
}

function packRow(parts: readonly Sample[], lengths: readonly number[], description: PackDescription): Sample {
  const { features: names, length, segments, positions } = description;
  const first = parts[0] as Sample;
  const features = emptyFeatures();
  for (const name of names) {
    const tensors = parts.map((sample) => requireTensor(sample, name, "pack"));
    const padding = { ...description, axis: 0, side: "right" } as const;
    features[name] = padTensor(joinSequences(tensors, parts, name), padding, first, name);
  }
  const [segment, position] = [zeros("int32", [length]), zeros("int32", [length])];
  let at = 0;
  for (const [number, size] of lengths.entries()) {
    segment.data.fill(number + 1, at, at + size);
    for (let i = 0; i < size; i++) position.data[at + i] = i;
    at += size;
  }
  features[segments] = segment;
  features[positions] = position;
  return { key: parts.map(({ key }) => key).join(","), origin: first.origin, features };
}

function joinSequences(tensors: readonly Tensor[], samples: readonly Sample[], name: string): Tensor {
  const { dtype, shape } = tensors[0] as Tensor;
  const inner = shape.slice(1);
  for (const [place, other] of tensors.entries()) {
    if (other.dtype === dtype && String(other.shape.slice(1)) === String(inner)) continue;
    const reason = `'${name}' is ${other.dtype} [${other.shape.join(", ")}], in sample ${samples[0]?.key} ${dtype} [${shape.join(", ")}]`;
    throw packFault(samples[place] as Sample, reason);
  }
  const size = tensors.reduce((sum, tensor) => sum + (tensor.shape[0] as number), 0);
  const joined = zeros(dtype, [size, ...inner]);
  let at = 0;
  for (const { data, shape: own } of tensors) {
    copyElements(joined.data, data, at);
    at += elementCount(own);
  }
  return joined;
}

function packFault(sample: Sample, reason: string, details: { readonly hint?: string } = {}): KdataError {
  return new KdataError("shape", `Cannot pack: ${reason}`, { at: sample.origin, ...details });
}
