import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { packBestFit } from "../../src/transforms/best-fit.ts";
import { pack, type PackSettings } from "../../src/transforms/index.ts";
import { buildPack } from "../../src/transforms/pack.ts";
import { sampleOf, tensorOf } from "./samples.ts";

const CAPACITY = 24;
const sizes = fc.array(fc.integer({ min: 0, max: CAPACITY }), { maxLength: 60 });

describe("packBestFit()", () => {
  test("puts each item into one row, and no row over its capacity", () => {
    fc.assert(
      fc.property(sizes, (given) => {
        const rows = packBestFit(given, CAPACITY);
        expect(rows.flat().sort((a, b) => a - b)).toEqual(given.map((_, item) => item));
        for (const row of rows) expect(row.reduce((sum, item) => sum + given[item]!, 0)).toBeLessThanOrEqual(CAPACITY);
      }),
    );
  });

  test("takes at most 4/3 of the rows that the sum needs, plus one, where no item is over half a row: two of 9 in 24 are the worst", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: CAPACITY / 2 }), { maxLength: 60 }), (given) => {
        const least = Math.ceil(given.reduce((sum, size) => sum + size, 0) / CAPACITY);
        expect(packBestFit(given, CAPACITY).length).toBeLessThanOrEqual(Math.ceil((least * 4) / 3) + 1);
      }),
    );
  });

  test("fills the fullest row that has room", () => {
    expect(packBestFit([3, 7, 2, 8, 6, 4], 10)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
  });
});

function sequences(given: readonly number[]) {
  let next = 1;
  return given.map((size, n) => ({
    ...sampleOf({
      ids: tensorOf(
        "int32",
        [size],
        Array.from({ length: size }, () => next++),
      ),
    }),
    key: `k${n}`,
  }));
}

const dataOf = (tensor: unknown) => [...(tensor as Tensor<"int32">).data];

describe("pack()", () => {
  test("loses no token and repeats none; segments and positions say which sequence each one is of", () => {
    fc.assert(
      fc.property(sizes, (given) => {
        const samples = sequences(given);
        const rows = buildPack(pack("ids", { length: CAPACITY, value: -1 }))(samples);
        const found = new Map<string, number[]>();
        for (const { key, features } of rows) {
          const [ids, segments, positions] = ["ids", "segments", "positions"].map((name) => dataOf(features[name]));
          expect([ids!.length, segments!.length, positions!.length]).toEqual([CAPACITY, CAPACITY, CAPACITY]);
          const keys = key.split(",");
          for (const one of keys) found.set(one, []);
          for (const [at, segment] of segments!.entries()) {
            if (segment === 0) {
              expect([ids![at], positions![at]]).toEqual([-1, 0]);
            } else {
              const tokens = found.get(keys[segment - 1]!)!;
              expect(positions![at]).toBe(tokens.length);
              tokens.push(ids![at]!);
            }
          }
        }
        expect(samples.map(({ key }) => found.get(key))).toEqual(
          samples.map(({ features }) => dataOf(features["ids"])),
        );
      }),
    );
  });

  test("packs several features alike, of any shape behind the first axis", () => {
    const one = sampleOf({ x: tensorOf("float32", [1, 2], [1, 2]), y: tensorOf("int64", [1], [7]) });
    const two = sampleOf({ x: tensorOf("float32", [2, 2], [3, 4, 5, 6]), y: tensorOf("int64", [2], [8, 9]) });
    const [row, ...others] = buildPack(pack(["x", "y"], { length: 4, segments: "s", positions: "p" }))([one, two]);
    expect(others).toEqual([]);
    expect(row?.features).toEqual(
      sampleOf({
        x: tensorOf("float32", [4, 2], [1, 2, 3, 4, 5, 6, 0, 0]),
        y: tensorOf("int64", [4], [7, 8, 9, 0]),
        s: tensorOf("int32", [4], [1, 2, 2, 0]),
        p: tensorOf("int32", [4], [0, 0, 1, 0]),
      }).features,
    );
  });

  test("refuses what is too long, of different lengths or dtypes, and features that are not packed", () => {
    const ids = tensorOf("int32", [3], [1, 2, 3]);
    const pairs = [
      [pack("ids", { length: 2 }), [{ ids }]],
      [pack("ids", { length: 4 }), [{ ids, key: "text" }]],
      [pack(["ids", "y"], { length: 4 }), [{ ids, y: tensorOf("int32", [2], [1, 2]) }]],
      [pack("ids", { length: 6 }), [{ ids }, { ids: tensorOf("float32", [3], [1, 2, 3]) }]],
      [pack("ids", { length: 6 }), [{ ids: tensorOf("int32", [], [1]) }]],
    ] as const;
    for (const [description, features] of pairs) {
      expect(() => buildPack(description)(features.map((one) => sampleOf(one)))).toThrow(
        expect.objectContaining({ code: "shape", at: { source: "a.npy", record: 5 } }),
      );
    }
    expect(() => pack("ids", { length: 0 })).toThrow(RangeError);
    expect(() => pack(["segments"], { length: 1 })).toThrow(RangeError);
    expect(() => pack("ids", { lenght: 1 } as unknown as PackSettings)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'length'?" }),
    );
  });
});
