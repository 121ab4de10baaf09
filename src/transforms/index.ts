// Public exports of kdata/transforms.

export { cast, type CastDescription } from "./cast.ts";
export { decodeRaw, type DecodeRawDescription, type RawLayout } from "./decode-raw.ts";
export { normalize, type NormalizeDescription, type NormalizeSettings } from "./normalize.ts";
export { buildTransform, type TransformDescription } from "./registry.ts";
export { reshape, type ReshapeDescription } from "./reshape.ts";
export { select, type SelectDescription } from "./select.ts";
export { chainTransforms, type Pipeline, type Transform } from "./transform.ts";
