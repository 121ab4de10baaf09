// ^C: the first one asks the work to stop and to tidy up, the second one stops at once.

import { KdataError } from "../core/errors.ts";
import { exitCodes } from "./exit-codes.ts";

const STOP_SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs work that can be stopped by the user.
 *
 * @throws {KdataError} `aborted` when it was stopped, whatever the work itself threw then; else what the work throws.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  function stop(): void {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort();
  }
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    throw new KdataError("aborted", "Stopped on request");
  } finally {
    for (const signal of STOP_SIGNALS) process.off(signal, stop);
  }
}
