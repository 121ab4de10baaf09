// Errors packed by hand to cross a thread: structured cloning keeps the message and drops class, code and position.

import { KdataError, type ErrorCode, type Position } from "./errors.ts";

/** An error as plain data. */
export type PackedError =
  | {
      readonly kind: "kdata";
      readonly code: ErrorCode;
      readonly reason: string;
      readonly at: Position | undefined;
      readonly hint: string | undefined;
      /** What the cause says, if there is one. */
      readonly cause: string | undefined;
      readonly stack: string | undefined;
    }
  | { readonly kind: "other"; readonly name: string; readonly message: string; readonly stack: string | undefined };

/** Packs whatever was thrown. */
export function packError(error: unknown): PackedError {
  if (error instanceof KdataError) {
    const { code, reason, at, hint, cause, stack } = error;
    return { kind: "kdata", code, reason, at, hint, cause: cause === undefined ? undefined : textOf(cause), stack };
  }
  if (error instanceof Error) return { kind: "other", name: error.name, message: error.message, stack: error.stack };
  return { kind: "other", name: "Error", message: String(error), stack: undefined };
}

/**
 * Makes the error again: a `KdataError` with class, code, reason, position, hint and the text of its cause; a `RangeError` or
 * `TypeError` as such; anything else as a `KdataError` `worker`. The stack is the one from the thread it was thrown in.
 */
export function unpackError(packed: PackedError): Error {
  const error = packed.kind === "kdata" ? unpackKdataError(packed) : unpackOther(packed);
  if (packed.stack !== undefined) error.stack = packed.stack;
  return error;
}

function unpackKdataError({ code, reason, at, hint, cause }: Extract<PackedError, { kind: "kdata" }>): KdataError {
  return new KdataError(code, reason, { ...(at && { at }), ...(hint !== undefined && { hint }), cause });
}

function unpackOther({ name, message }: Extract<PackedError, { kind: "other" }>): Error {
  if (name === "RangeError") return new RangeError(message);
  if (name === "TypeError") return new TypeError(message);
  return new KdataError("worker", `a worker thread failed: ${name}: ${message}`);
}

function textOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.name === "Error" ? cause.message : `${cause.name}: ${cause.message}`;
}
