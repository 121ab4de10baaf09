// What a transform is: a plain description that crosses into a worker thread, and the function that is built from it there.

import { RandomStream, deriveKey } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";

/**
 * Maps a sample to another one. The given sample is left as it is; features that do not change are shared with it.
 *
 * A transform may keep memory for its result and reuse it: what it returns is valid until it is called again. `random` makes
 * the stream it draws from for this sample; a transform that never draws pays nothing.
 */
export type Transform = (sample: Sample, random: () => RandomStream) => Sample;

/** Maps a record of the data set, by its number over all shards, through a chain of transforms. */
export type Pipeline = (sample: Sample, epoch: number, record: number) => Sample;

/**
 * Chains transforms. What each one draws depends on (seed, epoch, record, its place in the chain) alone: not on the order
 * of the epoch, nor on what the other transforms draw.
 */
export function chainTransforms(transforms: readonly Transform[], seed: number): Pipeline {
  return (sample, epoch, record) => {
    let result = sample;
    let place = 0;
    for (const transform of transforms) {
      const key = [seed, epoch, record, place++] as const;
      result = transform(result, () => new RandomStream(deriveKey(...key)));
    }
    return result;
  };
}
