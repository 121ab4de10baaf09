import { expect, test } from "vitest";
import { autoDepth, fixedDepth } from "../../src/loaders/prefetch-depth.ts";

const MIB = 2 ** 20;

test("a fixed depth stays", () => {
  const depth = fixedDepth(5);
  for (let batch = 0; batch < 100; batch++) depth.delivered(MIB, true);
  expect([depth.batches, depth.most]).toEqual([5, 5]);
});

test("`auto` begins with two batches a worker and grows while the consumer waits, as far as memory allows", () => {
  const depth = autoDepth({ workers: 2, maxBytes: 10 * MIB });
  expect(depth.batches).toBe(4);
  depth.delivered(MIB, true);
  expect(depth.batches).toBe(5);
  for (let batch = 0; batch < 100; batch++) depth.delivered(MIB, true);
  expect(depth.batches).toBe(9); // and one more that the consumer looks at
  depth.delivered(2 * MIB, true); // a larger batch than those before: fewer fit
  expect(depth.batches).toBe(4);
});

test("`auto` shrinks after a while without a wait, never below two batches a worker, whatever they take", () => {
  const depth = autoDepth({ workers: 3, maxBytes: 1 });
  expect(depth.batches).toBe(6);
  depth.delivered(MIB, true);
  expect(depth.batches).toBe(6);
  const large = autoDepth({ workers: 1, maxBytes: 100 * MIB });
  for (let batch = 0; batch < 10; batch++) large.delivered(MIB, true);
  expect(large.batches).toBe(12);
  for (let batch = 0; batch < 12 * 8; batch++) large.delivered(MIB, false);
  expect(large.batches).toBe(11);
  for (let batch = 0; batch < 1000; batch++) large.delivered(MIB, false);
  expect(large.batches).toBe(2);
});

test("`auto` has an end, however small the batches", () => {
  const depth = autoDepth({ workers: 1, maxBytes: 2 ** 40 });
  for (let batch = 0; batch < 5000; batch++) depth.delivered(1, true);
  expect(depth.batches).toBe(depth.most);
});
