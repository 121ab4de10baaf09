// Cuts a part of random size and ratio out of images and resizes it, from Szegedy et al., "Going Deeper with Convolutions"
// (https://arxiv.org/abs/1409.4842), by the algorithm of torchvision:
// https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.RandomResizedCrop.html.

import { checkOptionNames } from "../core/options.ts";
import type { RandomStream } from "../core/random.ts";
import { replaceFeature } from "./feature.ts";
import type { Image, Rectangle } from "./image.ts";
import { imageFinder } from "./image-finder.ts";
import { resizeSettingNames, toImageSize, toSampling, type ImageSize, type ResizeSettings } from "./image-size.ts";
import type { Sampling } from "./resampling.ts";
import type { Transform } from "./transform.ts";

/** What {@link randomResizedCrop} draws from. */
export interface RandomResizedCropSettings extends ResizeSettings {
  /** The least and the greatest part of the image's area. Default [0.08, 1]. */
  readonly scale?: readonly [least: number, greatest: number];
  /** The least and the greatest ratio of width to height. Default [3/4, 4/3]. */
  readonly ratio?: readonly [least: number, greatest: number];
}

/** The description that {@link randomResizedCrop} returns. */
export interface RandomResizedCropDescription extends Sampling {
  readonly transform: "randomResizedCrop";
  readonly feature: string;
  readonly size: ImageSize;
  readonly scale: readonly [least: number, greatest: number];
  readonly ratio: readonly [least: number, greatest: number];
}

const TRIES = 10; // torchvision's

/**
 * Cuts a part out of an image, uint8 or float32 [height, width, channels] or [height, width], and resizes it to [height, width] (one
 * number: both). Its area, ratio and place are drawn for each sample; where ten draws do not fit into the image, it is the
 * largest part in the middle whose ratio is allowed.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image.
 *
 * @example
 * const image = tensor("uint8", [6, 8, 3], new Uint8Array(6 * 8 * 3).fill(7));
 * const crop = applyTransform(randomResizedCrop("x", 4, { scale: [0.5, 1] }), { x: image });
 * assert.deepEqual(crop.x.shape, [4, 4, 3]);
 * assert.ok(crop.x.data.every((value) => value === 7));
 */
export function randomResizedCrop(
  feature: string,
  size: number | ImageSize,
  settings: RandomResizedCropSettings = {},
): RandomResizedCropDescription {
  const action = `Cannot crop '${feature}'`;
  checkOptionNames(action, settings, ["scale", "ratio", ...resizeSettingNames]);
  const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3], ...rest } = settings;
  checkPair(action, "scale", scale, 1);
  checkPair(action, "ratio", ratio, Infinity);
  return {
    transform: "randomResizedCrop",
    feature,
    size: toImageSize(action, size),
    scale,
    ratio,
    ...toSampling(action, rest),
  };
}

/** Builds the transform that {@link randomResizedCrop} describes. */
export function buildRandomResizedCrop(description: RandomResizedCropDescription): Transform {
  const { feature, interpolation, antialias } = description;
  const [height, width] = description.size;
  const findImage = imageFinder(feature, "crop");
  const sampling = { interpolation, antialias };
  return (sample, random) => {
    const image = findImage(sample);
    const part = drawPart(image, description, random());
    return replaceFeature(sample, feature, image.crop(part).resize(width, height, sampling));
  };
}

function checkPair(action: string, name: string, [least, greatest]: readonly [number, number], most: number): void {
  if (least > 0 && least <= greatest && greatest <= most && Number.isFinite(greatest)) return;
  const range = Number.isFinite(most) ? ` up to ${most}` : "";
  throw new RangeError(
    `${action}: ${name} must be two positive numbers${range} in order, not ${least} and ${greatest}`,
  );
}

function drawPart(
  { width, height }: Image,
  { scale, ratio }: RandomResizedCropDescription,
  stream: RandomStream,
): Rectangle {
  const logRatio = [Math.log(ratio[0]), Math.log(ratio[1])] as const;
  for (let i = 0; i < TRIES; i++) {
    const area = width * height * between(scale, stream);
    const aspect = Math.exp(between(logRatio, stream));
    const w = Math.round(Math.sqrt(area * aspect));
    const h = Math.round(Math.sqrt(area / aspect));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    const y = stream.below(height - h + 1);
    return { x: stream.below(width - w + 1), y, width: w, height: h };
  }
  const aspect = Math.min(Math.max(width / height, ratio[0]), ratio[1]);
  const w = Math.max(1, Math.min(width, Math.round(height * aspect)));
  const h = Math.max(1, Math.min(height, Math.round(width / aspect)));
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}

function between([least, greatest]: readonly [number, number], stream: RandomStream): number {
  return least + (greatest - least) * stream.uniform();
}
