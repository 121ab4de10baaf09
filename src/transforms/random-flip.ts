// Mirrors images at random.

import { checkOptionNames } from "../core/options.ts";
import { replaceFeature } from "./feature.ts";
import { imageFinder } from "./image-finder.ts";
import type { Transform } from "./transform.ts";

/** The probabilities of {@link randomFlip}. */
export interface RandomFlipSettings {
  /** That left and right are swapped. Default 0.5. */
  readonly horizontal?: number;
  /** That top and bottom are swapped. Default 0. */
  readonly vertical?: number;
}

/** The description that {@link randomFlip} returns. */
export interface RandomFlipDescription {
  readonly transform: "randomFlip";
  readonly feature: string;
  readonly horizontal: number;
  readonly vertical: number;
}

/**
 * Swaps left and right, and top and bottom, of an image, uint8 or float32 [height, width, channels] or [height, width], each with
 * its probability, drawn for each sample.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image.
 *
 * @example
 * const image = tensor("uint8", [1, 2, 1], Uint8Array.of(1, 2));
 * assert.deepEqual([...applyTransform(randomFlip("x", { horizontal: 1 }), { x: image }).x.data], [2, 1]);
 */
export function randomFlip(feature: string, settings: RandomFlipSettings = {}): RandomFlipDescription {
  const action = `Cannot flip '${feature}'`;
  checkOptionNames(action, settings, ["horizontal", "vertical"]);
  const { horizontal = 0.5, vertical = 0 } = settings;
  for (const [name, value] of Object.entries({ horizontal, vertical })) {
    if (value >= 0 && value <= 1) continue;
    throw new RangeError(`${action}: ${name} must be a probability from 0 to 1, not ${value}`);
  }
  return { transform: "randomFlip", feature, horizontal, vertical };
}

/** Builds the transform that {@link randomFlip} describes. */
export function buildRandomFlip({ feature, horizontal, vertical }: RandomFlipDescription): Transform {
  const findImage = imageFinder(feature, "flip");
  return (sample, random) => {
    const stream = random();
    const isMirrored = stream.uniform() < horizontal;
    const isFlipped = stream.uniform() < vertical;
    let image = findImage(sample);
    if (isMirrored) image = image.mirror();
    if (isFlipped) image = image.flip();
    return replaceFeature(sample, feature, image);
  };
}
