// What a transform is: a plain description that crosses into a worker thread, and the function that is built from it there.

import { RandomStream, deriveKey } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";

/**
 * Maps a sample to another one, or filters it out by returning `undefined`: it then moves no other sample of its epoch. The
 * given sample is left as it is; features that do not change are shared with it.
 *
 * A transform may keep memory for its result and reuse it: what it returns is valid until it is called again. `random` makes
 * the stream it draws from for this sample; a transform that never draws pays nothing.
 */
export type Transform = (sample: Sample, random: () => RandomStream) => Sample | undefined;

/**
 * Maps a record of the data set, by its number over all shards, through a chain of transforms. `undefined`: one of them filtered
 * it out. Where `times` is given, the milliseconds that each transform takes are added to its element.
 */
export type Pipeline = (sample: Sample, epoch: number, record: number, times?: Float64Array) => Sample | undefined;

/**
 * Chains transforms. What each one draws depends on (seed, epoch, record, its place in the chain) alone: not on the order
 * of the epoch, nor on what the other transforms draw.
 */
export function chainTransforms(transforms: readonly Transform[], seed: number): Pipeline {
  return (sample, epoch, record, times) => {
    let result: Sample | undefined = sample;
    let began = times ? performance.now() : 0;
    for (let place = 0; place < transforms.length && result; place++) {
      const transform = transforms[place] as Transform;
      result = transform(result, () => new RandomStream(deriveKey(seed, epoch, record, place)));
      if (!times) continue;
      const ended = performance.now();
      times[place] = (times[place] ?? 0) + ended - began;
      began = ended;
    }
    return result;
  };
}
