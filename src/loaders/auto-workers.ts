// `workers: "auto"`: threads only where a sample is worth the hop.

import { availableParallelism } from "node:os";
import { isSampleError } from "../core/errors.ts";
import { isBytesList, isTensor, type Feature, type Sample } from "../core/sample.ts";
import { splitChain } from "../transforms/chain.ts";
import { buildTransform, isCostly } from "../transforms/registry.ts";
import { chainTransforms } from "../transforms/transform.ts";
import type { BatchRecipe } from "./batch-maker.ts";
import { recordCount } from "./dataset.ts";
import { RecordReader } from "./record-reader.ts";

// A hop to a thread and back pays where a record costs more than about 2 µs. That is more than the reading and copying of so many
// bytes takes; encoded images, audio and tensors of their size cost far more.
const SMALL_SAMPLE_BYTES = 16 * 1024;

// Where bad samples are left out, so many at the start may be bad before the number of cores is taken.
const MAX_TRIED = 8;

/**
 * Chooses the number of workers by the first record that is not left out: 0 where it is small both as stored and as transformed
 * and no transform takes long, otherwise the number of cores.
 *
 * @throws {KdataError} when the first record cannot be read or transformed, and bad ones are not left out.
 */
export function chooseWorkers({ dataset, transforms, seed, skipsBad = false }: Omit<BatchRecipe, "makers">): number {
  const hasCostly = transforms.some(isCostly);
  const reader = new RecordReader(dataset);
  const pipeline = chainTransforms(splitChain(transforms).ofSamples.map(buildTransform), seed);
  try {
    const records = Math.min(MAX_TRIED, recordCount(dataset));
    for (let record = 0; record < records; record++) {
      try {
        const stored = reader.read(record);
        const storedBytes = byteLengthOf(stored);
        const transformed = pipeline(stored, 0, record);
        if (!transformed) continue;
        const isSmall = Math.max(storedBytes, byteLengthOf(transformed)) <= SMALL_SAMPLE_BYTES;
        return isSmall && !hasCostly ? 0 : availableParallelism();
      } catch (error) {
        if (!skipsBad || !isSampleError(error)) throw error;
      }
    }
    return records === 0 ? 0 : availableParallelism();
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
