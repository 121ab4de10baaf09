// Several data sets as one endless sequence: whose turn it is comes from a schedule, what it gives from an order of its own. An epoch of
// the mixture is a piece of that sequence; the sources have epochs of their own and go on where they are.

import { buildTransform, type SampleTransformDescription, type TransformDescription } from "../transforms/registry.ts";
import { chainTransforms, type ChainCache, type Pipeline } from "../transforms/transform.ts";
import { epochOrder, type Order, type Shuffle } from "./order.ts";
import { positionAfterTurns, scheduleOf, turnAt, turnsBefore, type Schedule } from "./schedule.ts";
import type { MixtureState } from "./state.ts";

/**
 * When an epoch of a mixture ends:
 *
 * - `first-exhausted`: when the first source has given each of its records once
 * - `all-exhausted`: when every source has; those that are through earlier begin again, in another order
 * - `{ steps }`: after so many steps
 */
export type MixStop = "first-exhausted" | "all-exhausted" | { readonly steps: number };

/** One source of a mixture. */
export interface MixtureSource {
  /** For messages: its spec. */
  readonly name: string;
  /** The number of its first record in the joined data set, and how many it has. */
  readonly firstRecord: number;
  readonly records: number;
  /** Its own, applied before those of all sources. */
  readonly transforms: readonly SampleTransformDescription[];
}

/** A point of the sequence from which its other points are counted. */
export interface MixtureAnchor {
  readonly epoch: number;
  /** The position in this epoch. */
  readonly samples: number;
  /** How many samples the weights have held for at this point, and what each source had given before they did. */
  readonly since: number;
  readonly taken: readonly number[];
}

/** What turns a joined data set into a mixture. Plain data and shared memory, which can cross a thread. */
export interface Mixture {
  readonly sources: readonly MixtureSource[];
  readonly schedule: Schedule;
  /** Positions of one epoch. */
  readonly epochLength: number;
  readonly anchor: MixtureAnchor;
}

/** What the orders of a mixture depend on beside it. */
interface MixtureSettings {
  readonly mixture: Mixture;
  readonly shuffle: Shuffle;
  readonly seed: number;
}

/** Finds the length of an epoch that ends when sources are through, in samples. */
export function lengthUntil(
  stop: "first-exhausted" | "all-exhausted",
  schedule: Schedule,
  records: readonly number[],
): number {
  const ends = records.map((count, source) => positionAfterTurns(schedule, source, count));
  return stop === "first-exhausted" ? Math.min(...ends) : Math.max(...ends);
}

/**
 * Makes the order of one epoch of a mixture. It gives for each position a *visit*: the number of the record in the joined data set, plus
 * the number of all records times the epochs that its source has behind it.
 */
export function mixedOrder({ mixture, shuffle, seed }: MixtureSettings, epoch: number): Order {
  const { sources, schedule, epochLength, anchor } = mixture;
  const total = recordsOf(mixture);
  const start = anchor.since - anchor.samples + (epoch - anchor.epoch) * epochLength;
  const orders = sources.map((): { epoch: number; recordAt: Order } | undefined => undefined);
  return (position) => {
    const place = start + position;
    // Padding may ask for the start of an epoch in which the weights changed later on: it gets what came after the change.
    const { source, count } = turnAt(schedule, place < 0 ? -1 - place : place);
    const { records, firstRecord } = sources[source] as MixtureSource;
    const given = (anchor.taken[source] as number) + count;
    const sourceEpoch = Math.floor(given / records);
    let order = orders[source];
    if (order?.epoch !== sourceEpoch) {
      order = { epoch: sourceEpoch, recordAt: epochOrder({ records, shuffle, seed, epoch: sourceEpoch, source }) };
      orders[source] = order;
    }
    return sourceEpoch * total + firstRecord + order.recordAt(given % records);
  };
}

/**
 * Chains the transforms of each source with those of all. What they draw depends on the source's epoch, whatever the epoch of the
 * mixture: a record that comes twice in one is not the same twice. For `times` they are counted as {@link mixedTransforms} names them.
 */
export function mixedPipeline(
  { sources }: Mixture,
  transforms: readonly SampleTransformDescription[],
  seed: number,
  cache?: ChainCache,
): Pipeline {
  const ownCount = sources.reduce((sum, source) => sum + source.transforms.length, 0);
  let ownPlace = 0;
  const chains = sources.map((source) => {
    const own = source.transforms.length;
    const placed = cache && { store: cache.store, place: own + cache.place };
    const chain = chainTransforms([...source.transforms, ...transforms].map(buildTransform), seed, placed);
    const places = [...numbersFrom(ownPlace, source.transforms.length), ...numbersFrom(ownCount, transforms.length)];
    ownPlace += source.transforms.length;
    return { chain, places, chainTimes: new Float64Array(places.length) };
  });
  const total = recordsOf({ sources });
  return (sample, _epoch, visit, times) => {
    const record = visit % total;
    const { chain, places, chainTimes } = chains[sourceOf(sources, record)] as (typeof chains)[number];
    const sourceEpoch = Math.floor(visit / total);
    if (!times) return chain(sample, sourceEpoch, record);
    try {
      return chain(sample, sourceEpoch, record, chainTimes.fill(0));
    } finally {
      for (const [i, place] of places.entries()) times[place] = (times[place] ?? 0) + (chainTimes[i] ?? 0);
    }
  };
}

/** Names the transforms of a mixture: those of each source, with the source, then those of all. */
export function mixedTransforms({ sources }: Mixture, transforms: readonly TransformDescription[]): readonly string[] {
  const own = sources.flatMap((source) => source.transforms.map(({ transform }) => `${transform} of ${source.name}`));
  return [...own, ...transforms.map(({ transform }) => transform)];
}

/** Says how far a mixture has come at a position of an epoch. */
export function mixtureState(
  { sources, schedule, epochLength, anchor }: Mixture,
  epoch: number,
  samples: number,
): MixtureState {
  return {
    since: anchor.since + (epoch - anchor.epoch) * epochLength + samples - anchor.samples,
    sources: sources.map(({ records }, source) => ({
      weight: schedule.parts[source] as number,
      taken: anchor.taken[source] as number,
      records,
    })),
  };
}

/** Puts a mixture where a state is. With other weights it goes on from what each source has given, and the weights hold from here. */
export function resumeMixture(mixture: Mixture, state: MixtureState, at: { epoch: number; samples: number }): Mixture {
  const weights = state.sources.map(({ weight }) => weight);
  const taken = state.sources.map((source) => source.taken);
  const isSame = weights.every((weight, source) => weight === mixture.schedule.parts[source]);
  if (isSame) return { ...mixture, anchor: { ...at, since: state.since, taken } };
  const turns = turnsBefore(scheduleOf(weights), state.since);
  const sums = taken.map((count, source) => count + (turns[source] as number));
  return { ...mixture, anchor: { ...at, since: 0, taken: sums } };
}

function numbersFrom(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

function recordsOf({ sources }: Pick<Mixture, "sources">): number {
  return sources.reduce((sum, { records }) => sum + records, 0);
}

function sourceOf(sources: readonly MixtureSource[], record: number): number {
  let source = sources.length - 1;
  while (source > 0 && (sources[source] as MixtureSource).firstRecord > record) source--;
  return source;
}
