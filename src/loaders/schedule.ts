// Whose turn it is at each position of a mixture, so that every prefix has each source's share to within one sample.
//
// The j-th sample of a source with the share w may come at the positions from floor((j - 1) / w) to ceil(j / w) - 1, and the source is
// never a whole sample off its share exactly as long as each of its samples keeps to that. Taking among those that may come the one whose
// time ends first keeps to all of them: Baruah, Cohen, Plaxton and Varvel, "Proportionate Progress: A Notion of Fairness in Resource
// Allocation" (Algorithmica 15, 1996). Shares in whole parts of D repeat after D positions, so that a table of one period answers for any
// position.

import { KdataError } from "../core/errors.ts";

/** Whose turn it is, for whatever position. Plain data and shared memory, which can cross a thread. */
export interface Schedule {
  /** The shares as whole numbers without a common divisor. */
  readonly parts: readonly number[];
  /** Their sum: after so many positions everything repeats. */
  readonly period: number;
  /** The source at each position of a period. */
  readonly turns: Uint8Array<SharedArrayBuffer>;
  /** How many turns each source had before every `MARK_EVERY`-th position, one source after another. */
  readonly marks: Uint32Array<SharedArrayBuffer>;
}

/** The turn at a position. */
export interface Turn {
  readonly source: number;
  /** How many turns the source had before. */
  readonly count: number;
}

/** One byte names a source. */
export const MAX_SOURCES = 256;

/** The table of a period then takes 16 MiB, and a second to make. */
const MAX_PERIOD = 2 ** 24;
// A share is taken for a multiple of 1/D when it is no further off: beyond what decimal fractions lose as doubles, and too close
// to count for any data set.
const TOLERANCE = 1e-9;
// Counting on from a mark costs less than finding it.
const MARK_EVERY = 64;

/**
 * Makes the schedule of weights, whatever their sum: 0.7 and 0.3, 1/3 and 2/3, or 60000 and 10000.
 *
 * @throws {KdataError} `usage` when they are in no ratio of whole numbers that add up to 2^24 at most.
 */
export function scheduleOf(weights: readonly number[]): Schedule {
  const parts = wholeParts(weights);
  const period = sum(parts);
  const turns = new Uint8Array(new SharedArrayBuffer(period));
  const marks = new Uint32Array(new SharedArrayBuffer(4 * parts.length * Math.ceil(period / MARK_EVERY)));
  const counts = parts.map(() => 0);
  const releases = parts.map(() => 0);
  const deadlines = parts.map((part) => Math.ceil(period / part));
  for (let position = 0; position < period; position++) {
    if (position % MARK_EVERY === 0) marks.set(counts, (position / MARK_EVERY) * parts.length);
    let next = -1;
    for (let source = 0; source < parts.length; source++) {
      if ((releases[source] as number) > position) continue;
      if (next < 0 || (deadlines[source] as number) < (deadlines[next] as number)) next = source;
    }
    turns[position] = next;
    const count = (counts[next] as number) + 1;
    counts[next] = count;
    releases[next] = Math.floor((count * period) / (parts[next] as number));
    deadlines[next] = Math.ceil(((count + 1) * period) / (parts[next] as number));
  }
  return { parts, period, turns, marks };
}

/** Says whose turn it is at a position, and how many turns that source had before. */
export function turnAt({ parts, period, turns, marks }: Schedule, position: number): Turn {
  const place = position % period;
  const source = turns[place] as number;
  const mark = Math.floor(place / MARK_EVERY);
  let count =
    Math.floor(position / period) * (parts[source] as number) + (marks[mark * parts.length + source] as number);
  for (let before = mark * MARK_EVERY; before < place; before++) if (turns[before] === source) count++;
  return { source, count };
}

/** Counts the turns of every source before a position. */
export function turnsBefore({ parts, period, turns, marks }: Schedule, position: number): number[] {
  const place = position % period;
  const mark = Math.floor(place / MARK_EVERY);
  const counts = parts.map(
    (part, source) => Math.floor(position / period) * part + (marks[mark * parts.length + source] as number),
  );
  for (let before = mark * MARK_EVERY; before < place; before++) {
    const source = turns[before] as number;
    counts[source] = (counts[source] as number) + 1;
  }
  return counts;
}

/** Finds the position right after the turn with which a source has had `count` turns. */
export function positionAfterTurns({ parts, period, turns }: Schedule, source: number, count: number): number {
  const part = parts[source] as number;
  const periods = Math.floor((count - 1) / part);
  let left = count - periods * part;
  let place = 0;
  while (left > 0) if (turns[place++] === source) left--;
  return periods * period + place;
}

function wholeParts(weights: readonly number[]): readonly number[] {
  const exact = weights.every(Number.isSafeInteger) ? reduce(weights) : undefined;
  if (exact && sum(exact) <= MAX_PERIOD) return exact;
  const total = sum(weights);
  const shares = weights.map((weight) => weight / total);
  for (let period = weights.length; period <= MAX_PERIOD; period++) {
    if (!shares.every((share) => isWhole(share * period))) continue;
    return reduce(shares.map((share) => Math.round(share * period)));
  }
  const reason = `the weights ${weights.join(", ")} are in no ratio of whole numbers that add up to ${MAX_PERIOD} at most`;
  const nearest = shares.map((share) => Math.max(1, Math.round(share * 1000)));
  throw new KdataError("usage", `Cannot mix: ${reason}`, { hint: `Round them, for example to ${nearest.join(", ")}.` });
}

function isWhole(value: number): boolean {
  const nearest = Math.round(value);
  return nearest > 0 && Math.abs(value - nearest) <= TOLERANCE;
}

function reduce(numbers: readonly number[]): readonly number[] {
  const divisor = numbers.reduce(greatestCommonDivisor);
  return numbers.map((number) => number / divisor);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
