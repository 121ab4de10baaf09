import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type * as entry from "../../src/loaders/entry.ts";
import { loader, type LoaderOptions } from "../../src/loaders/index.ts";
import { cast, normalize } from "../../src/transforms/index.ts";
import { collect, digest } from "./epochs.ts";
import { writeShards } from "./npy-shards.ts";

// Every batch of a worker arrives late, each by another time.
const late = vi.hoisted(() => ({ entry: undefined as URL | undefined }));
vi.mock("../../src/loaders/entry.ts", async (load) => {
  const real = await load<typeof entry>();
  return { ...real, findWorkerEntry: () => late.entry ?? real.findWorkerEntry() };
});

let folder: string;
let spec: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-determinism-"));
  spec = writeShards(join(folder, "rows"), [61, 1, 38], 9, 50, 77);
  const path = join(folder, "late.mjs");
  writeFileSync(
    path,
    `import { createHash } from "node:crypto";
    import { parentPort, threadId } from "node:worker_threads";
    import ${JSON.stringify(new URL("../../dist/loaders/worker.js", import.meta.url).href)};
    const post = parentPort.postMessage.bind(parentPort);
    const cell = new Int32Array(new SharedArrayBuffer(4));
    parentPort.postMessage = (answer) => {
      const [drawn] = createHash("sha256").update(threadId + " " + answer.task).digest();
      Atomics.wait(cell, 0, 0, drawn % 8 === 0 ? 25 : drawn % 4);
      post(answer);
    };`,
  );
  late.entry = pathToFileURL(path);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** One hash over the keys and tensors of two epochs. */
async function streamHash(options: Partial<LoaderOptions>, epoch = 0): Promise<string> {
  const transforms = [normalize("x", { mean: 1 }), cast("y", "int32")];
  const train = await loader(spec, { batchSize: 7, shuffle: true, seed: 5, transforms, onError: "skip", ...options });
  train.load({ ...train.state(), epoch });
  const hash = createHash("sha256");
  for (let round = 0; round < 2; round++) hash.update(digest(await collect(train)));
  await train.close();
  return hash.digest("hex");
}

test.each([1, 2, 3, 7])("one hash of keys and tensors, whatever %d workers are late with", async (workers) => {
  const expected = await streamHash({ workers: 0 });
  for (const prefetch of [1, 4, 32, "auto"] as const) expect(await streamHash({ workers, prefetch })).toBe(expected);
});

test("another seed and another epoch have another hash", async () => {
  const hashes = [await streamHash({ workers: 0 }), await streamHash({ workers: 0, seed: 6 })];
  hashes.push(await streamHash({ workers: 0 }, 1));
  expect(new Set(hashes).size).toBe(3);
});
