// What encoded bytes are, by how they begin, and the size of a picture where its header says it.

import { findMediaSignature } from "../readers/media-signatures.ts";

/** A media type, and for pictures their size and colours: `32×32 rgb`. */
export interface Media {
  readonly type: string;
  readonly detail?: string;
}

/** What the header of a kind of picture says. */
const details: Readonly<Record<string, (bytes: Uint8Array) => string | undefined>> = {
  "image/jpeg": jpegDetail,
  "image/png": pngDetail,
  "image/gif": gifDetail,
};

const jpegColours: Readonly<Record<number, string>> = { 1: "gray", 3: "rgb", 4: "cmyk" };
const pngColours: Readonly<Record<number, string>> = { 0: "gray", 2: "rgb", 3: "palette", 4: "gray+alpha", 6: "rgba" };

/** Recognises encoded bytes by their first ones; `undefined` when they are of none of the kinds that data sets hold. */
export function sniffMedia(bytes: Uint8Array): Media | undefined {
  const found = findMediaSignature(bytes);
  if (!found) return undefined;
  const detail = details[found.type]?.(bytes);
  return { type: found.type, ...(detail !== undefined && { detail }) };
}

/** Walks the markers to the frame header (ITU-T T.81, B.2.2), which has height, width and the number of components. */
function jpegDetail(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = 2;
  while (position + 10 <= bytes.length && bytes[position] === 0xff) {
    const marker = view.getUint8(position + 1);
    if (isFrameHeader(marker)) {
      const [height, width] = [view.getUint16(position + 5), view.getUint16(position + 7)];
      return pictureDetail(width, height, jpegColours[view.getUint8(position + 9)]);
    }
    // A marker may be preceded by any number of 0xff; every other one before the scan is followed by its length.
    position += marker === 0xff ? 1 : 2 + view.getUint16(position + 2);
  }
  return undefined;
}

/** SOF0 to SOF15, without DHT (c4), JPG (c8) and DAC (cc), which share the range. */
function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function pngDetail(bytes: Uint8Array): string | undefined {
  if (bytes.length < 26) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return pictureDetail(view.getUint32(16), view.getUint32(20), pngColours[view.getUint8(25)]);
}

function gifDetail(bytes: Uint8Array): string | undefined {
  if (bytes.length < 10) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return pictureDetail(view.getUint16(6, true), view.getUint16(8, true), "palette");
}

function pictureDetail(width: number, height: number, colours: string | undefined): string {
  return `${width}×${height}${colours === undefined ? "" : ` ${colours}`}`;
}
