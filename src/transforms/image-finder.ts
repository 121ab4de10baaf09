// The image that a feature of a sample is, found or refused.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";
import { PixelMemory } from "../kernels/pixels.ts";
import { ByteImage } from "./byte-image.ts";
import { requireTensor } from "./feature.ts";
import { FloatImage } from "./float-image.ts";
import type { Image } from "./image.ts";

/**
 * Makes a function that finds a feature's image. What it gives is valid until it is called again.
 *
 * @throws {KdataError} `shape`, for each sample whose feature is no uint8 or float32 tensor of that shape or has no pixels.
 */
export function imageFinder(feature: string, action: string): (sample: Sample) => Image {
  const memory = new PixelMemory();
  return (sample) => {
    const source = requireTensor(sample, feature, action);
    if (source instanceof ByteImage && source.isWorkable) return source;
    const { dtype, shape } = source;
    const [height = 0, width = 0, channels = 1] = shape;
    const isImage = (shape.length === 2 || shape.length === 3) && height > 0 && width > 0 && channels > 0;
    if (isImage && dtype === "float32") return new FloatImage(source as Tensor<"float32">);
    if (isImage && dtype === "uint8" && channels <= 4) return ByteImage.of(source as Tensor<"uint8">, memory);
    throw new KdataError(
      "shape",
      `Cannot ${action} '${feature}': ${dtype} [${shape.join(", ")}] is no image: uint8 [height, width, 1 to 4 channels], or float32`,
      { at: sample.origin },
    );
  };
}
