// PNG by itself (https://www.w3.org/TR/png-3/): zlib inflates, a kernel takes the filters off. Every chunk's checksum is verified.

import { crc32, inflateSync } from "node:zlib";
import { KdataError } from "../core/errors.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import { checkPixels, finishImage, type DecodeSettings, type ImageDecoder } from "./decoded-image.ts";
import { findOrientation } from "./exif.ts";
import type { ColourType, PngHeader, PngPass } from "./png-header.ts";
import { expandPass } from "./png-samples.ts";

/** The chunks of a PNG that matter here. */
interface PngChunks {
  readonly header: PngHeader;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
  readonly compressed: Uint8Array;
  readonly orientation: number;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const MAX_RATIO = 1032; // deflate makes no more of a byte: https://zlib.net/zlib_tech.html

/** Samples of a pixel, and the bits that they may have. */
const colourTypes: Readonly<Record<ColourType, { readonly samples: number; readonly bits: readonly number[] }>> = {
  0: { samples: 1, bits: [1, 2, 4, 8, 16] },
  2: { samples: 3, bits: [8, 16] },
  3: { samples: 1, bits: [1, 2, 4, 8] },
  4: { samples: 2, bits: [8, 16] },
  6: { samples: 4, bits: [8, 16] },
};

const whole: readonly PngPass[] = [{ x: 0, y: 0, xStep: 1, yStep: 1 }];

const adam7: readonly PngPass[] = [
  { x: 0, y: 0, xStep: 8, yStep: 8 },
  { x: 4, y: 0, xStep: 8, yStep: 8 },
  { x: 0, y: 4, xStep: 4, yStep: 8 },
  { x: 2, y: 0, xStep: 4, yStep: 4 },
  { x: 0, y: 2, xStep: 2, yStep: 4 },
  { x: 1, y: 0, xStep: 2, yStep: 2 },
  { x: 0, y: 1, xStep: 1, yStep: 2 },
];

/** Decodes every PNG: all colour types and bits, interlaced ones too. */
export const pngDecoder: ImageDecoder = {
  detect: (bytes) => SIGNATURE.every((byte, i) => bytes[i] === byte),
  decode(bytes, settings, memory) {
    const chunks = readChunks(bytes, settings.pixels);
    const { width, height, bits, colour } = chunks.header;
    const passes = (chunks.header.isInterlaced ? adam7 : whole)
      .map((pass) => ({ ...pass, ...passSize(chunks.header, pass) }))
      .filter((pass) => pass.width > 0 && pass.height > 0);
    const raw = inflate(
      chunks.compressed,
      passes.reduce((sum, { rowBytes, height: rows }) => sum + (rowBytes + 1) * rows, 0),
    );
    const filtered = memory.allocate(raw.length);
    memory.bytes(filtered, raw.length).set(raw);
    const hasAlpha = wantsAlpha(chunks, settings);
    const isPlain = bits === 8 && colour !== 3 && !chunks.header.isInterlaced && !hasAlpha;
    const channels = (colour === 0 || colour === 4 ? 1 : 3) + (hasAlpha || colour > 3 ? 1 : 0);
    const start = memory.allocate(width * height * channels);
    const rows = isPlain ? start : memory.allocate(raw.length);
    let from = filtered;
    for (const pass of passes) {
      unfilter(memory, from, pass, chunks.header, rows);
      if (!isPlain) {
        const target = { pixels: memory.bytes(start, width * height * channels), width, channels, hasAlpha };
        expandPass(memory.bytes(rows, pass.rowBytes * pass.height), pass, chunks, target);
      }
      from += (pass.rowBytes + 1) * pass.height;
    }
    return finishImage({ start, width, height, channels }, settings, chunks.orientation, memory);
  },
};

function readChunks(bytes: Uint8Array, pixels: number): PngChunks {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Uint8Array>();
  const parts: Uint8Array[] = [];
  let header: PngHeader | undefined;
  for (let at = SIGNATURE.length; ;) {
    if (at + 12 > bytes.length) throw new KdataError("truncated", "the bytes end before the last chunk of the PNG");
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw new KdataError("truncated", "the bytes end within a chunk of the PNG");
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new KdataError("checksum", `the checksum of chunk ${JSON.stringify(type)} of the PNG does not match`);
    }
    const data = bytes.subarray(at + 8, end);
    header ??= readHeader(type, data, pixels);
    if (type === "IDAT") parts.push(data);
    else if (type === "IEND") break;
    else found.set(type, data);
    at = end + 4;
  }
  const [first] = parts;
  if (!first) throw new KdataError("format", "the PNG has no pixels");
  if (header.colour === 3 && !found.has("PLTE")) throw new KdataError("format", "the PNG has no palette");
  const exif = found.get("eXIf");
  return {
    header,
    palette: found.get("PLTE"),
    transparency: found.get("tRNS"),
    compressed: parts.length === 1 ? first : Buffer.concat(parts),
    orientation: exif ? findOrientation(exif) : 1,
  };
}

function readHeader(type: string, data: Uint8Array, pixels: number): PngHeader {
  if (type !== "IHDR" || data.length !== 13) throw new KdataError("format", "the PNG does not begin with its header");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [bits = 0, colour = 0, compression, filter, interlace] = data.subarray(8);
  const isKnown = colour in colourTypes && colourTypes[colour as ColourType].bits.includes(bits);
  if (!isKnown || compression !== 0 || filter !== 0 || (interlace !== 0 && interlace !== 1)) {
    throw new KdataError("format", "the header of the PNG is corrupt");
  }
  checkPixels(width, height, pixels);
  return { width, height, bits, colour: colour as ColourType, isInterlaced: interlace === 1 };
}

function wantsAlpha({ header, transparency }: PngChunks, { channels }: DecodeSettings): boolean {
  return transparency !== undefined && header.colour <= 3 && (channels === "rgba" || channels === "keep");
}

function passSize({ width, height, bits, colour }: PngHeader, { x, y, xStep, yStep }: PngPass) {
  const columns = Math.ceil((width - x) / xStep);
  const rowBytes = Math.ceil((columns * colourTypes[colour].samples * bits) / 8);
  return { width: columns, height: Math.ceil((height - y) / yStep), rowBytes };
}

/** Inflates to exactly so many bytes. */
function inflate(compressed: Uint8Array, byteLength: number): Uint8Array {
  if (byteLength > compressed.length * MAX_RATIO) {
    throw new KdataError("truncated", `${compressed.length} bytes cannot hold the pixels of the PNG`);
  }
  let raw: Uint8Array;
  try {
    raw = inflateSync(compressed, { maxOutputLength: byteLength, chunkSize: Math.max(64, byteLength + 1) });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    if (code === "Z_BUF_ERROR") throw new KdataError("truncated", "the pixels of the PNG end too early", { cause });
    throw new KdataError("format", "the pixels of the PNG are corrupt", { cause });
  }
  if (raw.length < byteLength) throw new KdataError("truncated", "the pixels of the PNG are fewer than it says");
  return raw;
}

function unfilter(
  memory: PixelMemory,
  from: number,
  { rowBytes, height }: { readonly rowBytes: number; readonly height: number },
  { bits, colour }: PngHeader,
  to: number,
): void {
  const pixelBytes = Math.max(1, (colourTypes[colour].samples * bits) / 8);
  const rows = memory.kernel.unfilter(from, rowBytes, height, pixelBytes, to);
  if (rows < height) throw new KdataError("format", `row ${rows} of the PNG has a filter that there is not`);
}
