// Samples that are left out because they are bad, on request, and the report of them.

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import { PartialFile } from "../writers/output.ts";

/** What is wrong with one sample and not with the conversion: it can be left out. */
const SAMPLE_CODES: ReadonlySet<ErrorCode> = new Set([
  "format",
  "truncated",
  "checksum",
  "limit",
  "unsupported",
  "shape",
]);
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

/** Says whether an error is one of a single sample. */
export function isSampleError(error: unknown): error is KdataError {
  return error instanceof KdataError && SAMPLE_CODES.has(error.code);
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
