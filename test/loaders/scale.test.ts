// A data set of 10^9 records in 10^5 shards of which only the sizes exist: what a loader keeps of it must not grow with it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loader } from "../../src/loaders/index.ts";
import { shardOf, type Dataset } from "../../src/loaders/dataset.ts";
import { InThreadProducer } from "../../src/loaders/in-thread.ts";
import { Loader } from "../../src/loaders/loader.ts";
import { keysOf } from "./epochs.ts";
import { writeNpy } from "./npy-shards.ts";

const RECORDS = 1e9;
const SHARDS = 1e5;
const PER_SHARD = RECORDS / SHARDS;

/** Many shards that are all the same small file. */
function virtualDataset(path: string): Dataset {
  const starts = new Float64Array(new SharedArrayBuffer((SHARDS + 1) * 8));
  for (let shard = 0; shard <= SHARDS; shard++) starts[shard] = shard * PER_SHARD;
  return {
    parts: [{ firstShard: 0, format: "npy", limits: {}, decoding: {} }],
    shards: Array.from({ length: SHARDS }, (_, shard) => ({ name: `train-${shard}.npy`, paths: [path] })),
    starts,
    indexes: Array.from({ length: SHARDS }, () => undefined),
  };
}

test.each([true, { blockSize: 500 }])(
  "10^9 records with shuffle %j: a small state, and going on from it anywhere",
  async (shuffle) => {
    const folder = mkdtempSync(join(tmpdir(), "kdata-scale-"));
    try {
      const path = join(folder, "x.npy");
      writeNpy(
        path,
        "<i4",
        [PER_SHARD],
        new Int32Array(PER_SHARD).map((_, n) => n),
      );
      const small = await loader(path, { batchSize: 4, workers: 0, shuffle });
      const recipe = { dataset: virtualDataset(path), transforms: [], shuffle, seed: 0, makers: 1 };
      const topology = { records: RECORDS, batchSize: 32, rank: 5, worldSize: 8, remainder: "short" } as const;
      const createProducer = (): InThreadProducer => new InThreadProducer(recipe);
      const train = new Loader({ recipe, topology, createProducer, signal: undefined });
      const state = train.state();
      expect(JSON.stringify(state).length).toBeLessThan(JSON.stringify(small.state()).length + 16);
      expect(JSON.stringify(state).length).toBeLessThan(1024);
      for (const samples of [0, 123_456_789, RECORDS - 200]) {
        train.load({ ...state, samples });
        for await (const batch of train) {
          expect(keysOf([batch]).length).toBeGreaterThan(0);
          break;
        }
        expect(train.state()).toMatchObject(
          samples < RECORDS - 256 ? { samples: samples + 256 } : { epoch: 1, samples: 0 },
        );
      }
      await train.close();
      await small.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

test("the shard of a record is found for every boundary of 10^5 shards", () => {
  const dataset = virtualDataset("x.npy");
  for (let shard = 0; shard < SHARDS; shard += 997) {
    for (const record of [shard * PER_SHARD, (shard + 1) * PER_SHARD - 1]) expect(shardOf(dataset, record)).toBe(shard);
  }
  expect(shardOf(dataset, RECORDS - 1)).toBe(SHARDS - 1);
});
