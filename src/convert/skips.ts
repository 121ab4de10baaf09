// Samples that are left out because they are bad, on request, and the report of them.

import type { ErrorCode, KdataError, Position } from "../core/errors.ts";
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

/**
 * Writes a report as JSON Lines, whole or not at all, over a file that is there.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function writeSkipReport(path: string, skips: readonly SkippedSample[]): void {
  const file = new PartialFile(path, REPORT_BUFFER_BYTES);
  try {
    const encoder = new TextEncoder();
    for (const skip of skips) file.append(encoder.encode(`${JSON.stringify(skip)}\n`));
    file.commit();
  } finally {
    file.abort();
  }
}
