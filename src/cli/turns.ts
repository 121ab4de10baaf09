// Long synchronous work in turns, so that ^C, timers and progress stay prompt.

import { setImmediate } from "node:timers/promises";
import { KdataError } from "../core/errors.ts";

const TURN_MS = 20; // short enough for a bar that moves ten times a second, long enough to cost nothing

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
export function takeTurns(signal: AbortSignal | undefined): Turns {
  let end = performance.now() + TURN_MS;
  return {
    isOver: () => performance.now() >= end,
    async yield() {
      await setImmediate();
      if (signal?.aborted) throw new KdataError("aborted", "Stopped on request", { cause: signal.reason });
      end = performance.now() + TURN_MS;
    },
  };
}
