// Class numbers as one-hot vectors, as torch.nn.functional.one_hot and keras.ops.one_hot make them.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { Tensor } from "../core/tensor.ts";
import { replaceFeature, requireTensor } from "./feature.ts";
import { reusedElements } from "./scratch.ts";
import type { Transform } from "./transform.ts";

/** How {@link oneHot} fills its vectors. */
export interface OneHotSettings {
  /**
   * Takes so much from the class and spreads it evenly over all classes: 1 - smoothing + smoothing / classes, and smoothing / classes
   * for the others (Szegedy et al., "Rethinking the Inception Architecture", 2016). From 0 to 1, default 0.
   */
  readonly smoothing?: number;
}

/** The description that {@link oneHot} returns. */
export interface OneHotDescription {
  readonly transform: "oneHot";
  readonly feature: string;
  readonly classes: number;
  readonly smoothing: number;
}

const MAX_CLASSES = 2 ** 24; // a vector of more takes 64 MiB

/**
 * Makes one-hot vectors of class numbers: a tensor of whole numbers [...s], of any integer dtype or `bool`, becomes float32
 * [...s, classes].
 *
 * @throws {KdataError} `shape`, for each sample with a number that is not from 0 to classes - 1, or a feature that holds no whole
 *   numbers.
 *
 * @example
 * const label = tensor("int64", [], BigInt64Array.of(2n));
 * assert.deepEqual([...applyTransform(oneHot("y", 4), { y: label }).y.data], [0, 0, 1, 0]);
 */
export function oneHot(feature: string, classes: number, settings: OneHotSettings = {}): OneHotDescription {
  const action = `Cannot make '${feature}' one-hot`;
  checkOptionNames(action, settings, ["smoothing"]);
  checkWhole(action, "classes", classes, 1, MAX_CLASSES);
  const { smoothing = 0 } = settings;
  if (!(smoothing >= 0 && smoothing <= 1)) {
    throw new RangeError(`${action}: smoothing must be from 0 to 1, not ${smoothing}`);
  }
  return { transform: "oneHot", feature, classes, smoothing };
}

/** Builds the transform that {@link oneHot} describes. */
export function buildOneHot({ feature, classes, smoothing }: OneHotDescription): Transform {
  const elements = reusedElements("float32");
  const off = smoothing / classes;
  const on = 1 - smoothing + off;
  return (sample) => {
    const source = requireTensor(sample, feature, "make one-hot");
    const { length } = source.data;
    const data = elements(length * classes).fill(off);
    for (let i = 0; i < length; i++) {
      const label = classAt(source, i);
      if (!(label >= 0 && label < classes)) {
        const what = Number.isNaN(label)
          ? `it is ${source.dtype}, not whole numbers`
          : `${label} is no class from 0 to ${classes - 1}`;
        throw new KdataError("shape", `Cannot make '${feature}' one-hot: ${what}`, { at: sample.origin });
      }
      data[i * classes + label] = on;
    }
    return replaceFeature(sample, feature, { dtype: "float32", shape: [...source.shape, classes], data });
  };
}

/** NaN where the dtype is not one of whole numbers. A number too large for a double is too large for a class, too. */
function classAt({ dtype, data }: Tensor, i: number): number {
  return dtype === "bool" || dtype.includes("int") ? Number(data[i]) : NaN;
}
