// Stopping and going on anywhere under another topology: exhaustively over the arithmetic, and with real loaders for samples of it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { loader, mix, type LoaderOptions, type LoaderState } from "../../src/loaders/index.ts";
import { mixedOrder, type Mixture } from "../../src/loaders/mixture.ts";
import { epochOrder, type Order } from "../../src/loaders/order.ts";
import { scheduleOf } from "../../src/loaders/schedule.ts";
import {
  countSamples,
  countSteps,
  positionAfter,
  remainders,
  spanAt,
  type Topology,
} from "../../src/loaders/topology.ts";
import { cast, select } from "../../src/transforms/index.ts";
import { collect, digest, keysOf } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

const RECORDS = 1000;
const WORLDS = [1, 2, 3, 5, 8];

/** Adds what all ranks read from a position on to the counts of the positions, and gives where they stop after so many steps. */
function walk(counts: Uint8Array, topology: Omit<Topology, "rank">, from: number, steps: number): number {
  let position = from;
  for (let step = 0; step < steps; step++) {
    for (let rank = 0; rank < topology.worldSize; rank++) {
      const { start, size, padded } = spanAt({ ...topology, rank }, position);
      for (let i = 0; i < size - padded; i++) counts[start + i]!++;
    }
    position = positionAfter({ ...topology, rank: 0 }, position);
  }
  return position;
}

test("every cut of an epoch of 1,000 over world sizes {1, 2, 3, 5, 8}² and mixed batch sizes loses and repeats nothing", () => {
  for (const [i, before] of WORLDS.entries()) {
    for (const [j, after] of WORLDS.entries()) {
      const first = {
        records: RECORDS,
        batchSize: [1, 4, 7, 3, 2][i]!,
        worldSize: before,
        remainder: "short",
      } as const;
      const second = {
        records: RECORDS,
        batchSize: [5, 1, 8, 2, 3][j]!,
        worldSize: after,
        remainder: "short",
      } as const;
      const steps = countSteps({ ...first, rank: 0 });
      for (let cut = 0; cut <= steps; cut++) {
        const counts = new Uint8Array(RECORDS);
        const position = walk(counts, first, 0, cut);
        walk(counts, second, position, countSteps({ ...second, rank: 0 }, position));
        if (counts.some((count) => count !== 1)) expect({ first, second, cut }).toBe("whole");
      }
    }
  }
});

test.each<[string, () => Order]>([
  ["shuffled", () => epochOrder({ records: RECORDS, shuffle: true, seed: 4, epoch: 2 })],
  ["block-shuffled", () => epochOrder({ records: RECORDS, shuffle: { blockSize: 16, window: 7 }, seed: 4, epoch: 2 })],
  [
    "mixed",
    () => {
      // Sources in the ratio of their sizes: an epoch in which each is read once, after two others.
      const sizes = [500, 300, 200];
      const sources = sizes.map((records, i) => {
        return { name: String(i), records, firstRecord: [0, 500, 800][i]!, transforms: [] };
      });
      const anchor = { epoch: 0, samples: 0, since: 0, taken: [0, 0, 0] };
      const mixture: Mixture = { sources, schedule: scheduleOf(sizes), epochLength: RECORDS, anchor };
      const visitAt = mixedOrder({ mixture, shuffle: true, seed: 4 }, 2);
      return (position) => visitAt(position) - 2 * RECORDS;
    },
  ],
])("the positions of an epoch are its records, each once, when it is %s", (_how, order) => {
  const recordAt = order();
  const records = Array.from({ length: RECORDS }, (_, position) => recordAt(position));
  expect([...records].sort((a, b) => a - b)).toEqual(Array.from({ length: RECORDS }, (_, n) => n));
});

