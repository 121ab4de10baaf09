// The samples of a PNG that are not bytes of their channels yet: bits, 16 bits, places of a palette, a transparent colour.

import { KdataError } from "../core/errors.ts";
import type { PngHeader, PngPass } from "./png-header.ts";

/** Where the pixels go. */
interface Target {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly channels: number;
  /** Transparency becomes an alpha channel. */
  readonly hasAlpha: boolean;
}

/** What gives samples their meaning. */
interface Meaning {
  readonly header: PngHeader;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
}

/** Puts the pixels of one pass at their places: 16 bits are cut to their upper 8, fewer than 8 are spread over 0 to 255. */
export function expandPass(
  rows: Uint8Array,
  pass: PngPass & { readonly width: number; readonly height: number; readonly rowBytes: number },
  meaning: Meaning,
  target: Target,
): void {
  const { bits, colour } = meaning.header;
  const samples = colour === 2 ? 3 : colour === 4 ? 2 : colour === 6 ? 4 : 1;
  const put = colour === 3 ? paletteWriter(meaning, target) : sampleWriter(meaning, target, samples);
  const pixel = new Uint16Array(samples);
  for (let row = 0; row < pass.height; row++) {
    for (let column = 0; column < pass.width; column++) {
      for (let i = 0; i < samples; i++) {
        pixel[i] = sampleAt(rows, row * pass.rowBytes, column * samples + i, bits);
      }
      const at = (pass.y + row * pass.yStep) * target.width + pass.x + column * pass.xStep;
      put(at * target.channels, pixel);
    }
  }
}

/** Writes one pixel at a byte. */
type Writer = (at: number, pixel: Uint16Array) => void;

function paletteWriter({ palette = new Uint8Array(), transparency }: Meaning, target: Target): Writer {
  return (at, pixel) => {
    const place = pixel[0] as number;
    if (place * 3 + 3 > palette.length) throw new KdataError("format", `the palette of the PNG has no colour ${place}`);
    for (let i = 0; i < 3; i++) target.pixels[at + i] = palette[place * 3 + i] as number;
    if (target.hasAlpha) target.pixels[at + 3] = transparency?.[place] ?? 255;
  };
}

function sampleWriter({ header, transparency }: Meaning, target: Target, samples: number): Writer {
  const { bits } = header;
  const key = new Uint16Array(samples);
  for (let i = 0; target.hasAlpha && transparency && i < samples; i++) {
    key[i] = ((transparency[2 * i] ?? 0) << 8) | (transparency[2 * i + 1] ?? 0);
  }
  const spread = bits < 8 ? 255 / ((1 << bits) - 1) : 1;
  return (at, pixel) => {
    let isKey = true;
    for (let i = 0; i < samples; i++) {
      const sample = pixel[i] as number;
      isKey &&= sample === key[i];
      target.pixels[at + i] = bits === 16 ? sample >> 8 : sample * spread;
    }
    if (target.hasAlpha) target.pixels[at + samples] = isKey ? 0 : 255;
  };
}

function sampleAt(rows: Uint8Array, rowStart: number, index: number, bits: number): number {
  if (bits === 8) return rows[rowStart + index] as number;
  if (bits === 16) {
    const at = rowStart + index * 2;
    return ((rows[at] as number) << 8) | (rows[at + 1] as number);
  }
  const bit = index * bits;
  return ((rows[rowStart + (bit >> 3)] as number) >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
}
