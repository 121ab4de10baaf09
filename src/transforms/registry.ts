// The transforms that can be described, by name. A new one is a file and two lines here.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { RandomStream, deriveKey } from "../core/random.ts";
import { emptyFeatures, type Feature, type Features } from "../core/sample.ts";
import { buildBucketByLength, type BucketByLengthDescription } from "./bucket-by-length.ts";
import { buildCache, type CacheDescription } from "./cache.ts";
import { buildCast, type CastDescription } from "./cast.ts";
import { buildCenterCrop, type CenterCropDescription } from "./center-crop.ts";
import { buildColorJitter, type ColorJitterDescription } from "./color-jitter.ts";
import { buildConcat, type ConcatDescription } from "./concat.ts";
import type { CutmixDescription } from "./cutmix.ts";
import { buildDecodeImage, type DecodeImageDescription } from "./decode-image.ts";
import { buildDecodeRaw, type DecodeRawDescription } from "./decode-raw.ts";
import { buildDecodeText, type DecodeTextDescription } from "./decode-text.ts";
import { buildFilter, type FilterDescription } from "./filter.ts";
import { buildLayout, type LayoutDescription } from "./layout.ts";
import { buildMap, type MapDescription } from "./map.ts";
import type { MixupDescription } from "./mixup.ts";
import { buildNormalize, type NormalizeDescription } from "./normalize.ts";
import { buildOneHot, type OneHotDescription } from "./one-hot.ts";
import type { PackDescription } from "./pack.ts";
import type { PadBatchDescription } from "./pad-batch.ts";
import { buildPad, type PadDescription } from "./pad.ts";
import { buildParseJson, type ParseJsonDescription } from "./parse-json.ts";
import { buildRandomCrop, type RandomCropDescription } from "./random-crop.ts";
import { buildRandomFlip, type RandomFlipDescription } from "./random-flip.ts";
import { buildRandomResizedCrop, type RandomResizedCropDescription } from "./random-resized-crop.ts";
import { buildRename, type RenameDescription } from "./rename.ts";
import { buildReshape, type ReshapeDescription } from "./reshape.ts";
import { buildResize, type ResizeDescription } from "./resize.ts";
import { buildSelect, type SelectDescription } from "./select.ts";
import { buildStack, type StackDescription } from "./stack.ts";
import { buildTemplate, type TemplateDescription } from "./template.ts";
import { buildTokenize, type TokenizeDescription } from "./tokenize.ts";
import type { Transform } from "./transform.ts";

/** A transform of samples as plain JSON, which crosses into a worker thread. Made by the function of the same name. */
export type SampleTransformDescription =
  | BucketByLengthDescription
  | CacheDescription
  | CastDescription
  | CenterCropDescription
  | ColorJitterDescription
  | ConcatDescription
  | DecodeImageDescription
  | DecodeRawDescription
  | DecodeTextDescription
  | FilterDescription
  | LayoutDescription
  | MapDescription
  | NormalizeDescription
  | OneHotDescription
  | PadDescription
  | ParseJsonDescription
  | RandomCropDescription
  | RandomFlipDescription
  | RandomResizedCropDescription
  | RenameDescription
  | ReshapeDescription
  | ResizeDescription
  | SelectDescription
  | StackDescription
  | TemplateDescription
  | TokenizeDescription;

/** A transform of whole batches as plain JSON. It comes after those of samples. */
export type BatchTransformDescription = PackDescription | PadBatchDescription | MixupDescription | CutmixDescription;

/** A transform as plain JSON. */
export type TransformDescription = SampleTransformDescription | BatchTransformDescription;

type Builders = {
  readonly [Name in SampleTransformDescription["transform"]]: (
    description: Extract<SampleTransformDescription, { readonly transform: Name }>,
  ) => Transform;
};

const builders: Builders = {
  bucketByLength: buildBucketByLength,
  cache: buildCache,
  cast: buildCast,
  centerCrop: buildCenterCrop,
  colorJitter: buildColorJitter,
  concat: buildConcat,
  decodeImage: buildDecodeImage,
  decodeRaw: buildDecodeRaw,
  decodeText: buildDecodeText,
  filter: buildFilter,
  layout: buildLayout,
  map: buildMap,
  normalize: buildNormalize,
  oneHot: buildOneHot,
  pad: buildPad,
  parseJson: buildParseJson,
  randomCrop: buildRandomCrop,
  randomFlip: buildRandomFlip,
  randomResizedCrop: buildRandomResizedCrop,
  rename: buildRename,
  reshape: buildReshape,
  resize: buildResize,
  select: buildSelect,
  stack: buildStack,
  template: buildTemplate,
  tokenize: buildTokenize,
};

/** Those of whole batches, in the order in which they may come: of the samples of a batch, then of their stack. */
const batchTransforms: Readonly<Record<BatchTransformDescription["transform"], 1 | 2>> = {
  pack: 1,
  padBatch: 1,
  mixup: 2,
  cutmix: 2,
};

/** Those that cost more than a hop to a thread, however small the sample is that they work on. */
const costly: ReadonlySet<string> = new Set<TransformDescription["transform"]>([
  "colorJitter",
  "decodeImage",
  "randomResizedCrop",
  "resize",
  "tokenize",
]);

/** Says whether a transform takes so long that threads pay for small samples, too. */
export function isCostly({ transform }: TransformDescription): boolean {
  return costly.has(transform);
}

/** Those that give another sample in each epoch. */
const random: ReadonlySet<string> = new Set<TransformDescription["transform"]>([
  "colorJitter",
  "randomCrop",
  "randomFlip",
  "randomResizedCrop",
]);

/** Says whether what a transform makes of a sample changes from epoch to epoch. */
export function isRandom({ transform }: TransformDescription): boolean {
  return random.has(transform);
}

/** Finds the URL of the user's module whose functions a transform calls. `undefined` where it calls none. */
export function moduleOf(description: TransformDescription): string | undefined {
  if (description.transform === "map") return description.module;
  return description.transform === "filter" && !description.condition ? description.module : undefined;
}

/** Says what a transform works on: 0 samples, 1 the samples of a batch, 2 their stack. */
export function stageOf({ transform: name }: TransformDescription): 0 | 1 | 2 {
  return Object.hasOwn(batchTransforms, name) ? batchTransforms[name as keyof typeof batchTransforms] : 0;
}

/**
 * Builds the transform of samples that a description describes.
 *
 * @throws {KdataError} `usage` when there is no transform of that name, or it is one of whole batches.
 */
export function buildTransform(description: TransformDescription): Transform {
  const name: string = description.transform;
  if (stageOf(description) > 0) {
    const reason = "it works on whole batches, after all transforms of samples";
    throw new KdataError("usage", `Cannot apply ${name} to a sample: ${reason}`);
  }
  if (!Object.hasOwn(builders, name)) {
    const names = [...Object.keys(builders), ...Object.keys(batchTransforms)].sort();
    const nearest = nearestName(name, names);
    throw new KdataError("usage", `Cannot build transform '${name}': the transforms are ${names.join(", ")}`, {
      ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
    });
  }
  // The compiler cannot see that the builder found under a description's name takes that description.
  const build = builders[name as keyof Builders] as (description: TransformDescription) => Transform;
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