test("1 to 200 records on 1 to 16 ranks: equal steps, the documented loss or padding, and an end", () => {
  for (const remainder of remainders) {
    for (let records = 1; records <= 200; records++) {
      for (let worldSize = 1; worldSize <= 16; worldSize++) {
        const batchSize = 1 + ((records + worldSize) % 4);
        const perStep = batchSize * worldSize;
        const ranks = Array.from({ length: worldSize }, (_, rank) => {
          const topology: Topology = { records, batchSize, rank, worldSize, remainder };
          const totals = { steps: 0, samples: 0, padded: 0 };
          let position = 0;
          for (; countSteps(topology, position) > 0; position = positionAfter(topology, position)) {
            const { size, padded } = spanAt(topology, position);
            totals.steps++;
            totals.samples += size - padded;
            totals.padded += padded;
            if (totals.steps > records) throw new RangeError(`${records} records, ${worldSize} ranks: no end`);
          }
          expect(totals.samples).toBe(countSamples(topology));
          return totals;
        });
        const rest = records % perStep;
        const steps = Math.floor(records / perStep) + (rest > 0 && remainder !== "drop" ? 1 : 0);
        const samples = ranks.reduce((sum, rank) => sum + rank.samples, 0);
        const padded = ranks.reduce((sum, rank) => sum + rank.padded, 0);
        const missing = rest === 0 ? 0 : perStep - rest;
        const expected = {
          drop: { samples: records - rest, padded: 0 },
          pad: { samples: records, padded: missing },
          short: { samples: records, padded: rest === 0 ? 0 : Math.max(0, worldSize - rest) },
        }[remainder];
        if (ranks.some((rank) => rank.steps !== steps)) expect({ records, worldSize, ranks }).toBe("of equal steps");
        expect({ samples, padded }).toEqual(expected);
      }
    }
  }
});

describe("with real loaders", () => {
  let folder: string;
  let spec: string;
  let lines: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kdata-elastic-"));
    spec = writeShards(join(folder, "npy"), [400, 1, 599]);
    lines = join(folder, "lines.jsonl");
    writeFileSync(lines, Array.from({ length: 300 }, (_, n) => `{"y": ${n}}\n`).join(""));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  type Changes = Partial<Pick<LoaderOptions, "batchSize" | "workers" | "prefetch" | "rank" | "worldSize" | "state">>;
  type Opened = Awaited<ReturnType<typeof loader>> & { state(): LoaderState };

  const ways: readonly (readonly [string, (changes: Changes) => Promise<Opened>])[] = [
    ["shuffled", (changes) => loader(spec, { batchSize: 4, workers: 0, shuffle: true, seed: 6, ...changes })],
    [
      "block-shuffled",
      (changes) => loader(spec, { batchSize: 4, workers: 0, shuffle: { blockSize: 32 }, seed: 6, ...changes }),
    ],
    [
      "mixed",
      (changes) => {
        const transforms = [select(["y"]), cast("y", "float64")];
        const sources = [
          { source: spec, weight: 2, transforms },
          { source: lines, weight: 1, transforms },
        ];
        const options = { batchSize: 4, workers: 0, shuffle: true, seed: 6, stop: "all-exhausted" as const };
        return mix(sources, { ...options, ...changes });
      },
    ],
  ];

  test.each(ways)("a run that is %s goes on bit for bit under another topology", async (_how, openOne) => {
    const whole = await openOne({});
    const all = await collect(whole);
    const keys = keysOf(all);
    await whole.close();
    const cases = [
      { cut: 1, before: 2, after: 3, batchSize: 5, workers: 2 },
      { cut: 9, before: 8, after: 1, batchSize: 16, workers: 1 },
      { cut: 17, before: 3, after: 5, batchSize: 7, workers: 0 },
      { cut: 24, before: 5, after: 8, batchSize: 3, workers: 0 },
      { cut: 40, before: 1, after: 2, batchSize: 64, workers: 2 },
    ];
    for (const { cut, before, after, batchSize, workers } of cases) {
      const stopped = await openOne({ rank: before - 1, worldSize: before });
      await collect(stopped, cut);
      const state = JSON.parse(JSON.stringify(stopped.state())) as LoaderState;
      await stopped.close();
      const ranks: Batch[][] = [];
      for (let rank = 0; rank < after; rank++) {
        const train = await openOne({ batchSize, workers, rank, worldSize: after, state, prefetch: 1 + rank });
        ranks.push(await collect(train));
        await train.close();
      }
      expect(new Set(ranks.map((batches) => batches.length)).size).toBe(1);
      const rest = ranks[0]!.flatMap((_, step) => keysOf(ranks.map((batches) => batches[step]!)));
      expect(rest).toEqual(keys.slice(cut * 4 * before));
      const same = await openOne({ state });
      const tail = await collect(same);
      await same.close();
      expect(digest(tail)).toBe(digest(all.slice(cut * before)));
    }
  });
});
