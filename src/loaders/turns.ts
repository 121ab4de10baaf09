// Long synchronous work in the thread that also runs timers, signals and I/O: now and then it is their turn.

import { setImmediate } from "node:timers/promises";

const TURN_MS = 20; // short enough for an abort or Ctrl-C to feel prompt, long enough to cost nothing

/** Makes a function to call between the pieces of long work: about every 20 ms it lets the event loop run once. */
export function createTurns(): () => Promise<void> {
  let turnEnd = performance.now() + TURN_MS;
  return async () => {
    if (performance.now() < turnEnd) return;
    await setImmediate();
    turnEnd = performance.now() + TURN_MS;
  };
}
