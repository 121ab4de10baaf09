// What a decoder of encoded images is asked for, and how it gives its pixels.

import { KdataError } from "../core/errors.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import { ByteImage } from "./byte-image.ts";

/** The channels that an image is brought to: grey, colours, colours and alpha, or as many as it was encoded with. */
export const channelChoices = ["rgb", "gray", "rgba", "keep"] as const;

/** One of {@link channelChoices}. */
export type ChannelChoice = (typeof channelChoices)[number];

/** How images are decoded. */
export interface DecodeSettings {
  readonly channels: ChannelChoice;
  /** More pixels than that are refused before anything is allocated for them. */
  readonly pixels: number;
  /** Turn the image as its Exif orientation says. */
  readonly orient: boolean;
}

/** A decoder of one or several kinds of images. Its errors have no position: who asked knows it. */
export interface ImageDecoder {
  detect(bytes: Uint8Array): boolean;
  /**
   * Decodes an image into memory.
   *
   * @throws {KdataError} `format`, `truncated`, `limit`, `unsupported`, `package`; the message is a reason without a beginning.
   */
  decode(bytes: Uint8Array, settings: DecodeSettings, memory: PixelMemory): ByteImage;
}

/** Pixels in memory, row by row without gaps. */
export interface RawPixels {
  readonly start: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

const channelCounts: Readonly<Record<Exclude<ChannelChoice, "keep">, number>> = { gray: 1, rgb: 3, rgba: 4 };

/**
 * Holds a declared size to the limit.
 *
 * @throws {KdataError} `limit`, and `format` for an image without pixels.
 */
export function checkPixels(width: number, height: number, limit: number): void {
  if (width < 1 || height < 1) throw new KdataError("format", `it has ${width} × ${height} pixels`);
  if (width * height <= limit) return;
  throw new KdataError("limit", `its ${width} × ${height} pixels exceed the limit of ${limit}`, {
    hint: "raise it with the option pixels of decodeImage",
  });
}

/** Says how many channels an image has when it is decoded. */
export function countChannels(choice: ChannelChoice, encoded: number): number {
  return choice === "keep" ? encoded : channelCounts[choice];
}

/** Brings decoded pixels to the channels and the orientation (1 to 8, as Exif counts them) that they are to have. */
export function finishImage(
  { start, width, height, channels }: RawPixels,
  { channels: choice, orient }: DecodeSettings,
  orientation: number,
  memory: PixelMemory,
): ByteImage {
  const wanted = countChannels(choice, channels);
  let from = start;
  if (wanted !== channels) {
    from = memory.allocate(width * height * wanted);
    memory.kernel.convertChannels(start, width * height, channels, from, wanted);
  }
  const image = new ByteImage(memory, { start: from, stride: width * wanted, width, height, channels: wanted });
  return orient ? turn(image, orientation) : image;
}

/** The table of https://exiftool.org/TagNames/EXIF.html, tag 0x0112: where the first row and column of the pixels belong. */
function turn(image: ByteImage, orientation: number): ByteImage {
  switch (orientation) {
    case 2:
      return image.mirror();
    case 3:
      return image.mirror().flip();
    case 4:
      return image.flip();
    case 5:
      return image.transpose();
    case 6:
      return image.transpose().mirror();
    case 7:
      return image.transpose().mirror().flip();
    case 8:
      return image.transpose().flip();
    default:
      return image;
  }
}
