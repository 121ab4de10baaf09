// JPEG by libjpeg-turbo, straight into the memory of the kernels.

import { Buffer } from "node:buffer";
import { KdataError } from "../core/errors.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import type { ByteImage } from "./byte-image.ts";
import { checkPixels, countChannels, finishImage, type DecodeSettings, type ImageDecoder } from "./decoded-image.ts";
import { requireImagePackage } from "./image-packages.ts";
import { readJpegHeader } from "./jpeg-header.ts";
import { sharpDecoder } from "./sharp-images.ts";

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

type Turbo = typeof import("@julusian/jpeg-turbo");

/** Loads libjpeg-turbo and makes the decoder: what it misses is an error before the first sample. */
export function createJpegDecoder(): ImageDecoder {
  const turbo = requireImagePackage("@julusian/jpeg-turbo") as Turbo;
  const formats: Readonly<Record<number, number>> = { 1: turbo.FORMAT_GRAY, 3: turbo.FORMAT_RGB, 4: turbo.FORMAT_RGBA };
  return {
    detect: (bytes) => bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff,
    decode(bytes, settings, memory) {
      const header = readJpegHeader(bytes);
      const { width, height, bits, components, orientation } = header;
      checkPixels(width, height, settings.pixels);
      if (bits !== 8) throw new KdataError("unsupported", `a JPEG of ${bits} bits a sample; only 8 are read`);
      if (components === 4) return decodeCmyk(bytes, settings, orientation, memory);
      const channels = countChannels(settings.channels, components);
      const start = memory.allocate(width * height * channels);
      const target = Buffer.from(memory.kernel.memory.buffer, start, width * height * channels);
      try {
        turbo.decompressSync(asBuffer(bytes), target, { format: formats[channels] ?? turbo.FORMAT_RGB });
      } catch (error) {
        throw faultOf(bytes, error);
      }
      return finishImage({ start, width, height, channels }, settings, orientation, memory);
    },
  };
}

/** libjpeg-turbo leaves the conversion of printing colours to its caller, and this package has no way to ask for them. */
function decodeCmyk(bytes: Uint8Array, settings: DecodeSettings, orientation: number, memory: PixelMemory): ByteImage {
  const { width, height, start } = sharpDecoder.decodePixels(bytes, { ...settings, orient: false }, memory, "cmyk");
  const pixels = memory.bytes(start, width * height * 4);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    const white = 255 - (pixels[from + 3] as number);
    for (let c = 0; c < 3; c++) pixels[to + c] = Math.max(0, white - scale(pixels[from + c] as number, white));
  }
  return finishImage({ start, width, height, channels: 3 }, settings, orientation, memory);
}

/** a * b / 255, rounded: the MULDIV255 of Pillow. */
function scale(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** It decodes what it can, fills up with grey, and throws all the same. What it throws does not say why, but the end of the bytes does. */
function faultOf(bytes: Uint8Array, cause: unknown): KdataError {
  const end = asBuffer(bytes).lastIndexOf(END_OF_IMAGE);
  if (end < 0) return new KdataError("truncated", "the JPEG ends too early", { cause });
  return new KdataError("format", "the JPEG is corrupt", { cause });
}
