// What tells one chain of transforms from another.

import { expect, test } from "vitest";
import { chainDigest } from "../../src/transforms/chain-digest.ts";
import { filter, pad } from "../../src/transforms/index.ts";

test("chains that differ in a number that JSON cannot write are different chains", async () => {
  const values = [0, -0, Infinity, -Infinity, NaN];
  const padded = await Promise.all(values.map((value) => chainDigest([pad("x", { length: 4, value })])));
  expect(new Set(padded).size).toBe(values.length);
  const kept = await Promise.all([-Infinity, Infinity].map((min) => chainDigest([filter({ feature: "x", min })])));
  expect(new Set(kept).size).toBe(2);
});

test("the same chain has the same digest", async () => {
  const chain = [pad("x", { length: 4, value: -Infinity })];
  expect(await chainDigest(chain)).toBe(await chainDigest(structuredClone(chain)));
});
