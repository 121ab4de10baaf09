// What a file may declare before kdata stops believing it, unless the caller raises it in `ReadOptions.limits`.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { Limits } from "./format.ts";

/** The limits of a caller who names none. */
export const defaultLimits: Limits = {
  // One GiB. Real records are far smaller: a longer length is a corrupt header, not a record.
  recordBytes: 1 << 30,
  // One MiB. NPY headers and pax headers take some hundred bytes; this leaves room for long attribute lists.
  headerBytes: 1 << 20,
  // Two GiB. A deflated byte can stand for a thousand: without a limit a small file could fill any memory.
  inflatedBytes: 2 ** 31,
  // 32 for each compressed byte, beyond the first 48 MiB. Text deflates to a tenth; a bomb of one megabyte stands for a thousand.
  inflateRatio: 32,
  // 96 MiB, on top of 32 for each stored byte: a column of a million equal values is a hundred bytes, and so is a column of billions.
  rowGroupBytes: 96 << 20,
};

/** What may be inflated whatever the ratio: with the copy that joins the pieces, a small file stays below 256 MB of memory. */
const FREE_INFLATED_BYTES = 48 << 20;

/** Says how many bytes so many compressed ones may inflate to. */
export function mostInflated(compressed: number, { inflatedBytes, inflateRatio }: Limits): number {
  return Math.min(inflatedBytes, FREE_INFLATED_BYTES + inflateRatio * compressed);
}

/**
 * Completes the limits that a caller named with the default ones.
 *
 * @throws {KdataError} `usage` for a limit that is not known.
 * @throws {RangeError} when a limit is not a whole number of bytes.
 */
export function resolveLimits(limits: Partial<Limits> = {}): Limits {
  for (const name of Object.keys(limits)) {
    if (Object.hasOwn(defaultLimits, name)) continue;
    const allowed = Object.keys(defaultLimits);
    const nearest = nearestName(name, allowed);
    throw new KdataError("usage", `Cannot read: there is no limit '${name}', only ${allowed.join(", ")}`, {
      ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
    });
  }
  const resolved = { ...defaultLimits, ...limits };
  for (const [name, bytes] of Object.entries(resolved)) {
    if (!Number.isSafeInteger(bytes) || bytes < 0) {
      throw new RangeError(`Cannot read: limits.${name} must be a whole number of bytes, not ${bytes}`);
    }
  }
  return resolved;
}
