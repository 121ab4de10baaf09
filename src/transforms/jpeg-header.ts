// What the segments before the pixels of a JPEG say (ITU-T T.81, annex B: https://www.w3.org/Graphics/JPEG/itu-t81.pdf).

import { KdataError } from "../core/errors.ts";
import { findOrientation } from "./exif.ts";

/** The size and the channels of a JPEG. */
export interface JpegHeader {
  readonly width: number;
  readonly height: number;
  /** Of one sample. */
  readonly bits: number;
  readonly components: number;
  /** As Exif counts them, from 1 to 8. */
  readonly orientation: number;
}

const EXIF = "Exif\0\0";
const APP1 = 0xe1;
const START_OF_SCAN = 0xda;
/** Start-of-frame markers are c0 to cf but for these: tables, an extension, arithmetic conditioning. */
const NO_FRAMES: ReadonlySet<number> = new Set([0xc4, 0xc8, 0xcc]);

/**
 * Reads the header of a JPEG.
 *
 * @throws {KdataError} `truncated` when the bytes end before the size, `format` when there is none.
 */
export function readJpegHeader(bytes: Uint8Array): JpegHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let orientation = 1;
  let at = 2; // behind the start of the image
  for (;;) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++; // fill bytes
    if (at + 4 > bytes.length) throw ended();
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    const end = at + 2 + length;
    if (view.getUint8(at) !== 0xff || length < 2) throw new KdataError("format", "the header of the JPEG is corrupt");
    if (end > bytes.length) throw ended();
    if (marker >= 0xc0 && marker <= 0xcf && !NO_FRAMES.has(marker)) {
      if (length < 8) throw new KdataError("format", "the header of the JPEG is corrupt");
      const [bits, components] = [view.getUint8(at + 4), view.getUint8(at + 9)];
      return { bits, height: view.getUint16(at + 5), width: view.getUint16(at + 7), components, orientation };
    }
    if (marker === START_OF_SCAN) throw new KdataError("format", "the JPEG does not say its size");
    if (marker === APP1 && isExif(bytes, at + 4)) orientation = findOrientation(bytes.subarray(at + 10, end));
    at = end;
  }
}

function ended(): KdataError {
  return new KdataError("truncated", "the bytes end in the header of the JPEG");
}

function isExif(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < EXIF.length; i++) if (bytes[at + i] !== EXIF.charCodeAt(i)) return false;
  return true;
}
