// Long synchronous work in turns: now and then timers, signals and I/O get theirs, so that ^C and progress stay prompt.

import { KdataError } from "./errors.ts";

const TURN_MS = 20; // short enough for an abort to feel prompt, long enough to cost nothing

/** The turns of one task. */
export interface Turns {
  /** As cheap as reading a clock. */
  isOver(): boolean;
  /**
   * Lets the event loop run.
   *
   * @throws {KdataError} `aborted` when the signal says so.
   */
  yield(): Promise<void>;
}

/** Starts the first turn. */
export function takeTurns(signal?: AbortSignal): Turns {
  let end = performance.now() + TURN_MS;
  return {
    isOver: () => performance.now() >= end,
    async yield() {
      await new Promise((resolve) => setImmediate(resolve));
      if (signal?.aborted) throw new KdataError("aborted", "Stopped on request", { cause: signal.reason });
      end = performance.now() + TURN_MS;
    },
  };
}
