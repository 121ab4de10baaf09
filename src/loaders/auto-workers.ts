// `workers: "auto"`: threads only where a sample is worth the hop.

import { availableParallelism } from "node:os";
import { isBytesList, isTensor, type Feature, type Sample } from "../core/sample.ts";
import { isCostly } from "../transforms/registry.ts";
import type { BatchRecipe } from "./batch-maker.ts";
import { recordCount } from "./dataset.ts";
import { firstSamples } from "./first-samples.ts";

// A hop to a thread and back pays where a record costs more than about 2 µs. That is more than the reading and copying of so many
// bytes takes; encoded images, audio and tensors of their size cost far more.
const SMALL_SAMPLE_BYTES = 16 * 1024;

/**
 * Chooses the number of workers by the first record that is not left out, of each source of a mixture: 0 where it is small both as
 * stored and as transformed and no transform takes long, otherwise the number of cores.
 *
 * @throws {KdataError} when the first record cannot be read or transformed, and bad ones are not left out.
 */
export function chooseWorkers(recipe: Omit<BatchRecipe, "makers">): number {
  if (recordCount(recipe.dataset) === 0) return 0;
  const own = recipe.mixture?.sources.flatMap(({ transforms }) => transforms) ?? [];
  const hasCostly = [...own, ...recipe.transforms].some(isCostly);
  for (const first of firstSamples(recipe)) {
    const isSmall =
      first && Math.max(byteLengthOf(first.stored), byteLengthOf(first.transformed)) <= SMALL_SAMPLE_BYTES;
    if (!isSmall || hasCostly) return availableParallelism();
  }
  return 0;
}

function byteLengthOf({ features }: Sample): number {
  let byteLength = 0;
  for (const name in features) byteLength += featureBytes(features[name] as Feature);
  return byteLength;
}

function featureBytes(feature: Feature): number {
  if (typeof feature === "string") return feature.length;
  if (feature instanceof Uint8Array) return feature.byteLength;
  if (isBytesList(feature)) return feature.reduce((sum, item) => sum + item.byteLength, 0);
  return isTensor(feature) ? feature.data.byteLength : JSON.stringify(feature).length;
}
