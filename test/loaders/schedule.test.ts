import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { positionAfterTurns, scheduleOf, turnAt, turnsBefore } from "../../src/loaders/schedule.ts";

const wholeWeights = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 9 });

describe("scheduleOf()", () => {
  test("keeps every source less than one sample off its share, in every prefix", () => {
    fc.assert(
      fc.property(wholeWeights, (weights) => {
        const schedule = scheduleOf(weights);
        const total = weights.reduce((sum, weight) => sum + weight);
        const counts = weights.map(() => 0);
        for (let position = 0; position < 2 * total + 7; position++) {
          const { source, count } = turnAt(schedule, position);
          expect(count).toBe(counts[source]);
          counts[source]!++;
          // In whole numbers: |count - weight / total * length| < 1.
          const isFair = weights.every((weight, i) => Math.abs(counts[i]! * total - weight * (position + 1)) < total);
          if (!isFair) expect({ weights, position, counts }).toBe("fair");
        }
      }),
      { numRuns: 60 },
    );
  });

  test("keeps to weights far apart, which rounding each count by itself does not", () => {
    for (const weights of [
      [0.9, ...Array.from({ length: 10 }, () => 0.01)],
      [198, 198, 198, 198, 198, 10],
      [1, 100_000],
    ]) {
      const schedule = scheduleOf(weights);
      const total = weights.reduce((sum, weight) => sum + weight);
      const counts = weights.map(() => 0);
      for (let position = 0; position < Math.min(3 * schedule.period, 100_000); position++) {
        counts[turnAt(schedule, position).source]!++;
        const worst = Math.max(...weights.map((weight, i) => Math.abs(counts[i]! - (weight / total) * (position + 1))));
        if (worst >= 1) expect({ weights, position, worst }).toBe("fair");
      }
    }
  });

  test("answers for far positions as for near ones", () => {
    const schedule = scheduleOf([3, 5, 7]);
    const far = 15 * 1e12;
    for (let position = 0; position < 40; position++) {
      const { source, count } = turnAt(schedule, position);
      expect(turnAt(schedule, far + position)).toEqual({ source, count: count + [3, 5, 7][source]! * 1e12 });
    }
  });

  test("counts the turns before a position, and finds the position after so many", () => {
    fc.assert(
      fc.property(wholeWeights, fc.nat({ max: 2000 }), (weights, position) => {
        const schedule = scheduleOf(weights);
        const counts = weights.map(() => 0);
        for (let before = 0; before < position; before++) counts[turnAt(schedule, before).source]!++;
        expect(turnsBefore(schedule, position)).toEqual(counts);
        const { source, count } = turnAt(schedule, position);
        expect(positionAfterTurns(schedule, source, count + 1)).toBe(position + 1);
      }),
      { numRuns: 60 },
    );
  });

  test.each<[readonly number[], readonly number[]]>([
    [
      [0.7, 0.2, 0.1],
      [7, 2, 1],
    ],
    [
      [1 / 3, 2 / 3],
      [1, 2],
    ],
    [
      [0.333, 0.667],
      [333, 667],
    ],
    [
      [60000, 10000, 10000],
      [6, 1, 1],
    ],
    [
      [2.5, 1],
      [5, 2],
    ],
    [
      [1281167, 60000, 50000],
      [1281167, 60000, 50000],
    ],
    [[5], [1]],
  ])("takes the weights %j as the parts %j", (weights, parts) => {
    expect(scheduleOf(weights).parts).toEqual(parts);
  });

  test("refuses weights that are in no ratio of whole numbers", () => {
    expect(() => scheduleOf([Math.PI, Math.E, Math.SQRT2])).toThrow(
      expect.objectContaining({ code: "usage", hint: "Round them, for example to 432, 374, 194." }),
    );
  });

  test("never changes: a saved state relies on it", () => {
    const schedule = scheduleOf([0.5, 0.3, 0.2]);
    expect([...schedule.turns]).toEqual([0, 1, 0, 2, 0, 1, 0, 1, 0, 2]);
  });
});
