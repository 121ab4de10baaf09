// Gives the elements of a tensor another shape.

import { KdataError } from "../core/errors.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link reshape} returns. */
export interface ReshapeDescription {
  readonly transform: "reshape";
  readonly feature: string;
  readonly shape: readonly number[];
}

/**
 * Gives a feature another shape: that of one sample, without the batch axis. The elements stay in row-major order and are not
 * copied. One size may be -1: it takes what the others leave.
 *
 * @throws {KdataError} `shape`, for each sample whose elements do not fill the shape.
 */
export function reshape(feature: string, shape: readonly number[]): ReshapeDescription {
  const open = shape.filter((size) => size === -1).length;
  if (open > 1 || shape.some((size) => !Number.isSafeInteger(size) || size < -1)) {
    throw new RangeError(`Cannot reshape '${feature}': [${shape.join(", ")}] is not a shape with at most one -1`);
  }
  return { transform: "reshape", feature, shape: [...shape] };
}

/** Builds the transform that {@link reshape} describes. */
export function buildReshape({ feature, shape }: ReshapeDescription): Transform {
  const open = shape.indexOf(-1);
  const known = elementCount(shape.filter((size) => size !== -1));
  return (sample) => {
    const source = requireTensor(sample, feature, "reshape");
    const fits = open < 0 ? source.data.length === known : known > 0 && source.data.length % known === 0;
    if (!fits) {
      throw new KdataError(
        "shape",
        `Cannot reshape '${feature}': [${source.shape.join(", ")}] does not fill [${shape.join(", ")}]`,
        { at: sample.origin },
      );
    }
    const filled = open < 0 ? shape : shape.with(open, source.data.length / known);
    const reshaped: Tensor = { dtype: source.dtype, shape: filled, data: source.data };
    return replaceFeature(sample, feature, reshaped);
  };
}
