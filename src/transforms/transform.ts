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

/** Keeps what a part of a chain makes of each record. */
export interface SampleStore {
  /** What {@link find} gave last. */
  readonly found: Sample | undefined;
  /** Finds a sample, valid until the next call: `null` where the record was filtered out, `undefined` where it is not kept. */
  find(record: number): Sample | null | undefined;
  /** Keeps a sample, or that there is none, where there is room. */
  put(record: number, sample: Sample | undefined): void;
}

/** A store, and the place in the chain of the transform that keeps in it. */
export interface ChainCache {
  readonly place: number;
  readonly store: SampleStore;
}

/**
 * Chains transforms. What each one draws depends on (seed, epoch, record, its place in the chain) alone: not on the order
 * of the epoch, nor on what the other transforms draw.
 *
 * With a cache, those before its place are left out for the sample that its store has found, and draw in every epoch what they draw in
 * the first one.
 */
export function chainTransforms(transforms: readonly Transform[], seed: number, cache?: ChainCache): Pipeline {
  const kept = cache?.place ?? -1;
  return (sample, epoch, record, times) => {
    let result: Sample | undefined = sample;
    let began = times ? performance.now() : 0;
    const isFound = cache !== undefined && cache.store.found === sample;
    for (let place = isFound ? kept + 1 : 0; place < transforms.length && result; place++) {
      const transform = transforms[place] as Transform;
      const drawn = place < kept ? 0 : epoch;
      result = transform(result, () => new RandomStream(deriveKey(seed, drawn, record, place)));
      if (cache && place <= kept && (place === kept || !result)) cache.store.put(record, result);
      if (!times) continue;
      const ended = performance.now();
      times[place] = (times[place] ?? 0) + ended - began;
      began = ended;
    }
    return result;
  };
}
