// Sizes of images and how to resize to them, as options say it.

import { checkName, checkWhole } from "../core/options.ts";
import { interpolations, type Interpolation, type Sampling } from "./resampling.ts";

/** [height, width] of an image. */
export type ImageSize = readonly [height: number, width: number];

/** How pixels are computed where an image is resized. */
export interface ResizeSettings {
  /** Default `bilinear`. */
  readonly interpolation?: Interpolation;
  /**
   * Lets every pixel count where the image shrinks, as Pillow does. Default true. False samples as torchvision does for tensors
   * without antialias; it changes nothing of `nearest`.
   */
  readonly antialias?: boolean;
}

/** The names of {@link ResizeSettings}. */
export const resizeSettingNames = ["interpolation", "antialias"] as const;

const MAX_SIDE = 1 << 16; // more is a mistake

/** Makes [height, width] of one number for both or of the two. */
export function toImageSize(action: string, size: number | ImageSize): ImageSize {
  const [height, width] = typeof size === "number" ? [size, size] : size;
  checkWhole(action, "the height", height, 1, MAX_SIDE);
  checkWhole(action, "the width", width, 1, MAX_SIDE);
  return [height, width];
}

/** Fills in the defaults. */
export function toSampling(action: string, { interpolation = "bilinear", antialias = true }: ResizeSettings): Sampling {
  checkName(action, "interpolation", interpolation, interpolations);
  if (typeof antialias !== "boolean") {
    throw new TypeError(`${action}: antialias must be true or false, not ${JSON.stringify(antialias)}`);
  }
  return { interpolation, antialias };
}
