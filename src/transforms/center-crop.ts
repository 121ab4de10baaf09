// Cuts the middle out of images, as torchvision does:
// https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.CenterCrop.html.

import { replaceFeature } from "./feature.ts";
import { imageFinder } from "./image-finder.ts";
import { toImageSize, type ImageSize } from "./image-size.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link centerCrop} returns. */
export interface CenterCropDescription {
  readonly transform: "centerCrop";
  readonly feature: string;
  readonly size: ImageSize;
}

/**
 * Cuts [height, width] (one number: both) out of the middle of an image, uint8 or float32 [height, width, channels] or
 * [height, width]. Where the image is smaller, zeros are put around it.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image.
 *
 * @example
 * const image = tensor("uint8", [3, 3, 1], Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
 * assert.deepEqual([...applyTransform(centerCrop("x", 1), { x: image }).x.data], [5]);
 */
export function centerCrop(feature: string, size: number | ImageSize): CenterCropDescription {
  return { transform: "centerCrop", feature, size: toImageSize(`Cannot crop '${feature}'`, size) };
}

/** Builds the transform that {@link centerCrop} describes. */
export function buildCenterCrop({ feature, size: [height, width] }: CenterCropDescription): Transform {
  const findImage = imageFinder(feature, "crop");
  return (sample) => {
    let image = findImage(sample);
    const [missingWidth, missingHeight] = [Math.max(0, width - image.width), Math.max(0, height - image.height)];
    if (missingWidth > 0 || missingHeight > 0) {
      const [x, y] = [Math.floor(missingWidth / 2), Math.floor(missingHeight / 2)];
      image = image.place(x, y, image.width + missingWidth, image.height + missingHeight);
    }
    const part = { x: middle(image.width - width), y: middle(image.height - height), width, height };
    return replaceFeature(sample, feature, image.crop(part));
  };
}

/** Python's round of the half: a tie goes to the even number. */
function middle(free: number): number {
  const half = Math.floor(free / 2);
  return free % 2 === 0 || half % 2 === 0 ? half : half + 1;
}
