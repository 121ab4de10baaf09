// What an epoch of a recipe is: how long, in which order, and what becomes of its samples. One data set or a mixture of several.

import { cachePlace, splitChain } from "../transforms/chain.ts";
import { buildTransform, type TransformDescription } from "../transforms/registry.ts";
import { chainTransforms, type Pipeline, type SampleStore } from "../transforms/transform.ts";
import { recordCount, type Dataset } from "./dataset.ts";
import { mixedOrder, mixedPipeline, mixedTransforms, type Mixture } from "./mixture.ts";
import type { LengthWindows } from "./length-windows.ts";
import type { SampleCache } from "./sample-cache.ts";
import { epochOrder, type Order, type Shuffle } from "./order.ts";

/** What of a recipe says what its epochs are. */
export interface EpochRecipe {
  readonly dataset: Dataset;
  readonly transforms: readonly TransformDescription[];
  readonly shuffle: Shuffle;
  readonly seed: number;
  /** What makes a mixture of a data set that was joined from several. */
  readonly mixture?: Mixture;
  /** Where transforms choose samples by their lengths. */
  readonly windows?: LengthWindows;
  /** Where a transform keeps samples. */
  readonly cache?: SampleCache;
}

/** Counts the positions of one epoch. */
export function epochLength({ dataset, mixture }: EpochRecipe): number {
  return mixture ? mixture.epochLength : recordCount(dataset);
}

/** Makes the order of one epoch: a record, in a mixture a visit as {@link mixedOrder} says, for each position. */
export function orderOf({ dataset, mixture, shuffle, seed }: EpochRecipe, epoch: number): Order {
  if (mixture) return mixedOrder({ mixture, shuffle, seed }, epoch);
  return epochOrder({ records: recordCount(dataset), shuffle, seed, epoch });
}

/**
 * Builds the transforms of samples. What comes to the transform that keeps samples is put into `store`, where there is one.
 *
 * @throws {KdataError} `usage` when there is no such transform.
 */
export function pipelineOf({ mixture, transforms, seed }: EpochRecipe, store?: SampleStore): Pipeline {
  const { ofSamples } = splitChain(transforms);
  const place = cachePlace(ofSamples);
  const cache = store && place !== undefined ? { store, place } : undefined;
  if (mixture) return mixedPipeline(mixture, ofSamples, seed, cache);
  return chainTransforms(ofSamples.map(buildTransform), seed, cache);
}

/** Names every transform: those of samples in the order in which the pipeline counts them for its `times`, then those of batches. */
export function transformNames({ mixture, transforms }: EpochRecipe): readonly string[] {
  if (mixture) return mixedTransforms(mixture, transforms);
  return transforms.map(({ transform }) => transform);
}
