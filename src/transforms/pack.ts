// Several sequences in one row, so that little of a batch is padding: Krell et al., "Efficient Sequence Packing without
// Cross-contamination", https://arxiv.org/abs/2107.02027.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { emptyFeatures, type Sample } from "../core/sample.ts";
import { copyElements, elementCount, zeros, type Tensor } from "../core/tensor.ts";
import { MAX_WINDOW, type SamplesTransform } from "./batch-transform.ts";
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
  /** Over how many batches, of all ranks together, sequences are packed. Default: each batch by itself. */
  readonly window?: number;
}

/** The description that {@link pack} returns. */
export interface PackDescription {
  readonly transform: "pack";
  readonly features: readonly string[];
  readonly length: number;
  readonly value: number;
  readonly segments: string;
  readonly positions: string;
  /** Left out where each batch is packed by itself. */
  readonly window?: number;
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
 * With `window` the sequences of so many batches are packed together, which leaves less to fill up, and their rows are dealt out to these
 * batches evenly: there are as many steps as without, and batches of a window have the same number of rows, give or take one. A batch has the
 * sequences of its rows, in the order of their first ones; no row reaches from one window into the next. Where there are fewer rows than batches,
 * some have none: they are left out, and with other ranks get one padded row. To know the lengths of a window its records are
 * read and transformed once more, shared by all workers. Order and resume are as exact as without.
 *
 * Works on batches: it comes after all transforms of samples, which must leave the features that are packed and no others.
 *
 * @throws {KdataError} `shape` when a sequence is longer than `length`, the features of a sample differ in n, or there are others.
 */
export function pack(features: string | readonly string[], settings: PackSettings): PackDescription {
  const names = typeof features === "string" ? [features] : [...features];
  const action = `Cannot pack '${names.join("', '")}'`;
  checkOptionNames(action, settings, ["length", "value", "segments", "positions", "window"]);
  const { length, value = 0, segments = "segments", positions = "positions", window } = settings;
  checkWhole(action, "length", length, 1, MAX_LENGTH);
  if (window !== undefined) checkWhole(action, "window", window, 1, MAX_WINDOW);
  if (names.length === 0) throw new RangeError("Cannot pack: no feature is given");
  const all = [...names, segments, positions];
  if (new Set(all).size < all.length) throw new RangeError(`${action}: a name comes twice in ${all.join(", ")}`);
  const described = { transform: "pack", features: names, length, value, segments, positions } as const;
  return window === undefined ? described : { ...described, window };
}

/** Builds the transform that {@link pack} describes. */
export function buildPack(description: PackDescription): SamplesTransform {
  return (samples, rowOf) => {
    const sizes = samples.map((sample) => sequenceLength(sample, description));
    const rows = rowOf ? groupByRow(rowOf) : packBestFit(sizes, description.length);
    return rows.map((row) => {
      const parts = row.map((item) => samples[item] as Sample);
      const lengths = row.map((item) => sizes[item] as number);
      if (rowOf) checkRow(parts, lengths, description);
      return packRow(parts, lengths, description);
    });
  };
}

/** Groups items by their rows, which ascend. */
function groupByRow(rowOf: readonly number[]): readonly (readonly number[])[] {
  const rows: number[][] = [];
  for (const [item, row] of rowOf.entries()) {
    if (item > 0 && rowOf[item - 1] === row) rows.at(-1)?.push(item);
    else rows.push([item]);
  }
  return rows;
}

/** Rows that were chosen beforehand hold what was measured then: a transform that gives another length each time is found out here. */
function checkRow(parts: readonly Sample[], lengths: readonly number[], { length }: PackDescription): void {
  const sum = lengths.reduce((all, one) => all + one, 0);
  if (sum <= length) return;
  throw packFault(
    parts[0] as Sample,
    `${sum} elements do not fit into a row of ${length}: a sequence has grown since its length was taken`,
  );
}

/**
 * Finds the length of the sequences of a sample.
 *
 * @throws {KdataError} `shape` when there is none, or it is longer than a row.
 */
export function sequenceLength(sample: Sample, { features, length }: PackDescription): number {
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
