// Batches of images with a box of another one in each: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
// Localizable Features", https://arxiv.org/abs/1905.04899.

import { KdataError } from "../core/errors.ts";
import { checkName } from "../core/options.ts";
import type { RandomStream } from "../core/random.ts";
import type { Tensor } from "../core/tensor.ts";
import { requireFloats, type StackTransform } from "./batch-transform.ts";
import type { ImageLayout } from "./layout.ts";
import { drawShare, mixRows, resolveMix, type MixSettings } from "./mix-rows.ts";

/** How {@link cutmix} mixes. */
export interface CutmixSettings extends MixSettings {
  /** Where the channels of the images are. Default `NCHW`. */
  readonly layout?: ImageLayout;
}

/** The description that {@link cutmix} returns. */
export interface CutmixDescription {
  readonly transform: "cutmix";
  readonly x: string;
  readonly y: string;
  readonly alpha: number;
  readonly probability: number;
  readonly layout: ImageLayout;
}

/** A box of pixels, ends excluded. */
interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/**
 * Puts a box of the row before, of the last row for the first, into each image of a batch. As torchvision's `CutMix`: λ ~ Beta(alpha,
 * alpha), the box has the share 1 - λ of the image, its middle is drawn uniformly and what lies outside is cut; the labels are mixed by
 * the share that the box then has. One box for the batch. `x` is float32 [batch, channels, height, width], or with `layout: "NHWC"`
 * [batch, height, width, channels]; `y` is float32 [batch, classes] (see `oneHot`); dtype and shape stay.
 *
 * Works on batches: it comes after all transforms of samples. What is drawn is keyed by (seed, epoch, position of the batch).
 *
 * @throws {KdataError} `shape` when a feature is missing or not float32, or `x` has not four axes.
 */
export function cutmix(x: string, y: string, settings: CutmixSettings = {}): CutmixDescription {
  const action = `Cannot mix '${x}'`;
  const { layout = "NCHW" } = settings;
  checkName(action, "layout", layout, ["NCHW", "NHWC"]);
  return { transform: "cutmix", x, y, ...resolveMix(action, settings, ["layout"]), layout };
}

/** Builds the transform that {@link cutmix} describes. */
export function buildCutmix({ x, y, alpha, probability, layout }: CutmixDescription): StackTransform {
  return (features, random) => {
    const [images, labels] = [requireFloats(features, x, "mix"), requireFloats(features, y, "mix")];
    if (images.shape.length !== 4) {
      throw new KdataError("shape", `Cannot mix '${x}': [${images.shape.join(", ")}] are no images in ${layout}`);
    }
    const stream = random();
    if (stream.uniform() >= probability) return;
    const [, a = 0, b = 0, c = 0] = images.shape;
    const [height, width] = layout === "NCHW" ? [b, c] : [a, b];
    const box = drawBox(stream, drawShare(stream, alpha), width, height);
    const area = (box.right - box.left) * (box.bottom - box.top);
    pasteRows(images, box, layout);
    mixRows(labels, 1 - area / (width * height));
  };
}

function drawBox(stream: RandomStream, share: number, width: number, height: number): Box {
  const x = stream.below(Math.max(1, width));
  const y = stream.below(Math.max(1, height));
  const half = 0.5 * Math.sqrt(1 - share);
  const [halfWidth, halfHeight] = [Math.floor(half * width), Math.floor(half * height)];
  return {
    left: Math.max(0, x - halfWidth),
    top: Math.max(0, y - halfHeight),
    right: Math.min(width, x + halfWidth),
    bottom: Math.min(height, y + halfHeight),
  };
}

/** Copies the box of each image into the next one, from the last to the first. */
function pasteRows({ data, shape }: Tensor<"float32">, { left, top, right, bottom }: Box, layout: ImageLayout): void {
  const [rows = 0, a = 0, b = 0, c = 0] = shape;
  const length = a * b * c;
  const last = data.slice((rows - 1) * length, rows * length);
  // Runs of a row of the box lie together: one a channel, or one for all of them.
  const [planes, height, pitch, pixel] = layout === "NCHW" ? [a, b, c, 1] : [1, a, b * c, c];
  for (let row = rows - 1; row >= 0; row--) {
    const source = row > 0 ? data.subarray((row - 1) * length, row * length) : last;
    for (let plane = 0; plane < planes; plane++) {
      for (let y = top; y < bottom; y++) {
        const at = (plane * height + y) * pitch;
        data.set(source.subarray(at + left * pixel, at + right * pixel), row * length + at + left * pixel);
      }
    }
  }
}
