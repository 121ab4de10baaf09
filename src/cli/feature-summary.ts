// What the features of many samples have in common: kinds, shapes, sizes, ranges. The rows of `kdata inspect`.

import { isBytesList, type Feature, type FeatureKind, type Sample } from "../core/sample.ts";
import type { DType, Tensor } from "../core/tensor.ts";
import { emptyBounds, rangeOf, widen, widenShape, type Bounds, type Range, type ShapeBounds } from "./bounds.ts";
import { elementJson, featureExample, formatShape, mediaName } from "./describe.ts";
import { sniffMedia } from "./media.ts";
import { formatBytesRange, formatCount } from "./numbers.ts";

/** What one feature was in the samples that were looked at. */
export interface FeatureReport {
  readonly name: string;
  /** Samples that have it. */
  readonly seen: number;
  readonly kinds: readonly FeatureKind[];
  /** Of tensors. */
  readonly dtypes: readonly DType[];
  /** Of tensors, axis by axis; absent when they differ in rank. */
  readonly shape?: readonly Range[];
  /** Values of bytes (always one) and lists. */
  readonly count?: Range;
  /** Bytes of a value: of bytes, of the items of lists, of strings in UTF-8. */
  readonly bytes?: Range;
  /** Media types of encoded bytes, by their content. */
  readonly media: readonly string[];
  /** Smallest and largest finite element of tensors; integers beyond 2^53 are rounded. */
  readonly values?: Range;
  /** The first one in a few words: `32×32 rgb`, `7`. */
  readonly example: string;
}

/** Collects features, sample by sample. */
export interface FeatureSummary {
  /** Takes note of a sample. Its memory may be reused afterwards. */
  add(sample: Sample): void;
  /** The features in the order they were first seen. */
  reports(): FeatureReport[];
}

/** Starts a summary of no samples. */
export function summarizeFeatures(): FeatureSummary {
  const features = new Map<string, Seen>();
  return {
    add(sample) {
      for (const [name, feature] of Object.entries(sample.features)) {
        const seen = features.get(name);
        if (seen) note(seen, feature);
        else features.set(name, firstSeen(feature));
      }
    },
    reports: () => [...features].map(([name, seen]) => report(name, seen)),
  };
}

/**
 * Formats a feature as the row of a table: feature, kind, shape or length, dtype or range, share of the samples that were
 * looked at, example.
 */
export function featureRow(feature: FeatureReport, samples: number): string[] {
  const kinds = feature.kinds.map((kind) => (kind === "tensor" ? feature.dtypes.join("|") : kind)).join("|");
  const share = feature.seen === samples ? "100%" : `${Math.min(99, Math.round((feature.seen / samples) * 100))}%`;
  return [feature.name, kinds, sizeText(feature), contentText(feature), share, feature.example];
}

interface Seen {
  seen: number;
  readonly kinds: Set<FeatureKind>;
  readonly dtypes: Set<DType>;
  readonly media: Set<string>;
  shape: ShapeBounds;
  readonly count: Bounds;
  readonly bytes: Bounds;
  readonly values: Bounds;
  readonly example: string;
}

function firstSeen(feature: Feature): Seen {
  const seen: Seen = {
    seen: 0,
    kinds: new Set(),
    dtypes: new Set(),
    media: new Set(),
    shape: undefined,
    count: emptyBounds(),
    bytes: emptyBounds(),
    values: emptyBounds(),
    example: featureExample(feature),
  };
  note(seen, feature);
  return seen;
}

function note(seen: Seen, feature: Feature): void {
  seen.seen++;
  if (typeof feature === "string") {
    seen.kinds.add("string");
    widen(seen.bytes, Buffer.byteLength(feature));
  } else if (feature instanceof Uint8Array) {
    seen.kinds.add("bytes");
    noteBytes(seen, [feature]);
  } else if (isBytesList(feature)) {
    seen.kinds.add("list");
    noteBytes(seen, feature);
  } else if ("json" in feature) {
    seen.kinds.add("json");
  } else {
    seen.kinds.add("tensor");
    noteTensor(seen, feature);
  }
}

function noteBytes(seen: Seen, values: readonly Uint8Array[]): void {
  widen(seen.count, values.length);
  for (const value of values) {
    widen(seen.bytes, value.length);
    const media = sniffMedia(value);
    if (media) seen.media.add(media.type);
  }
}

function noteTensor(seen: Seen, tensor: Tensor): void {
  const { dtype, shape, data } = tensor;
  seen.dtypes.add(dtype);
  seen.shape = widenShape(seen.shape, shape);
  if (dtype === "bool") return;
  const isPacked = dtype === "float16" || dtype === "bfloat16";
  for (let i = 0; i < data.length; i++) {
    const value = Number(isPacked ? elementJson(tensor, i) : data[i]);
    if (Number.isFinite(value)) widen(seen.values, value);
  }
}

function report(name: string, seen: Seen): FeatureReport {
  const [count, bytes, values] = [rangeOf(seen.count), rangeOf(seen.bytes), rangeOf(seen.values)];
  return {
    name,
    seen: seen.seen,
    kinds: [...seen.kinds],
    dtypes: [...seen.dtypes],
    ...(Array.isArray(seen.shape) && { shape: seen.shape.map(({ min, max }) => ({ min, max })) }),
    ...(count && { count }),
    ...(bytes && { bytes }),
    media: [...seen.media].sort(),
    ...(values && { values }),
    example: seen.example,
  };
}

/** `1  (3.1–88 KiB)`, `28×28`, `12–40`. */
function sizeText({ kinds, shape, count, bytes }: FeatureReport): string {
  const parts: string[] = [];
  if (shape) parts.push(formatShape(shape.map(({ min, max }) => (min === max ? String(min) : `${min}–${max}`))));
  else if (kinds.includes("tensor")) parts.push("varies");
  if (count)
    parts.push(
      count.min === count.max ? formatCount(count.min) : `${formatCount(count.min)}–${formatCount(count.max)}`,
    );
  if (bytes) parts.push(`${count ? " " : "1  "}(${formatBytesRange(bytes.min, bytes.max)})`);
  return parts.join(" ");
}

/** `jpeg`, `0..9`, `-0.42..1.3`. */
function contentText({ media, values }: FeatureReport): string {
  const parts = media.map(mediaName);
  if (values)
    parts.push(
      values.min === values.max ? shortNumber(values.min) : `${shortNumber(values.min)}..${shortNumber(values.max)}`,
    );
  return parts.join("|");
}

function shortNumber(value: number): string {
  if (Math.abs(value) >= 1e9) return value.toExponential(2);
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(3)));
}
