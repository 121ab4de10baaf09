// The one error type for bad input and a bad environment: a code to act on, a position to look at.
// A programmer's mistake is a RangeError or a TypeError instead.

/**
 * What went wrong, for callers who act on it.
 *
 * - `format`: the bytes are not what the format says
 * - `truncated`: the bytes end before the format says they do
 * - `checksum`: a stored checksum does not match
 * - `limit`: a declared size is over a limit; nothing was allocated
 * - `unsupported`: valid, but kdata refuses it (pickles, links, sparse members); the message says why
 * - `shape`: features that do not fit together, or not the model: shape, dtype, kind or name
 * - `input`: an input that is missing or cannot be read
 * - `output`: an output that cannot be written (disk full, no permission)
 * - `exists`: an output that is there already
 * - `usage`: an option, a name or a combination that is not known
 * - `state`: a saved state that does not belong to this data or this model
 * - `worker`: a worker thread died
 * - `backend`: a training backend failed
 * - `package`: an optional package or a device is not there
 * - `aborted`: stopped on request
 */
export type ErrorCode = (typeof errorCodes)[number];

/** Every code, in the order of {@link ErrorCode}'s documentation. */
export const errorCodes = [
  "format",
  "truncated",
  "checksum",
  "limit",
  "unsupported",
  "shape",
  "input",
  "output",
  "exists",
  "usage",
  "state",
  "worker",
  "backend",
  "package",
  "aborted",
] as const;

/** Where it went wrong: a file or stream, the record in it and the byte in it, both counted from 0. */
export interface Position {
  readonly source: string;
  readonly record?: number;
  readonly byte?: number;
}

/** What a {@link KdataError} carries beside its code and message. */
export interface ErrorDetails {
  readonly at?: Position;
  /** One sentence that says what the user can do about it. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * Bad input or a bad environment, with a code from a closed list and, where there is one, a position.
 *
 * The position is part of the message: `Cannot read tfrecord: the data checksum does not match (a.tfrecord, record 17, byte 9216)`.
 */
export class KdataError extends Error {
  override readonly name = "KdataError";
  readonly code: ErrorCode;
  readonly at: Position | undefined;
  readonly hint: string | undefined;
  /** The message without the position. */
  readonly reason: string;

  constructor(code: ErrorCode, reason: string, details: ErrorDetails = {}) {
    const { at, hint, cause } = details;
    super(at ? `${reason} (${formatPosition(at)})` : reason, cause === undefined ? {} : { cause });
    this.code = code;
    this.reason = reason;
    this.at = at;
    this.hint = hint;
  }
}

/** Writes a position as the error messages show it: `a.tfrecord, record 17, byte 9216`. */
export function formatPosition(at: Position): string {
  const parts = [at.source];
  if (at.record !== undefined) parts.push(`record ${at.record}`);
  if (at.byte !== undefined) parts.push(`byte ${at.byte}`);
  return parts.join(", ");
}

/** What is wrong with one sample, not with the machine, the options or the whole data set. */
const SAMPLE_CODES: ReadonlySet<ErrorCode> = new Set([
  "format",
  "truncated",
  "checksum",
  "limit",
  "unsupported",
  "shape",
]);

/** Says whether an error is one of a single sample, which may be left out: `format`, `truncated`, `checksum`, `limit`, `unsupported`, `shape`. */
export function isSampleError(error: unknown): error is KdataError {
  return error instanceof KdataError && SAMPLE_CODES.has(error.code);
}

/** Gives the message of whatever was thrown: an error's own, else the thing itself as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
