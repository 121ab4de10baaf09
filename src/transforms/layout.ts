// The order of an image's axes: channels last, as images are stored, or first, as many models take them.

import { KdataError } from "../core/errors.ts";
import { checkName } from "../core/options.ts";
import type { Tensor } from "../core/tensor.ts";
import { ByteImage } from "./byte-image.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** An order of the axes of a batch of images: N samples, C channels, H rows, W columns. */
export type ImageLayout = "NHWC" | "NCHW";

/** The description that {@link layout} returns. */
export interface LayoutDescription {
  readonly transform: "layout";
  readonly feature: string;
  readonly to: ImageLayout;
}

/**
 * Moves the channels of an image, of any dtype: `NCHW` makes [channels, height, width] of [height, width, channels], `NHWC` the other
 * way round. The batch axis N, which one sample has not yet, comes first in both. The last transform of an image: the others
 * take the channels last.
 *
 * @throws {KdataError} `shape`, for each sample whose feature has not three axes.
 *
 * @example
 * const image = tensor("uint8", [1, 2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6));
 * const { x } = applyTransform(layout("x", "NCHW"), { x: image });
 * assert.deepEqual([x.shape, [...x.data]], [[3, 1, 2], [1, 4, 2, 5, 3, 6]]);
 */
export function layout(feature: string, to: ImageLayout): LayoutDescription {
  checkName(`Cannot lay '${feature}' out`, "layout", to, ["NHWC", "NCHW"]);
  return { transform: "layout", feature, to };
}

/** Builds the transform that {@link layout} describes. */
export function buildLayout({ feature, to }: LayoutDescription): Transform {
  const move = to === "NCHW" ? mover(1) : mover(0);
  return (sample) => {
    const source = requireTensor(sample, feature, "lay out");
    if (source.shape.length !== 3) {
      const reason = `[${source.shape.join(", ")}] is not a shape of rows, columns and channels`;
      throw new KdataError("shape", `Cannot lay '${feature}' out: ${reason}`, { at: sample.origin });
    }
    const isDeferred = to === "NCHW" && source instanceof ByteImage && source.hasChannelsLast;
    return replaceFeature(sample, feature, isDeferred ? source.toPlanes() : move(source));
  };
}

/** Makes a function that moves the last axis to the front (1), or the first one to the end (0): a matrix transposed. */
function mover(channelsFirst: 0 | 1): (source: Tensor) => Tensor {
  let elements = reusedElements("uint8") as ReturnType<typeof reusedElements>;
  let dtype: Tensor["dtype"] = "uint8";
  return (source) => {
    const [a = 0, b = 0, c = 0] = source.shape;
    const [rows, columns] = channelsFirst ? [a * b, c] : [a, b * c];
    if (dtype !== source.dtype) {
      dtype = source.dtype;
      elements = reusedElements(dtype);
    }
    const data = elements(source.data.length);
    // Both have one dtype, but the compiler cannot pair the members of two unions: any one of them stands for all.
    const [from, into] = [source.data as Float64Array, data as Float64Array];
    for (let row = 0, at = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) into[column * rows + row] = from[at++] as number;
    }
    return { dtype, shape: channelsFirst ? [c, a, b] : [b, c, a], data };
  };
}
