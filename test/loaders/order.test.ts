import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { epochOrder } from "../../src/loaders/order.ts";

function orderOf(records: number, seed = 0, epoch = 0): number[] {
  const recordAt = epochOrder({ records, shuffle: true, seed, epoch });
  return Array.from({ length: records }, (_, position) => recordAt(position));
}

/** The order of an epoch in blocks. */
function blockOrderOf(records: number, blockSize: number, window: number, seed = 0, epoch = 0): number[] {
  const recordAt = epochOrder({ records, shuffle: { blockSize, window }, seed, epoch });
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

describe("epochOrder() in blocks", () => {
  test("takes every record once, for every number of records up to 120, block size and window", () => {
    for (let records = 1; records <= 120; records++) {
      for (const blockSize of [1, 2, 3, 7, 16, 50, 119, 120, 500]) {
        for (const window of [1, 2, 3, 5, 64]) {
          const seen = new Uint8Array(records);
          for (const record of blockOrderOf(records, blockSize, window, 3, records % 4)) seen[record]!++;
          if (seen.some((count) => count !== 1)) expect({ records, blockSize, window, seen }).toBe("a bijection");
        }
      }
    }
  });

  test("takes every record once, for any sizes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4000 }),
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.nat(),
        (records, blockSize, window, seed) => {
          expect(new Set(blockOrderOf(records, blockSize, window, seed)).size).toBe(records);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("stays inside and collides nowhere among 2^40 + 5 records", () => {
    const records = 2 ** 40 + 5;
    const recordAt = epochOrder({ records, shuffle: { blockSize: 1000 }, seed: 5, epoch: 0 });
    const positions = new Set<number>();
    for (let i = 0; i < 3000; i++)
      positions
        .add(i)
        .add(records - 1 - i)
        .add(Math.floor((records / 3001) * (i + 1)));
    const seen = new Set([...positions].map(recordAt));
    for (const record of seen) expect(Number.isSafeInteger(record) && record >= 0 && record < records).toBe(true);
    expect(seen.size).toBe(positions.size);
  });

  test("reads each block in two sequential runs at most, from as many blocks at a time as the window says", () => {
    const [blockSize, window] = [20, 5];
    const order = blockOrderOf(1013, blockSize, window, 8);
    const blocks = groupBlocks(order, blockSize);
    for (const records of blocks.values()) {
      const jumps = records.filter((record, i) => i > 0 && record !== records[i - 1]! + 1);
      expect(jumps.length).toBeLessThanOrEqual(1);
      if (jumps.length > 0) expect(jumps[0]! % blockSize).toBe(0);
    }
    // Fifty blocks in ten windows; the thirteen records left over are one more block of one of them.
    for (let position = 0; position + window <= order.length; position++) {
      const open = new Set(order.slice(position, position + window).map((record) => Math.floor(record / blockSize)));
      expect(open.size).toBeLessThanOrEqual(2 * (window + 1));
    }
    expect(new Set(order.slice(0, window).map((record) => Math.floor(record / blockSize))).size).toBe(window);
  });

  test("brings neighbours of a block less than two windows apart, as documented", () => {
    const [blockSize, window] = [25, 8];
    const order = blockOrderOf(1000, blockSize, window, 2);
    const positionOf = new Map(order.map((record, position) => [record, position]));
    for (let record = 1; record < 1000; record++) {
      if (record % blockSize === 0) continue;
      const distance = Math.abs(positionOf.get(record)! - positionOf.get(record - 1)!);
      const isTurn = distance > (blockSize - 2) * window; // the last record that is read and the first one
      expect(isTurn || (distance >= 1 && distance < 2 * window)).toBe(true);
    }
  });

  test("differs between seeds and between epochs, and repeats itself", () => {
    expect(blockOrderOf(100, 5, 4, 1, 0)).toEqual(blockOrderOf(100, 5, 4, 1, 0));
    const orders = [blockOrderOf(100, 5, 4, 1, 0), blockOrderOf(100, 5, 4, 2, 0), blockOrderOf(100, 5, 4, 1, 1)];
    expect(new Set(orders.map((order) => order.join())).size).toBe(3);
  });

  test("puts each block first about equally often over 3,000 seeds, the short one too", () => {
    const firsts = new Float64Array(4);
    for (let seed = 0; seed < 3000; seed++) firsts[Math.floor(blockOrderOf(18, 5, 1, seed)[0]! / 5)]!++;
    // The block that is left over comes in the window of one of three others, before or after it.
    for (const count of firsts.subarray(0, 3)) expect(Math.abs(count / 3000 - 5 / 18)).toBeLessThan(0.04);
    expect(Math.abs(firsts[3]! / 3000 - 1 / 6)).toBeLessThan(0.04);
  });

  test("never changes: a saved state relies on it", () => {
    expect(blockOrderOf(14, 3, 2, 42)).toEqual([4, 13, 0, 1, 5, 12, 2, 3, 9, 7, 8, 10, 6, 11]);
  });
});

function groupBlocks(order: readonly number[], blockSize: number): Map<number, number[]> {
  const blocks = new Map<number, number[]>();
  for (const record of order) {
    const block = Math.floor(record / blockSize);
    blocks.set(block, [...(blocks.get(block) ?? []), record]);
  }
  return blocks;
}
