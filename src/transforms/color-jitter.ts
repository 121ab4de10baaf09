// Changes the colours of images at random, as torchvision does on images of Pillow:
// https://docs.pytorch.org/vision/stable/generated/torchvision.transforms.ColorJitter.html.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames } from "../core/options.ts";
import type { RandomStream } from "../core/random.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import { ByteImage } from "./byte-image.ts";
import { replaceFeature } from "./feature.ts";
import { imageFinder } from "./image-finder.ts";
import type { Transform } from "./transform.ts";

/** A range of factors: from `max(0, 1 - x)` to `1 + x` for a number x. */
type Factors = number | readonly [least: number, greatest: number];

/** The ranges that {@link colorJitter} draws from. Left out: that property stays. */
export interface ColorJitterSettings {
  readonly brightness?: Factors;
  readonly contrast?: Factors;
  readonly saturation?: Factors;
  /** A part of the circle of hues, from -0.5 to 0.5; a number x: from -x to x. */
  readonly hue?: Factors;
}

const properties = ["brightness", "contrast", "saturation", "hue"] as const;
type Property = (typeof properties)[number];

/** The description that {@link colorJitter} returns. */
export interface ColorJitterDescription {
  readonly transform: "colorJitter";
  readonly feature: string;
  /** The range of each property that changes. */
  readonly ranges: Readonly<Partial<Record<Property, readonly [least: number, greatest: number]>>>;
}

/** Changes pixels in place, by a factor. */
type Change = (memory: PixelMemory, start: number, pixels: number, channels: number, factor: number) => void;

const changes: Readonly<Record<Property, Change>> = {
  brightness: (memory, start, pixels, channels, factor) => {
    blendWith(0, memory, start, pixels, channels, factor);
  },
  contrast: (memory, start, pixels, channels, factor) => {
    const mean = Math.trunc(memory.kernel.sumOfGrey(start, pixels, channels) / pixels + 0.5);
    blendWith(mean, memory, start, pixels, channels, factor);
  },
  saturation: (memory, start, pixels, channels, factor) => {
    if (channels >= 3) memory.kernel.saturate(start, pixels, channels, factor);
  },
  hue: (memory, start, pixels, channels, factor) => {
    if (channels >= 3) memory.kernel.turnHue(start, pixels, channels, Math.trunc(factor * 255) & 255);
  },
};

/**
 * Changes brightness, contrast, saturation and hue of an image, uint8 [height, width, channels] or [height, width], by factors and
 * in an order that are drawn for each sample. Alpha stays; grey images have neither saturation nor hue.
 *
 * The definitions are those of Pillow's ImageEnhance: a brightness of 0 is black, a contrast of 0 the mean grey, a saturation of 0
 * grey, 1 the image itself; the hue turns through HSV.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no image of bytes.
 *
 * @example
 * const image = tensor("uint8", [1, 1, 3], Uint8Array.of(100, 50, 20));
 * const { x } = applyTransform(colorJitter("x", { brightness: [2, 2] }), { x: image });
 * assert.deepEqual([...x.data], [200, 100, 40]);
 */
export function colorJitter(feature: string, settings: ColorJitterSettings): ColorJitterDescription {
  const action = `Cannot jitter '${feature}'`;
  checkOptionNames(action, settings, properties);
  const ranges: Partial<Record<Property, readonly [number, number]>> = {};
  for (const property of properties) {
    const value = settings[property];
    if (value !== undefined) ranges[property] = toRange(action, property, value);
  }
  return { transform: "colorJitter", feature, ranges };
}

/** Builds the transform that {@link colorJitter} describes. */
export function buildColorJitter({ feature, ranges }: ColorJitterDescription): Transform {
  const findImage = imageFinder(feature, "jitter");
  return (sample, random) => {
    const image = findImage(sample);
    if (!(image instanceof ByteImage)) {
      throw new KdataError("shape", `Cannot jitter '${feature}': it is ${image.dtype}, not uint8`, {
        at: sample.origin,
        hint: "put colorJitter before normalize",
      });
    }
    const stream = random();
    const order = drawOrder(stream);
    const factors = properties.map((property) => drawFactor(ranges[property], stream));
    const jittered = image.copy().edit((memory, start, pixels, channels) => {
      for (const i of order) {
        const [property, factor] = [properties[i], factors[i]];
        if (property && factor !== undefined) changes[property](memory, start, pixels, channels, factor);
      }
    });
    return replaceFeature(sample, feature, jittered);
  };
}

function toRange(action: string, property: Property, value: Factors): readonly [number, number] {
  const [lowest, centre, highest] = property === "hue" ? [-0.5, 0, 0.5] : [0, 1, Infinity];
  const isNumber = typeof value === "number";
  const [least, greatest] = isNumber ? [Math.max(lowest, centre - value), centre + value] : value;
  const isRange = least >= lowest && least <= greatest && greatest <= highest && Number.isFinite(greatest);
  if (isRange && (!isNumber || value >= 0)) return [least, greatest];
  throw new RangeError(`${action}: ${JSON.stringify(value)} is no range of ${property}`);
}

function drawOrder(stream: RandomStream): number[] {
  const order: number[] = properties.map((_, i) => i);
  stream.shuffle(order);
  return order;
}

/** Draws whether or not there is a range, so that one property does not change what the others draw. */
function drawFactor(range: readonly [number, number] | undefined, stream: RandomStream): number | undefined {
  const part = stream.uniform();
  return range && range[0] + (range[1] - range[0]) * part;
}

function blendWith(
  grey: number,
  memory: PixelMemory,
  start: number,
  pixels: number,
  channels: number,
  factor: number,
): void {
  const table = memory.allocate(256);
  const alpha = Math.fround(factor);
  const bytes = memory.bytes(table, 256);
  // A float cut to a whole number, as Image.blend does.
  for (let i = 0; i < 256; i++) {
    const blended = Math.fround(grey + Math.fround(alpha * (i - grey)));
    bytes[i] = Math.min(255, Math.max(0, Math.trunc(blended)));
  }
  memory.kernel.lookUpBytes(start, pixels, channels, channels >= 3 ? 3 : 1, table);
}
