import { describe, expect, test } from "vitest";
import {
  countSamples,
  countSteps,
  positionAfter,
  remainders,
  spanAt,
  type Remainder,
  type Span,
} from "../../src/loaders/topology.ts";

/** The spans of every rank, step by step, as the loader walks through them. */
function walk(records: number, batchSize: number, worldSize: number, remainder: Remainder, from = 0): Span[][] {
  return Array.from({ length: worldSize }, (_, rank) => {
    const topology = { records, batchSize, rank, worldSize, remainder };
    const spans: Span[] = [];
    let position = from;
    for (let step = countSteps(topology, from); step > 0; step--) {
      spans.push(spanAt(topology, position));
      position = positionAfter(topology, position);
    }
    if (countSteps(topology, position) !== 0) throw new RangeError(`steps are left at position ${position}`);
    return spans;
  });
}

function positionsOf({ start, size, padded }: Span): number[] {
  return Array.from({ length: size - padded }, (_, i) => start + i);
}

describe.each(remainders)("remainder %s", (remainder) => {
  test("divides every epoch of 1 to 60 records over 1 to 8 ranks without loss or repetition", () => {
    for (let records = 1; records <= 60; records++) {
      for (let worldSize = 1; worldSize <= 8; worldSize++) {
        for (const batchSize of [1, 3, 4]) {
          const ranks = walk(records, batchSize, worldSize, remainder);
          const delivered = ranks
            .flat()
            .flatMap(positionsOf)
            .sort((a, b) => a - b);
          const perStep = batchSize * worldSize;
          const covered = remainder === "drop" ? Math.floor(records / perStep) * perStep : records;
          expect(delivered).toEqual(Array.from({ length: covered }, (_, i) => i));
          // Every rank makes the same number of steps.
          expect(new Set(ranks.map((spans) => spans.length)).size).toBe(1);
          const sizes = ranks.flat().map(({ size }) => size);
          expect(Math.min(batchSize, ...sizes)).toBeGreaterThanOrEqual(remainder === "short" ? 1 : batchSize);
          expect(Math.max(batchSize, ...sizes)).toBe(batchSize);
          expect(ranks.flat().every(({ size, padded }) => padded <= size)).toBe(true);
          expect(ranks.map((spans) => spans.flatMap(positionsOf).length)).toEqual(
            ranks.map((_, rank) => countSamples({ records, batchSize, rank, worldSize, remainder })),
          );
        }
      }
    }
  });

  test("goes on from every position with another batch size and other ranks", () => {
    const records = 23;
    for (let from = 0; from < records; from++) {
      const ranks = walk(records, 3, 2, remainder, from);
      for (const [rank, spans] of ranks.entries()) {
        const topology = { records, batchSize: 3, rank, worldSize: 2, remainder };
        expect(countSamples(topology, from)).toBe(spans.flatMap(positionsOf).length);
      }
      const delivered = ranks
        .flat()
        .flatMap(positionsOf)
        .sort((a, b) => a - b);
      const covered = remainder === "drop" ? from + Math.floor((records - from) / 6) * 6 : records;
      expect(delivered).toEqual(Array.from({ length: covered - from }, (_, i) => from + i));
    }
  });
});

test("a global batch is contiguous, and so is the part of each rank", () => {
  expect(walk(12, 2, 3, "short")).toEqual([
    [
      { start: 0, size: 2, padded: 0 },
      { start: 6, size: 2, padded: 0 },
    ],
    [
      { start: 2, size: 2, padded: 0 },
      { start: 8, size: 2, padded: 0 },
    ],
    [
      { start: 4, size: 2, padded: 0 },
      { start: 10, size: 2, padded: 0 },
    ],
  ]);
});

test("`short` divides what remains evenly and gives one padded sample to a rank that would go empty", () => {
  expect(walk(5, 2, 4, "short").flat()).toEqual([
    { start: 0, size: 2, padded: 0 },
    { start: 2, size: 1, padded: 0 },
    { start: 3, size: 1, padded: 0 },
    { start: 4, size: 1, padded: 0 },
  ]);
  expect(walk(2, 2, 3, "short").flat()).toEqual([
    { start: 0, size: 1, padded: 0 },
    { start: 1, size: 1, padded: 0 },
    { start: 2, size: 1, padded: 1 },
  ]);
});

test("`pad` fills the last batches from the end on, whole ones as well", () => {
  expect(walk(3, 2, 3, "pad").flat()).toEqual([
    { start: 0, size: 2, padded: 0 },
    { start: 2, size: 2, padded: 1 },
    { start: 4, size: 2, padded: 2 },
  ]);
});
