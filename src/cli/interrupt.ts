// ^C: the first one asks the work to stop and to tidy up, the second one stops at once. Work that can end in good order is asked for
// that by the first one, to stop by the second one, and ends by the third one.

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
 * Runs work that can be stopped by the user. Progress begins inside `work`: whoever sees it may press ^C at once.
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

/** What tells work to stop. */
export interface StopSignals {
  /** Stop now. */
  readonly signal: AbortSignal;
  /** Finish what is begun, and begin nothing else. */
  readonly finishSignal: AbortSignal;
}

/**
 * Runs work that can end in good order: the first ^C asks for that and calls `onFinish`. What ends processes otherwise (SIGTERM) stops it.
 *
 * @throws {KdataError} `aborted` when it was stopped or ended early, whatever the work itself threw then; else what the work throws.
 */
export async function finishable<T>(
  work: (signals: StopSignals) => Promise<T>,
  { onFinish, hint }: { readonly onFinish: () => void; readonly hint: string },
): Promise<T> {
  const [finishing, stopping] = [new AbortController(), new AbortController()];
  function interrupt(): void {
    if (finishing.signal.aborted) {
      stop();
      return;
    }
    finishing.abort();
    onFinish();
  }
  function stop(): void {
    if (stopping.signal.aborted) process.exit(exitCodes.interrupted);
    stopping.abort();
  }
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", stop);
  try {
    return await work({ signal: stopping.signal, finishSignal: finishing.signal });
  } catch (error) {
    const isAsked = stopping.signal.aborted || finishing.signal.aborted;
    if (!isAsked || (!stopping.signal.aborted && !isAbort(error))) throw error;
    throw new KdataError("aborted", "Stopped on request", { hint });
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", stop);
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof KdataError && error.code === "aborted";
}
