// ^C: the first one asks the work to stop and to tidy up, the second one stops at once.

import { KdataError } from "../core/errors.ts";
import { exitCodes } from "./exit-codes.ts";

/** Which signals stop, and the exit code of each. */
const stopSignals = { SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const;
const signalNames = Object.keys(stopSignals) as readonly (keyof typeof stopSignals)[];

/** Work that the user stopped. */
export class InterruptedError extends KdataError {
  /** What the process ends with: 128 and the number of the signal. */
  readonly exitCode: number;

  constructor(exitCode: number) {
    super("aborted", "Stopped on request");
    this.exitCode = exitCode;
  }
}

/**
 * Runs work that can be stopped by the user.
 *
 * @throws {KdataError} `aborted` when it was stopped, whatever the work itself threw then; else what the work throws.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let exitCode: number = exitCodes.interrupted;
  function stop(signal: keyof typeof stopSignals): void {
    exitCode = stopSignals[signal];
    if (controller.signal.aborted) process.exit(exitCode);
    controller.abort();
  }
  for (const signal of signalNames) process.on(signal, stop);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    throw new InterruptedError(exitCode);
  } finally {
    for (const signal of signalNames) process.off(signal, stop);
  }
}
