// `workers: "auto"`: threads only where a sample is worth the hop.

import { availableParallelism } from "node:os";
import { isBytesList, isTensor, type Feature, type Sample } from "../core/sample.ts";
import type { BatchRecipe } from "./batch-maker.ts";
import { recordCount } from "./dataset.ts";
import { pipelineOf } from "./epoch.ts";
import { RecordReader } from "./record-reader.ts";

// A hop to a thread and back pays where a record costs more than about 2 µs. That is more than the reading and copying of so many
// bytes takes; encoded images, audio and tensors of their size cost far more.
const SMALL_SAMPLE_BYTES = 16 * 1024;

/**
 * Chooses the number of workers by the first record, of each source of a mixture: 0 where it is small both as stored and as
 * transformed, otherwise the number of cores.
 *
 * @throws {KdataError} when the first record cannot be read or transformed.
 */
export function chooseWorkers(recipe: Omit<BatchRecipe, "makers">): number {
  if (recordCount(recipe.dataset) === 0) return 0;
  const reader = new RecordReader(recipe.dataset);
  const pipeline = pipelineOf(recipe);
  try {
    const firsts = recipe.mixture?.sources.map(({ firstRecord }) => firstRecord) ?? [0];
    const isSmall = firsts.every((record) => {
      const stored = reader.read(record);
      const storedBytes = byteLengthOf(stored);
      return Math.max(storedBytes, byteLengthOf(pipeline(stored, 0, record))) <= SMALL_SAMPLE_BYTES;
    });
    return isSmall ? 0 : availableParallelism();
  } finally {
    reader.close();
  }
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
