// What an epoch of a recipe is: how long, in which order, and what becomes of its samples. One data set or a mixture of several.

import { buildTransform } from "../transforms/registry.ts";
import { chainTransforms, type Pipeline } from "../transforms/transform.ts";
import type { BatchRecipe } from "./batch-maker.ts";
import { recordCount } from "./dataset.ts";
import { mixedOrder, mixedPipeline } from "./mixture.ts";
import { epochOrder, type Order } from "./order.ts";

/** Counts the positions of one epoch. */
export function epochLength({ dataset, mixture }: BatchRecipe): number {
  return mixture ? mixture.epochLength : recordCount(dataset);
}

/** Makes the order of one epoch: a record, in a mixture a visit as {@link mixedOrder} says, for each position. */
export function orderOf({ dataset, mixture, shuffle, seed }: BatchRecipe, epoch: number): Order {
  if (mixture) return mixedOrder({ mixture, shuffle, seed }, epoch);
  return epochOrder({ records: recordCount(dataset), shuffle, seed, epoch });
}

/**
 * Builds the transforms.
 *
 * @throws {KdataError} `usage` when there is no such transform.
 */
export function pipelineOf({ mixture, transforms, seed }: Omit<BatchRecipe, "makers">): Pipeline {
  if (mixture) return mixedPipeline(mixture, transforms, seed);
  return chainTransforms(transforms.map(buildTransform), seed);
}
