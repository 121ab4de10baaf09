import { describe, expect, test } from "vitest";
import { epochOrder } from "../../src/loaders/order.ts";

function orderOf(records: number, seed = 0, epoch = 0): number[] {
  const recordAt = epochOrder({ records, shuffle: true, seed, epoch });
  return Array.from({ length: records }, (_, position) => recordAt(position));
}

describe("epochOrder()", () => {
  test("without shuffle is the order of the records", () => {
    const recordAt = epochOrder({ records: 5, shuffle: false, seed: 1, epoch: 3 });
    expect([0, 1, 2, 3, 4].map(recordAt)).toEqual([0, 1, 2, 3, 4]);
  });

  test("takes every record once, for every number of records up to 2,000", () => {
    for (let records = 1; records <= 2000; records++) {
      const seen = new Uint8Array(records);
      const recordAt = epochOrder({ records, shuffle: true, seed: 3, epoch: records % 4 });
      for (let position = 0; position < records; position++) seen[recordAt(position)]!++;
      expect(seen.every((count) => count === 1)).toBe(true);
    }
  });

  test("takes every record once, for 2^17 + 1 records", () => {
    expect(new Set(orderOf(2 ** 17 + 1)).size).toBe(2 ** 17 + 1);
  });

  test.each([2 ** 31 + 11, 2 ** 32, 2 ** 40 + 5, 2 ** 52])(
    "stays inside and collides nowhere among %d records",
    (records) => {
      const recordAt = epochOrder({ records, shuffle: true, seed: 5, epoch: 0 });
      const seen = new Set<number>();
      const positions: number[] = [];
      for (let i = 0; i < 5000; i++) positions.push(i, records - 1 - i, Math.floor((records / 5003) * (i + 1)));
      const distinct = new Set(positions);
      for (const position of distinct) {
        const record = recordAt(position);
        expect(Number.isSafeInteger(record) && record >= 0 && record < records).toBe(true);
        seen.add(record);
      }
      expect(seen.size).toBe(distinct.size);
    },
  );

  test("refuses more than 2^52 records", () => {
    expect(() => epochOrder({ records: 2 ** 52 + 1, shuffle: true, seed: 0, epoch: 0 })).toThrow(RangeError);
  });

  test("differs between seeds and between epochs, and repeats itself", () => {
    expect(orderOf(100, 1, 0)).toEqual(orderOf(100, 1, 0));
    const orders = [orderOf(100, 1, 0), orderOf(100, 2, 0), orderOf(100, 1, 1), orderOf(100, 2, 1)];
    for (const [i, a] of orders.entries()) {
      for (const b of orders.slice(i + 1)) {
        const agreeing = a.filter((record, position) => record === b[position]).length;
        expect(agreeing).toBeLessThan(8); // one is expected
      }
    }
  });

  // Chi-square with (n - 1)^2 degrees of freedom: mean (n - 1)^2, standard deviation sqrt(2) (n - 1).
  test.each([2, 3, 5, 10, 50])(
    "puts each of %d records at each position about equally often over 4,000 seeds",
    (records) => {
      const seeds = 4000;
      const counts = Array.from({ length: records }, () => new Float64Array(records));
      for (let seed = 0; seed < seeds; seed++) {
        for (const [position, record] of orderOf(records, seed).entries()) counts[position]![record]!++;
      }
      const expected = seeds / records;
      const chiSquare = counts.flatMap((row) => [...row]).reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
      expect(chiSquare).toBeLessThan((records - 1) ** 2 + 5 * Math.SQRT2 * (records - 1));
    },
  );

  test("sends neighbours apart: the mean distance is a third of the range", () => {
    const order = orderOf(10_000);
    let sum = 0;
    for (let i = 1; i < order.length; i++) sum += Math.abs(order[i]! - order[i - 1]!);
    expect(sum / order.length / order.length).toBeCloseTo(1 / 3, 1);
  });

  test("never changes: a saved state relies on it", () => {
    expect(orderOf(12, 42, 0)).toEqual([3, 10, 2, 9, 5, 4, 7, 8, 1, 11, 6, 0]);
    expect(orderOf(12, 42, 1)).toEqual([6, 1, 3, 0, 4, 10, 7, 9, 8, 2, 11, 5]);
    const far = epochOrder({ records: 2 ** 40, shuffle: true, seed: 42, epoch: 0 });
    expect([0, 1, 2 ** 39].map(far)).toEqual([169830478281, 762691151220, 2123559198]);
  });
});
