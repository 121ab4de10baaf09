// The abort signal as an error of kdata's.

import { KdataError } from "../core/errors.ts";

/**
 * Checks that nobody asked to stop.
 *
 * @throws {KdataError} `aborted` when the signal says so, with its reason as the cause.
 */
export function checkAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new KdataError("aborted", "Cannot load: stopped on request", { cause: signal.reason });
}
