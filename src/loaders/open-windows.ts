// The windows of a loader whose transforms choose samples by their lengths.

import { createHash } from "node:crypto";
import { KdataError } from "../core/errors.ts";
import { chainDigest } from "../transforms/chain-digest.ts";
import { findLengthRule, splitChain } from "../transforms/chain.ts";
import type { TransformDescription } from "../transforms/registry.ts";
import { epochLength, type EpochRecipe } from "./epoch.ts";
import { createLengthTable } from "./length-table.ts";
import type { LengthWindows } from "./length-windows.ts";
import type { WindowState } from "./window-state.ts";

const MAX_POSITIONS = 2 ** 24; // their lengths take half a gigabyte; a window of a million samples gains nothing any more
const HASH_DIGITS = 16; // 64 bits: this guards against mistakes, not against attacks

/**
 * Makes the windows that the transforms of a recipe ask for, of batches of so many samples over all ranks. `undefined` where they ask
 * for none.
 *
 * @throws {KdataError} `input` when a file that a transform needs cannot be read.
 * @throws {RangeError} when a window has more than 2^24 samples.
 */
export async function openWindows(epochs: EpochRecipe, globalBatch: number): Promise<LengthWindows | undefined> {
  const rule = findLengthRule(splitChain(epochs.transforms));
  if (!rule) return undefined;
  const { sources = [], schedule } = epochs.mixture ?? {};
  const chain = await chainDigest([...sources.flatMap(({ transforms }) => transforms), ...rule.decidedBy]);
  const hash = createHash("sha256").update(`${chain} ${JSON.stringify(schedule?.parts ?? null)}`);
  const digest = hash.digest("hex").slice(0, HASH_DIGITS);
  return sizeWindows(epochs, { size: rule.window * globalBatch, run: globalBatch, digest });
}

/** Makes windows of such sizes, which know no length yet. @throws {RangeError} when a window has more than 2^24 samples. */
export function sizeWindows(epochs: EpochRecipe, { size, run, digest }: Omit<WindowState, "positions">): LengthWindows {
  const cells = Math.max(1, Math.min(size, epochLength(epochs)));
  if (cells > MAX_POSITIONS) {
    throw new RangeError(`Cannot load: a window of ${size} samples is over the limit of ${MAX_POSITIONS}`);
  }
  return { size, run, digest, table: createLengthTable(cells) };
}

/** What a state says of the windows of a recipe. */
export function windowsOf(epochs: EpochRecipe): WindowState | undefined {
  if (!epochs.windows) return undefined;
  const { size, run, digest } = epochs.windows;
  return { size, run, positions: epochLength(epochs), digest };
}

/**
 * Refuses transforms that choose samples by their lengths.
 *
 * @throws {KdataError} `usage` when there is one.
 */
export function refuseWindows(action: string, transforms: readonly TransformDescription[]): void {
  const rule = findLengthRule(splitChain(transforms));
  if (!rule) return;
  const name = rule.kind === "pack" ? "pack with a window" : "bucketByLength";
  throw new KdataError("usage", `${action}: ${name} chooses samples that lie apart, and a stream cannot go back`, {
    hint: "load files without `stream`",
  });
}
