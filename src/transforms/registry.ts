// The transforms that can be described, by name. A new one is a file and two lines here.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { RandomStream, deriveKey } from "../core/random.ts";
import { emptyFeatures, type Feature, type Features } from "../core/sample.ts";
import { buildCast, type CastDescription } from "./cast.ts";
import { buildCenterCrop, type CenterCropDescription } from "./center-crop.ts";
import { buildColorJitter, type ColorJitterDescription } from "./color-jitter.ts";
import { buildDecodeImage, type DecodeImageDescription } from "./decode-image.ts";
import { buildDecodeRaw, type DecodeRawDescription } from "./decode-raw.ts";
import { buildLayout, type LayoutDescription } from "./layout.ts";
import { buildNormalize, type NormalizeDescription } from "./normalize.ts";
import { buildRandomCrop, type RandomCropDescription } from "./random-crop.ts";
import { buildRandomFlip, type RandomFlipDescription } from "./random-flip.ts";
import { buildRandomResizedCrop, type RandomResizedCropDescription } from "./random-resized-crop.ts";
import { buildReshape, type ReshapeDescription } from "./reshape.ts";
import { buildResize, type ResizeDescription } from "./resize.ts";
import { buildSelect, type SelectDescription } from "./select.ts";
import type { Transform } from "./transform.ts";

/** A transform as plain JSON, which crosses into a worker thread. Made by the function of the same name. */
export type TransformDescription =
  | CastDescription
  | CenterCropDescription
  | ColorJitterDescription
  | DecodeImageDescription
  | DecodeRawDescription
  | LayoutDescription
  | NormalizeDescription
  | RandomCropDescription
  | RandomFlipDescription
  | RandomResizedCropDescription
  | ReshapeDescription
  | ResizeDescription
  | SelectDescription;

type Builders = {
  readonly [Name in TransformDescription["transform"]]: (
    description: Extract<TransformDescription, { readonly transform: Name }>,
  ) => Transform;
};

const builders: Builders = {
  cast: buildCast,
  centerCrop: buildCenterCrop,
  colorJitter: buildColorJitter,
  decodeImage: buildDecodeImage,
  decodeRaw: buildDecodeRaw,
  layout: buildLayout,
  normalize: buildNormalize,
  randomCrop: buildRandomCrop,
  randomFlip: buildRandomFlip,
  randomResizedCrop: buildRandomResizedCrop,
  reshape: buildReshape,
  resize: buildResize,
  select: buildSelect,
};

/** Those that cost more than a hop to a thread, however small the sample is that they work on. */
const costly: ReadonlySet<string> = new Set<TransformDescription["transform"]>([
  "colorJitter",
  "decodeImage",
  "randomResizedCrop",
  "resize",
]);

/** Says whether a transform takes so long that threads pay for small samples, too. */
export function isCostly({ transform }: TransformDescription): boolean {
  return costly.has(transform);
}

/**
 * Builds the transform that a description describes.
 *
 * @throws {KdataError} `usage` when there is no transform of that name.
 */
export function buildTransform(description: TransformDescription): Transform {
  const name: string = description.transform;
  if (!Object.hasOwn(builders, name)) {
    const names = Object.keys(builders);
    const nearest = nearestName(name, names);
    throw new KdataError("usage", `Cannot build transform '${name}': the transforms are ${names.join(", ")}`, {
      ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
    });
  }
  // The compiler cannot see that the builder found under a description's name takes that description.
  const build = builders[description.transform] as (description: TransformDescription) => Transform;
  return build(description);
}

/**
 * Applies a transform to the features of one sample, outside a loader: to try it, or to serve a model what it was trained on.
 * What is drawn is what record 0 of epoch 0 draws, if it is the first transform. The result has its own memory where it has another
 * content. `undefined` where the transform filters the sample out.
 *
 * @throws {KdataError} as the transform does.
 *
 * @example
 * const made = applyTransform(normalize("x", { scale: 0.5 }), { x: tensor("uint8", [2], Uint8Array.of(2, 4)) });
 * assert.deepEqual([...made.x.data], [1, 2]);
 */
export function applyTransform(
  description: TransformDescription,
  features: Readonly<Record<string, Feature>>,
  seed = 0,
): Features | undefined {
  const sample = {
    key: "",
    origin: { source: "memory", record: 0 },
    features: Object.assign(emptyFeatures(), features),
  };
  return buildTransform(description)(sample, () => new RandomStream(deriveKey(seed, 0, 0, 0)))?.features;
}
