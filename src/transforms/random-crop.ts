// Cuts a random part out of images, as torchvision does:
// https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomCrop.html.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import { replaceFeature } from "./feature.ts";
import { imageFinder } from "./image-finder.ts";
import { toImageSize, type ImageSize } from "./image-size.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link randomCrop} returns. */
export interface RandomCropDescription {
  readonly transform: "randomCrop";
  readonly feature: string;
  readonly size: ImageSize;
  readonly padding: number;
}

const MAX_PADDING = 1 << 12; // more is a mistake

/**
 * Cuts [height, width] (one number: both) out of an image, uint8 or float32 [height, width, channels] or [height, width], at a place
 * drawn for each sample, after putting `padding` rows and columns of zeros on each side (default 0).
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image or, padding included, smaller than that.
 *
 * @example
 * const image = tensor("uint8", [2, 2, 1], Uint8Array.of(1, 2, 3, 4));
 * const crop = applyTransform(randomCrop("x", 1), { x: image });
 * assert.deepEqual(crop.x.shape, [1, 1, 1]);
 */
export function randomCrop(
  feature: string,
  size: number | ImageSize,
  settings: { readonly padding?: number } = {},
): RandomCropDescription {
  const action = `Cannot crop '${feature}'`;
  checkOptionNames(action, settings, ["padding"]);
  const { padding = 0 } = settings;
  checkWhole(action, "padding", padding, 0, MAX_PADDING);
  return { transform: "randomCrop", feature, size: toImageSize(action, size), padding };
}

/** Builds the transform that {@link randomCrop} describes. */
export function buildRandomCrop({ feature, size: [height, width], padding }: RandomCropDescription): Transform {
  const findImage = imageFinder(feature, "crop");
  return (sample, random) => {
    let image = findImage(sample);
    if (padding > 0) image = image.place(padding, padding, image.width + 2 * padding, image.height + 2 * padding);
    if (image.width < width || image.height < height) {
      const reason = `${image.height} × ${image.width} pixels, padding included, are less than ${height} × ${width}`;
      throw new KdataError("shape", `Cannot crop '${feature}': ${reason}`, { at: sample.origin });
    }
    const stream = random();
    const y = stream.below(image.height - height + 1);
    const x = stream.below(image.width - width + 1);
    return replaceFeature(sample, feature, image.crop({ x, y, width, height }));
  };
}
