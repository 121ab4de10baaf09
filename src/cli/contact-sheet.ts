// A contact sheet: the first images of a data set in one picture, with their labels, for `kdata inspect --sheet`. Drawn by sharp
// (https://sharp.pixelplumbing.com), which is loaded only here.

import { KdataError, messageOf } from "../core/errors.ts";
import { isTensor, type Feature, type Sample } from "../core/sample.ts";
import { bytesOf, type Tensor } from "../core/tensor.ts";
import { findMediaSignature } from "../readers/media-signatures.ts";
import { writeWhole } from "./foreign-index.ts";

const MOST_IMAGES = 64;
const COLUMNS = 8;
/** Pixels of the side of a picture, of the text under it, and between pictures. */
const TILE = 112;
const CAPTION = 18;
const GAP = 8;
/** Letters of 11 pixels that fit under a picture. */
const MOST_LETTERS = 17;
const FEWEST_PIXELS = 4; // a tensor of a smaller side is no picture
const PACKAGE = "sharp";

/** Which features a sheet shows. */
export interface SheetFeatures {
  /** Of the images; found by content if left out. */
  readonly image?: string;
  /** Of the labels; if left out the first feature of one number or a short text, else the key. */
  readonly label?: string;
}

/** What a sheet is of. */
export interface SheetReport {
  readonly path: string;
  readonly images: number;
  /** The names of the features. */
  readonly image: string;
  readonly label: string | undefined;
}

/** Pixels as sharp takes them, or an encoded file. */
type Picture =
  | { readonly kind: "encoded"; readonly bytes: Uint8Array }
  | {
      readonly kind: "raw";
      readonly bytes: Uint8Array;
      readonly width: number;
      readonly height: number;
      readonly channels: 1 | 3 | 4;
    };

/** Gathers up to 64 samples with an image and draws them. */
export class ContactSheet {
  readonly #names: SheetFeatures;
  readonly #tiles: { readonly picture: Picture; readonly label: string }[] = [];
  #image: string | undefined;
  #label: string | undefined;

  constructor(names: SheetFeatures = {}) {
    this.#names = names;
  }

  /** Says whether it takes no more samples. */
  isFull(): boolean {
    return this.#tiles.length === MOST_IMAGES;
  }

