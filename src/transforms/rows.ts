// Transforms of many samples at once: their features are stacked, and what a transform does to each element does not depend on
// the sample that it is in.

import type { Sample } from "../core/sample.ts";
import { elementCount, type Tensor } from "../core/tensor.ts";
import { buildCast } from "./cast.ts";
import { requireTensor } from "./feature.ts";
import { buildNormalize } from "./normalize.ts";
import { buildOneHot } from "./one-hot.ts";
import type { SampleTransformDescription } from "./registry.ts";
import { buildRename } from "./rename.ts";
import { buildReshape } from "./reshape.ts";
import { buildSelect } from "./select.ts";

/**
 * Maps stacked samples: every feature is a tensor whose leading axis counts them. `undefined`: only sample by sample.
 *
 * @throws {KdataError} where a sample by itself is an error, too, but without its position.
 */
export type RowsTransform = (stacked: Sample) => Sample | undefined;

/**
 * Builds a transform of stacked samples whose result is bit for bit the stack of what the transform gives for each sample.
 * `undefined` where there is none.
 */
export function buildRowsTransform(description: SampleTransformDescription): RowsTransform | undefined {
  switch (description.transform) {
    case "select": {
      const select = buildSelect(description);
      return (stacked) => select(stacked, noRandom);
    }
    case "cast": {
      const cast = buildCast(description);
      return (stacked) => cast(stacked, noRandom);
    }
    case "normalize": {
      const normalize = buildNormalize(description);
      // A scalar has no last axis; stacked ones have, and it must not be taken for the channels.
      return (stacked) => (rankOf(stacked, description.feature) > 1 ? normalize(stacked, noRandom) : undefined);
    }
    case "reshape": {
      return (stacked) => {
        const { shape } = requireTensor(stacked, description.feature, "reshape");
        const rows = shape[0] ?? 0;
        const filled = fillRow(description.shape, elementCount(shape.slice(1)));
        if (!filled) return undefined;
        return buildReshape({ ...description, shape: [rows, ...filled] })(stacked, noRandom);
      };
    }
    case "oneHot": {
      const oneHot = buildOneHot(description);
      return (stacked) => oneHot(stacked, noRandom);
    }
    case "rename": {
      const rename = buildRename(description);
      return (stacked) => rename(stacked, noRandom);
    }
    case "bucketByLength": {
      return (stacked) => stacked;
    }
    case "cache":
    case "centerCrop":
    case "colorJitter":
    case "concat":
    case "decodeImage":
    case "decodeRaw":
    case "decodeText":
    case "filter":
    case "layout":
    case "map":
    case "pad":
    case "parseJson":
    case "randomCrop":
    case "randomFlip":
    case "randomResizedCrop":
    case "resize":
    case "stack":
    case "template":
    case "tokenize":
      return undefined;
  }
}

function rankOf({ features }: Sample, name: string): number {
  const feature = features[name] as Tensor | undefined;
  return feature?.shape.length ?? 0;
}

/** Completes a shape with one size of -1; `undefined` where the elements do not fill it. */
function fillRow(shape: readonly number[], elements: number): readonly number[] | undefined {
  const known = elementCount(shape.filter((size) => size !== -1));
  const open = known > 0 ? elements / known : NaN;
  const filled = shape.map((size) => (size === -1 ? open : size));
  return Number.isInteger(elementCount(filled)) && elementCount(filled) === elements ? filled : undefined;
}

function noRandom(): never {
  throw new TypeError("Cannot draw random numbers for stacked samples");
}
