// Samples kept after the part of the chain that is the same in every epoch: tf.data's `cache`.

import { resolve } from "node:path";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { Transform } from "./transform.ts";

/** Where {@link cache} keeps samples. */
export interface CacheSettings {
  /** A folder to keep them in, from one run to the next. It is made where it is missing. Default: in memory. */
  readonly folder?: string;
  /** What they may take; those that find no room are made again in each epoch. Default 1 GiB in memory, without limit in a folder. */
  readonly maxBytes?: number;
}

/** The description that {@link cache} returns. */
export interface CacheDescription {
  readonly transform: "cache";
  /** From the root on. */
  readonly folder?: string;
  readonly maxBytes?: number;
}

/**
 * Keeps what the transforms before it make, so that later epochs neither read nor decode: samples stay as they are. Transforms behind it,
 * the random ones, are applied as ever. A random transform before it is refused; a function of the user's own draws there what it would
 * draw in epoch 0.
 *
 * In memory the samples lie in one piece of shared memory: all workers find what one of them has kept. In a folder they are kept
 * from run to run, under a name that stands for the data (names, sizes and times of its files), how it is read and the chain before,
 * content of user modules and tokenizers included: where anything of it changes, the cache is another one, and what there was is left for
 * you to delete. Each entry has a checksum; what is damaged or cut short is made again. Any number of processes may use one folder at a time.
 * Where the disk is full or cannot be written, samples are made again and a warning says so. Bad samples are never kept.
 */
export function cache(settings: CacheSettings = {}): CacheDescription {
  checkOptionNames("Cannot cache", settings, ["folder", "maxBytes"]);
  const { folder, maxBytes } = settings;
  if (maxBytes !== undefined) checkWhole("Cannot cache", "maxBytes", maxBytes, 1);
  if (folder === "") throw new RangeError("Cannot cache: the folder has no name");
  return {
    transform: "cache",
    ...(folder !== undefined && { folder: resolve(folder) }),
    ...(maxBytes !== undefined && { maxBytes }),
  };
}

/** Builds what the transform does to a sample: nothing. To keep it is the loader's part. */
export function buildCache(): Transform {
  return (sample) => sample;
}