  /**
   * Takes the image and the label of a sample; one without an image is passed over. The memory is copied.
   *
   * @throws {KdataError} `usage` when the sample has no feature of a name that was given, or it holds no image.
   */
  add({ key, features }: Sample): void {
    if (this.isFull()) return;
    this.#image ??= this.#names.image ?? Object.keys(features).find((name) => pictureOf(features[name]) !== undefined);
    if (this.#image === undefined) return;
    const picture = pictureOf(features[this.#image]);
    if (picture === undefined) {
      if (this.#names.image === undefined) return;
      const names = Object.keys(features).join(", ");
      throw new KdataError("usage", `Cannot draw a sheet: "${this.#image}" of sample "${key}" is no image`, {
        hint: `The features are ${names}.`,
      });
    }
    this.#label ??= this.#names.label ?? Object.keys(features).find((name) => captionOf(features[name]) !== undefined);
    const label = this.#label === undefined ? undefined : features[this.#label];
    if (this.#names.label !== undefined && label === undefined) {
      throw new KdataError("usage", `Cannot draw a sheet: sample "${key}" has no feature "${this.#names.label}"`);
    }
    const caption = captionOf(label) ?? key;
    this.#tiles.push({ picture: { ...picture, bytes: new Uint8Array(picture.bytes) }, label: caption });
  }

  /**
   * Draws the sheet as a PNG. It gets its name only when it is whole.
   *
   * @throws {KdataError} `shape` when there is no image, `format` when an image cannot be decoded, `package` when sharp is not
   *   there, `output` when the disk refuses.
   */
  async write(path: string): Promise<SheetReport> {
    if (this.#image === undefined || this.#tiles.length === 0) {
      throw new KdataError("shape", "Cannot draw a sheet: no feature is an image", {
        hint: "Name it: --image FEATURE. Images are encoded bytes, or uint8 tensors of height, width and 1, 3 or 4 channels.",
      });
    }
    const sharp = await loadSharp();
    const columns = Math.min(COLUMNS, this.#tiles.length);
    const rows = Math.ceil(this.#tiles.length / columns);
    const [width, height] = [columns * (TILE + GAP) + GAP, rows * (TILE + CAPTION + GAP) + GAP];
    const layers: { input: Buffer; left: number; top: number }[] = [];
    for (const [number, { picture }] of this.#tiles.entries()) {
      layers.push({ input: await drawn(sharp, picture, number), ...placeOf(number, columns) });
    }
    layers.push({
      input: captions(
        this.#tiles.map(({ label }) => label),
        columns,
        width,
        height,
      ),
      left: 0,
      top: 0,
    });
    const canvas = sharp({ create: { width, height, channels: 3, background: "#ffffff" } });
    writeWhole(path, await canvas.composite(layers).png().toBuffer());
    return { path, images: this.#tiles.length, image: this.#image, label: this.#label };
  }
}

type Sharp = (typeof import("sharp"))["default"];

async function loadSharp(): Promise<Sharp> {
  try {
    return (await import("sharp")).default;
  } catch (cause) {
    throw new KdataError("package", `Cannot draw a sheet: the package ${PACKAGE} is not there`, {
      hint: `npm install ${PACKAGE}`,
      cause,
    });
  }
}

function placeOf(number: number, columns: number): { left: number; top: number } {
  const [row, column] = [Math.floor(number / columns), number % columns];
  return { left: GAP + column * (TILE + GAP), top: GAP + row * (TILE + CAPTION + GAP) };
}

/** Fits a picture into a tile. Small ones are enlarged without smoothing, so that their pixels are seen. */
async function drawn(sharp: Sharp, picture: Picture, number: number): Promise<Buffer> {
  try {
    const image =
      picture.kind === "encoded"
        ? sharp(picture.bytes, { limitInputPixels: 100_000_000 })
        : sharp(picture.bytes, {
            raw: { width: picture.width, height: picture.height, channels: picture.channels },
          });
    const { width, height } = picture.kind === "raw" ? picture : await image.metadata();
    const kernel = Math.max(width, height) < TILE ? "nearest" : "lanczos3";
    const resized = image.resize(TILE, TILE, { fit: "contain", background: "#e8e8e8", kernel });
    return await resized.flatten({ background: "#ffffff" }).toColourspace("srgb").png().toBuffer();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new KdataError("format", `Cannot draw a sheet: image ${number} cannot be decoded: ${reason}`, { cause });
  }
}

/** The labels, each under its picture. */
function captions(labels: readonly string[], columns: number, width: number, height: number): Buffer {
  const texts = labels.map((label, number) => {
    const { left, top } = placeOf(number, columns);
    const place = `x="${left + TILE / 2}" y="${top + TILE + 13}"`;
    return `<text ${place} text-anchor="middle" font-family="sans-serif" font-size="11" fill="#202020">${escaped(label)}</text>`;
  });
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${texts.join("")}</svg>`,
  );
}

/** Shortens a label to its end, which is what tells keys apart, and escapes what XML would take for markup or refuse. */
function escaped(label: string): string {
  const letters = Array.from(label);
  const shown = letters.length > MOST_LETTERS ? `…${letters.slice(1 - MOST_LETTERS).join("")}` : label;
  return shown
    .replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, " ")
    .replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
}

/** Finds the picture that a feature holds; `undefined` when it holds none. */
function pictureOf(feature: Feature | undefined): Picture | undefined {
  if (feature === undefined) return undefined;
  if (feature instanceof Uint8Array) {
    return findMediaSignature(feature)?.type.startsWith("image/") === true
      ? { kind: "encoded", bytes: feature }
      : undefined;
  }
  return isTensor(feature) ? pixelsOf(feature) : undefined;
}

/** [height, width] or [height, width, 1, 3 or 4], uint8. */
function pixelsOf({ dtype, shape, data }: Tensor): Picture | undefined {
  const [height = 0, width = 0, channels = 1] = shape;
  const isPicture = (shape.length === 2 || shape.length === 3) && Math.min(height, width) >= FEWEST_PIXELS;
  if (dtype !== "uint8" || !isPicture || (channels !== 1 && channels !== 3 && channels !== 4)) return undefined;
  return { kind: "raw", bytes: bytesOf(data), width, height, channels };
}

/** One number, or a text. */
function captionOf(feature: Feature | undefined): string | undefined {
  if (typeof feature === "string") return feature;
  if (feature === undefined || !isTensor(feature) || feature.data.length !== 1) return undefined;
  const isPacked = feature.dtype === "float16" || feature.dtype === "bfloat16";
  return isPacked ? undefined : String(feature.data[0]);
}
