// Encoded images to pixels: JPEG, PNG, WebP, GIF, TIFF, AVIF, told apart by their first bytes.

import { KdataError } from "../core/errors.ts";
import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import { featureKind } from "../core/sample.ts";
import { PixelMemory } from "../kernels/pixels.ts";
import { channelChoices, type ChannelChoice, type DecodeSettings } from "./decoded-image.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import { createJpegDecoder } from "./jpeg-images.ts";
import { pngDecoder } from "./png-images.ts";
import { sharpDecoder } from "./sharp-images.ts";
import type { Transform } from "./transform.ts";

/** How {@link decodeImage} decodes. */
export interface DecodeImageSettings {
  /**
   * `rgb`, `gray`, `rgba`, or `keep` for the channels that the image was encoded with: 1, 3, with alpha 2 or 4. Default `rgb`. Alpha is
   * dropped, not blended with a background; where there is none it is 255. Of a JPEG, `gray` is its luminance.
   */
  readonly channels?: ChannelChoice;
  /** More pixels than that are refused before anything is allocated for them. Default 100 million. */
  readonly pixels?: number;
  /** Turn images as their Exif orientation says. Default false, as in Pillow, torchvision and `tf.io.decode_image`. */
  readonly orient?: boolean;
}

/** The description that {@link decodeImage} returns. */
export interface DecodeImageDescription extends DecodeSettings {
  readonly transform: "decodeImage";
  readonly feature: string;
}

const DEFAULT_PIXELS = 100e6;
const MAX_PIXELS = 2 ** 29; // four channels then fill a kernel's memory

/**
 * Decodes an image: bytes become uint8 [height, width, channels].
 *
 * JPEG by the package `@julusian/jpeg-turbo` (fast integer DCT: within 4 levels of Pillow up to a quality of about 90, beyond it up to 10), without which this cannot be used; PNG
 * by itself, exactly, 16 bits cut to 8; all else (WebP, GIF with its first frame, TIFF, AVIF) by the package `sharp`, loaded at the
 * first such image. Colour profiles are not applied.
 *
 * @throws {KdataError} `package` when a package is missing. For each sample: `shape` when its feature is not bytes; `format` and
 *   `truncated` for a corrupt image, also where a decoder could have filled up what is missing; `limit` for one of too many pixels;
 *   `unsupported` for other kinds of bytes.
 *
 * @example
 * const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGPgEpEDAABoAD1UCKP3AAAAAElFTkSuQmCC", "base64");
 * const { x } = applyTransform(decodeImage("x"), { x: png });
 * assert.deepEqual([x.shape, [...x.data]], [[1, 1, 3], [10, 20, 30]]);
 */
export function decodeImage(feature: string, settings: DecodeImageSettings = {}): DecodeImageDescription {
  const action = `Cannot decode '${feature}'`;
  checkOptionNames(action, settings, ["channels", "pixels", "orient"]);
  const { channels = "rgb", pixels = DEFAULT_PIXELS, orient = false } = settings;
  checkName(action, "choice of channels", channels, channelChoices);
  checkWhole(action, "pixels", pixels, 1, MAX_PIXELS);
  if (typeof orient !== "boolean")
    throw new TypeError(`${action}: orient must be true or false, not ${String(orient)}`);
  return { transform: "decodeImage", feature, channels, pixels, orient };
}

/**
 * Builds the transform that {@link decodeImage} describes.
 *
 * @throws {KdataError} `package` when JPEGs cannot be decoded here.
 */
export function buildDecodeImage({ feature, ...settings }: DecodeImageDescription): Transform {
  const decoders = [createJpegDecoder(), pngDecoder, sharpDecoder];
  const memory = new PixelMemory();
  return (sample) => {
    const bytes = requireFeature(sample, feature, "decode");
    if (!(bytes instanceof Uint8Array)) {
      const reason = `Cannot decode '${feature}': it is ${featureKind(bytes)}, not bytes`;
      throw new KdataError("shape", reason, { at: sample.origin });
    }
    memory.begin();
    try {
      const decoder = decoders.find((candidate) => candidate.detect(bytes)) ?? sharpDecoder;
      return replaceFeature(sample, feature, decoder.decode(bytes, settings, memory));
    } catch (error) {
      if (!(error instanceof KdataError) || error.code === "package") throw error;
      const { code, reason, hint, cause } = error;
      throw new KdataError(code, `Cannot decode '${feature}': ${reason}`, {
        at: sample.origin,
        cause,
        ...(hint !== undefined && { hint }),
      });
    }
  };
}
