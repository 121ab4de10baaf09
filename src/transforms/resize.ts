// Resizes images, as Pillow and torchvision do: https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.Resize.html.

import { checkOptionNames } from "../core/options.ts";
import { replaceFeature } from "./feature.ts";
import { imageFinder } from "./image-finder.ts";
import { resizeSettingNames, toImageSize, toSampling, type ImageSize, type ResizeSettings } from "./image-size.ts";
import type { Sampling } from "./resampling.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link resize} returns. */
export interface ResizeDescription extends Sampling {
  readonly transform: "resize";
  readonly feature: string;
  /** A number: of the shorter side. */
  readonly size: number | ImageSize;
}

/**
 * Resizes an image, uint8 or float32 [height, width, channels] or [height, width], to [height, width], or, where `size` is one
 * number, so that its shorter side has that length and the longer one keeps the ratio, cut to whole pixels.
 *
 * With antialias the result is that of Pillow within one level, two of `bicubic`; channels are resized each by itself, alpha too.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image.
 *
 * @example
 * const image = tensor("uint8", [2, 4, 1], Uint8Array.of(0, 0, 100, 100, 0, 0, 100, 100));
 * const small = applyTransform(resize("x", [1, 2]), { x: image });
 * assert.deepEqual([...small.x.data], [14, 86]);
 */
export function resize(feature: string, size: number | ImageSize, settings: ResizeSettings = {}): ResizeDescription {
  const action = `Cannot resize '${feature}'`;
  checkOptionNames(action, settings, resizeSettingNames);
  const both = toImageSize(action, size);
  return {
    transform: "resize",
    feature,
    size: typeof size === "number" ? size : both,
    ...toSampling(action, settings),
  };
}

/** Builds the transform that {@link resize} describes. */
export function buildResize({ feature, size, interpolation, antialias }: ResizeDescription): Transform {
  const findImage = imageFinder(feature, "resize");
  const sampling = { interpolation, antialias };
  return (sample) => {
    const image = findImage(sample);
    const [height, width] = typeof size === "number" ? fitShorter(image.height, image.width, size) : size;
    return replaceFeature(sample, feature, image.resize(width, height, sampling));
  };
}

function fitShorter(height: number, width: number, size: number): ImageSize {
  if (height <= width) return [size, Math.trunc((size * width) / height)];
  return [Math.trunc((size * height) / width), size];
}
