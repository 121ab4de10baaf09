// Public exports of kdata/transforms.

export { cast, type CastDescription } from "./cast.ts";
export { centerCrop, type CenterCropDescription } from "./center-crop.ts";
export { colorJitter, type ColorJitterDescription, type ColorJitterSettings } from "./color-jitter.ts";
export { decodeImage, type DecodeImageDescription, type DecodeImageSettings } from "./decode-image.ts";
export { decodeRaw, type DecodeRawDescription, type RawLayout } from "./decode-raw.ts";
export { imagePackages, imagePackageVersion, type ImagePackage } from "./image-packages.ts";
export type { ImageSize, ResizeSettings } from "./image-size.ts";
export { imagenet } from "./imagenet.ts";
export { layout, type ImageLayout, type LayoutDescription } from "./layout.ts";
export { normalize, type NormalizeDescription, type NormalizeSettings } from "./normalize.ts";
export { randomCrop, type RandomCropDescription } from "./random-crop.ts";
export { randomFlip, type RandomFlipDescription, type RandomFlipSettings } from "./random-flip.ts";
export {
  randomResizedCrop,
  type RandomResizedCropDescription,
  type RandomResizedCropSettings,
} from "./random-resized-crop.ts";
export { applyTransform, buildTransform, type TransformDescription } from "./registry.ts";
export { reshape, type ReshapeDescription } from "./reshape.ts";
export { resize, type ResizeDescription } from "./resize.ts";
export { select, type SelectDescription } from "./select.ts";
export { chainTransforms, type Pipeline, type Transform } from "./transform.ts";
