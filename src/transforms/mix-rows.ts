// What mixup and cutmix share: how much of which row, and the labels. Rows are paired with the one before, the first with the last, as
// torchvision.transforms.v2.MixUp and CutMix pair them.

import { checkOptionNames } from "../core/options.ts";
import type { RandomStream } from "../core/random.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";

/** How batches are mixed. */
export interface MixSettings {
  /** Both parameters of the Beta distribution that the share of a row is drawn from. Default 1: uniform. */
  readonly alpha?: number;
  /** How likely a batch is mixed at all. Default 1. */
  readonly probability?: number;
}

/** Fills in the defaults. @throws {RangeError} when a number is out of its range. */
export function resolveMix(
  action: string,
  settings: MixSettings,
  names: readonly string[] = [],
): { alpha: number; probability: number } {
  checkOptionNames(action, settings, ["alpha", "probability", ...names]);
  const { alpha = 1, probability = 1 } = settings;
  if (!(alpha > 0 && alpha < Infinity)) throw new RangeError(`${action}: alpha must be over 0, not ${alpha}`);
  if (!(probability >= 0 && probability <= 1)) {
    throw new RangeError(`${action}: probability must be from 0 to 1, not ${probability}`);
  }
  return { alpha, probability };
}

/**
 * Mixes each row with the one before, in place: `share` of it and the rest of the other. Each product and each sum is rounded to
 * float32, as PyTorch rounds them.
 */
export function mixRows({ data, shape }: Tensor<"float32">, share: number): void {
  const [rows = 0] = shape;
  const length = elementCount(shape.slice(1));
  const rest = Math.fround(1 - share);
  const own = Math.fround(share);
  const last = data.slice((rows - 1) * length, rows * length);
  for (let at = rows * length - 1; at >= 0; at--) {
    const other = at >= length ? data[at - length] : last[at];
    data[at] = Math.fround((data[at] as number) * own) + Math.fround((other as number) * rest);
  }
}

/**
 * Draws from the Beta distribution with both parameters `alpha`: the ratio of two Gamma variables, computed by their logarithms, because
 * those of a small `alpha` are mostly too small for a double.
 */
export function drawShare(stream: RandomStream, alpha: number): number {
  const a = drawLogGamma(stream, alpha);
  const b = drawLogGamma(stream, alpha);
  return 1 / (1 + Math.exp(b - a));
}

/** Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (ACM TOMS 26, 2000), with their step for shapes below 1. */
function drawLogGamma(stream: RandomStream, shape: number): number {
  const boost = shape < 1 ? Math.log(1 - stream.uniform()) / shape : 0;
  const d = (shape < 1 ? shape + 1 : shape) - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = stream.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - stream.uniform()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) {
      return boost + Math.log(d * v);
    }
  }
}
