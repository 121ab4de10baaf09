// What the tests of the loader look at: the batches of one epoch, copied, and a hash over all of their content.
import { createHash } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { isTensorColumn, type Batch } from "../../src/core/batch.ts";
import { bytesOf } from "../../src/core/tensor.ts";

/** Collects one epoch, or its first `count` batches, in copies. */
export async function collect(source: AsyncIterable<Batch>, count = Infinity): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of source) {
    batches.push(batch.copy());
    if (batches.length >= count) break;
  }
  return batches;
}

/** The keys of the samples of batches, in order, without the padded ones. */
export function keysOf(batches: readonly Batch[]): string[] {
  return batches.flatMap(({ keys, size, padded }) => keys.slice(0, size - padded));
}

/** Hashes keys, names, dtypes, shapes and bytes of every batch. */
export function digest(batches: readonly Batch[]): string {
  const hash = createHash("sha256");
  for (const { size, padded, keys, features, epoch, step } of batches) {
    hash.update(JSON.stringify({ size, padded, keys, epoch, step }));
    for (const [name, column] of Object.entries(features)) {
      if (!isTensorColumn(column)) throw new TypeError(`${name} is no tensor`);
      hash.update(JSON.stringify([name, column.dtype, column.shape])).update(bytesOf(column.data));
    }
  }
  return hash.digest("hex");
}

/** Lists the files of a folder that this process has open, in whatever thread. Linux only. */
export function openFiles(folder: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`);
      return path.startsWith(folder) ? [path] : [];
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return []; // closed since it was listed
      throw error;
    }
  });
}

/** Counts the threads of this process. Linux only. */
export function threadCount(): number {
  return readdirSync("/proc/self/task").length;
}
