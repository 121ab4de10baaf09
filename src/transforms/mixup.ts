// Batches whose samples are mixed: Zhang et al., "mixup: Beyond Empirical Risk Minimization", https://arxiv.org/abs/1710.09412.

import { requireFloats, type StackTransform } from "./batch-transform.ts";
import { drawShare, mixRows, resolveMix, type MixSettings } from "./mix-rows.ts";

/** The description that {@link mixup} returns. */
export interface MixupDescription {
  readonly transform: "mixup";
  readonly x: string;
  readonly y: string;
  readonly alpha: number;
  readonly probability: number;
}

/**
 * Mixes each row of a batch with the one before it, the first with the last: λ of its own and 1 - λ of the other, with one
 * λ ~ Beta(alpha, alpha) for the batch, as torchvision's `MixUp`. Features and labels are mixed alike: `x` is float32 [batch, ...], `y`
 * float32 [batch, classes] (see `oneHot`); dtype and shape stay.
 *
 * Works on batches: it comes after all transforms of samples. λ is keyed by (seed, epoch, position of the batch).
 *
 * @throws {KdataError} `shape` when a feature is missing or not float32.
 */
export function mixup(x: string, y: string, settings: MixSettings = {}): MixupDescription {
  return { transform: "mixup", x, y, ...resolveMix(`Cannot mix '${x}'`, settings) };
}

/** Builds the transform that {@link mixup} describes. */
export function buildMixup({ x, y, alpha, probability }: MixupDescription): StackTransform {
  return (features, random) => {
    const [samples, labels] = [requireFloats(features, x, "mix"), requireFloats(features, y, "mix")];
    const stream = random();
    if (stream.uniform() >= probability) return;
    const share = drawShare(stream, alpha);
    mixRows(samples, share);
    mixRows(labels, share);
  };
}
