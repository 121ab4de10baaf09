// Samples that are left out because they are bad, and what is passed over, both on request, and the report of them.

import type { ErrorCode, KdataError, Position } from "../core/errors.ts";
import type { Tolerated } from "../readers/format.ts";
import { ToleratedLog } from "../readers/tolerance.ts";
import { PartialFile } from "../writers/output.ts";

const REPORT_BUFFER_BYTES = 1 << 16;

/** A sample that was left out. */
export interface SkippedSample {
  readonly source: string;
  readonly record: number;
  /** Where its error lies, if that is known. */
  readonly byte?: number;
  readonly code: ErrorCode;
  readonly reason: string;
}

/** Describes a sample that is left out because of an error. `origin` is its own place, for errors that name none. */
export function skippedSample({ at, code, reason }: KdataError, origin: Position): SkippedSample {
  const { source, record = origin.record ?? 0, byte } = at ?? origin;
  return { source, record, ...(byte === undefined ? {} : { byte }), code, reason };
}

/** What an output shard lacks of its input. */
export interface LeftOut {
  readonly skips: readonly SkippedSample[];
  readonly tolerated: readonly Tolerated[];
}

/** Lists what was passed over in several shards. Those of one input may have come upon the same. */
export function distinctTolerated(
  shards: Iterable<{ readonly tolerated: readonly Tolerated[] }>,
): readonly Tolerated[] {
  const log = new ToleratedLog();
  for (const { tolerated } of shards) for (const one of tolerated) log.add(one);
  return log.take();
}

/**
 * Writes a report as JSON Lines, whole or not at all, over a file that is there: the samples that were left out, then what was
 * passed over.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function writeReport(path: string, shards: readonly LeftOut[]): void {
  const file = new PartialFile(path, REPORT_BUFFER_BYTES);
  try {
    const encoder = new TextEncoder();
    const entries = [...shards.flatMap(({ skips }) => skips), ...distinctTolerated(shards)];
    for (const entry of entries) file.append(encoder.encode(`${JSON.stringify(entry)}\n`));
    file.commit();
  } finally {
    file.abort();
  }
}
