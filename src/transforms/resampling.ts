// Which pixels of an axis make one pixel of its resized form, and with which weights: as Pillow resamples
// (https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters).

/** How the pixels of a resized image are computed. */
export const interpolations = ["bilinear", "nearest", "bicubic", "area"] as const;

/** One of {@link interpolations}. */
export type Interpolation = (typeof interpolations)[number];

/** How an image is resized. */
export interface Sampling {
  readonly interpolation: Interpolation;
  /** Where it shrinks, every pixel counts. Without it only those beside the place that is sampled do, and fine patterns alias. */
  readonly antialias: boolean;
}

/** For each place of the resized axis the first tap and the weights of its taps, which add up to 1. */
export interface Taps {
  /** Taps of each place: an even number. */
  readonly count: number;
  readonly starts: Int32Array;
  /** `count` for each place. */
  readonly weights: Float64Array;
}

interface Filter {
  /** Half its width, in pixels of an axis that does not shrink. */
  readonly support: number;
  readonly weigh: (distance: number) => number;
}

const CUBIC_A = -0.5; // Pillow's

const filters: Readonly<Record<Exclude<Interpolation, "nearest">, Filter>> = {
  bilinear: { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weigh: cubic },
  area: { support: 0.5, weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
};

/** Computes the taps of an axis of `length` pixels that becomes one of `outLength`. The starts do not decrease. */
export function computeTaps(length: number, outLength: number, { interpolation, antialias }: Sampling): Taps {
  const scale = length / outLength;
  if (interpolation === "nearest") return nearestTaps(length, outLength, scale);
  const filter = filters[interpolation];
  const stretch = antialias ? Math.max(scale, 1) : 1;
  const support = filter.support * stretch;
  const starts = new Int32Array(outLength);
  const ends = new Int32Array(outLength);
  let most = 0;
  for (let place = 0; place < outLength; place++) {
    const centre = (place + 0.5) * scale;
    const from = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    starts[place] = from;
    ends[place] = end;
    if (end - from > most) most = end - from;
  }
  const count = most + (most % 2);
  const weights = new Float64Array(outLength * count);
  for (let place = 0; place < outLength; place++) {
    const centre = (place + 0.5) * scale;
    const from = starts[place] as number;
    const taps = (ends[place] as number) - from;
    const start = Math.max(0, Math.min(from, length - count)); // so that the taps of weight 0 are pixels, too
    const first = place * count + from - start;
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const weight = filter.weigh((from + tap - centre + 0.5) / stretch);
      weights[first + tap] = weight;
      sum += weight;
    }
    for (let i = first; i < first + taps; i++) weights[i] = (weights[i] as number) / sum;
    starts[place] = start;
  }
  return { count, starts, weights };
}

function nearestTaps(length: number, outLength: number, scale: number): Taps {
  const starts = new Int32Array(outLength);
  const weights = new Float64Array(outLength * 2);
  for (let place = 0; place < outLength; place++) {
    const at = Math.min(length - 1, Math.floor((place + 0.5) * scale));
    const start = Math.max(0, Math.min(at, length - 2));
    starts[place] = start;
    weights[place * 2 + at - start] = 1;
  }
  return { count: 2, starts, weights };
}

/** The kernel of Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981). */
function cubic(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * CUBIC_A : 0;
}
