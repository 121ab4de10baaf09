// Public exports of kdata/transforms.

export { bucketByLength, type BucketByLengthDescription, type BucketByLengthSettings } from "./bucket-by-length.ts";
export { cache, type CacheDescription, type CacheSettings } from "./cache.ts";
export { cast, type CastDescription } from "./cast.ts";
export { centerCrop, type CenterCropDescription } from "./center-crop.ts";
export { colorJitter, type ColorJitterDescription, type ColorJitterSettings } from "./color-jitter.ts";
export { buildBatchSteps, checkChain, splitChain, type BatchStep, type Chain } from "./chain.ts";
export { concat, type AxisSettings, type ConcatDescription } from "./concat.ts";
export { cutmix, type CutmixDescription, type CutmixSettings } from "./cutmix.ts";
export { decodeImage, type DecodeImageDescription, type DecodeImageSettings } from "./decode-image.ts";
export { decodeRaw, type DecodeRawDescription, type RawLayout } from "./decode-raw.ts";
export { decodeText, type DecodeTextDescription } from "./decode-text.ts";
export { filter, type FilterCondition, type FilterDescription, type FilterValue } from "./filter.ts";
export { imagePackages, imagePackageVersion, type ImagePackage } from "./image-packages.ts";
export type { ImageSize, ResizeSettings } from "./image-size.ts";
export { imagenet } from "./imagenet.ts";
export { layout, type ImageLayout, type LayoutDescription } from "./layout.ts";
export { map, type MapDescription } from "./map.ts";
export type { MixSettings } from "./mix-rows.ts";
export { mixup, type MixupDescription } from "./mixup.ts";
export { normalize, type NormalizeDescription, type NormalizeSettings } from "./normalize.ts";
export { oneHot, type OneHotDescription, type OneHotSettings } from "./one-hot.ts";
export { pack, type PackDescription, type PackSettings } from "./pack.ts";
export { padBatch, type PadBatchDescription, type PadBatchSettings } from "./pad-batch.ts";
export { pad, type PadDescription, type PadSettings, type Side } from "./pad.ts";
export { parseJson, type ParseJsonDescription, type ParseJsonSettings } from "./parse-json.ts";
export { prepareTransforms } from "./prepare.ts";
export { randomCrop, type RandomCropDescription } from "./random-crop.ts";
export { randomFlip, type RandomFlipDescription, type RandomFlipSettings } from "./random-flip.ts";
export {
  randomResizedCrop,
  type RandomResizedCropDescription,
  type RandomResizedCropSettings,
} from "./random-resized-crop.ts";
export {
  applyTransform,
  buildTransform,
  type BatchTransformDescription,
  type SampleTransformDescription,
  type TransformDescription,
} from "./registry.ts";
export { rename, type RenameDescription } from "./rename.ts";
export { reshape, type ReshapeDescription } from "./reshape.ts";
export { resize, type ResizeDescription } from "./resize.ts";
export { select, type SelectDescription } from "./select.ts";
export { stack, type StackDescription } from "./stack.ts";
export { template, type TemplateDescription } from "./template.ts";
export { tokenize, type TokenizeDescription, type TokenizeSettings } from "./tokenize.ts";
export { chainTransforms, type Pipeline, type Transform } from "./transform.ts";
export type { UserFunction } from "./user-function.ts";
