// The cache that a chain of transforms asks for.

import { createHash } from "node:crypto";
import { KdataError } from "../core/errors.ts";
import { chainDigest } from "../transforms/chain-digest.ts";
import { cachePlace, splitChain } from "../transforms/chain.ts";
import { isRandom, moduleOf, type TransformDescription } from "../transforms/registry.ts";
import type { SampleStore } from "../transforms/transform.ts";
import { fileTimes, FolderStore, scanFolder } from "./cache-folder.ts";
import { MemoryStore } from "./cache-memory.ts";
import { recordCount } from "./dataset.ts";
import type { EpochRecipe } from "./epoch.ts";
import { folderCache, memoryCache, type SampleCache } from "./sample-cache.ts";

const FORMAT_VERSION = 1; // of how a sample is kept: another one, another key
const DEFAULT_MEMORY_BYTES = 2 ** 30;

/**
 * Opens the cache that the transforms of a recipe ask for. `undefined` where they ask for none.
 *
 * @throws {KdataError} `usage` when a source of a mixture has a random transform or a cache of its own; `input` when the folder cannot be made
 *   or read, or a file that what is kept depends on.
 * @throws {RangeError} when there is not so much memory.
 */
export async function openCache(epochs: EpochRecipe): Promise<SampleCache | undefined> {
  const { ofSamples } = splitChain(epochs.transforms);
  const place = cachePlace(ofSamples) ?? ofSamples.length;
  const description = ofSamples[place];
  const own = epochs.mixture?.sources.flatMap(({ transforms }) => transforms) ?? [];
  checkSources(own, description !== undefined);
  if (description?.transform !== "cache") return undefined;
  const records = recordCount(epochs.dataset);
  const { folder, maxBytes } = description;
  if (folder === undefined) return memoryCache(records, maxBytes ?? DEFAULT_MEMORY_BYTES);
  const kept = { folder, key: await keyOf(epochs, ofSamples.slice(0, place)), maxBytes: maxBytes ?? Infinity };
  const cache = folderCache(records, kept);
  await scanFolder(cache, kept);
  return cache;
}

/** Opens a cache for one maker of batches. */
export function openStore(cache: SampleCache): SampleStore & { close(): void } {
  const { kept } = cache;
  return "arena" in kept ? new MemoryStore(cache, kept.arena) : new FolderStore(cache, kept);
}

/**
 * Refuses a cache where samples have no numbers to keep them by.
 *
 * @throws {KdataError} `usage` when there is one.
 */
export function refuseCache(action: string, transforms: readonly TransformDescription[]): void {
  if (!transforms.some(({ transform }) => transform === "cache")) return;
  throw new KdataError(
    "usage",
    `${action}: cache keeps records by their numbers, and a stream is read to the end anyway`,
    {
      hint: "load files without `stream`",
    },
  );
}

function checkSources(own: readonly TransformDescription[], hasCache: boolean): void {
  if (own.some(({ transform }) => transform === "cache")) {
    throw new KdataError("usage", "Cannot mix: cache is of all sources", { hint: "give it to the transforms of all" });
  }
  const drawing = hasCache ? own.find(isRandom) : undefined;
  if (!drawing) return;
  throw new KdataError("usage", `Cannot cache after ${drawing.transform}: it gives another sample in each epoch`, {
    hint: "give it to the transforms of all, behind cache",
  });
}

/** Stands for all that the samples that are kept depend on. */
async function keyOf(
  { dataset, mixture, seed }: EpochRecipe,
  before: readonly TransformDescription[],
): Promise<string> {
  const { parts, shards, starts, fake } = dataset;
  const hash = createHash("sha256");
  const chains = [...(mixture?.sources.map(({ transforms }) => transforms) ?? []), before];
  hash.update(
    JSON.stringify([FORMAT_VERSION, parts, fake ?? null, mixture?.sources.map(({ records }) => records) ?? null]),
  );
  // Functions of the user's own draw by the seed.
  const mayDraw = chains.flat().some((description) => moduleOf(description) !== undefined);
  hash.update(JSON.stringify([mayDraw ? seed : null, await Promise.all(chains.map(chainDigest))]));
  for (const [number, { name, paths }] of shards.entries()) {
    hash.update(JSON.stringify([name, starts[number], paths, await fileTimes(paths)]));
  }
  return hash.digest("hex");
}
