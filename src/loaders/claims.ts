// Which worker makes which batch: a cell of shared memory for each slot. The main thread offers a task to all workers and goes on;
// whichever is idle first claims it, so that a slow batch holds no other back, and neither does a main thread that computes.

/** One cell for each slot. Positive: the number of the task that is on offer. Negative: the number of the worker that claimed it. */
export type ClaimCells = Int32Array<SharedArrayBuffer>;

/** Task numbers begin at 1 and are used again after so many: no message is under way for that long. */
export const TASK_NUMBERS = 2 ** 30;

/** Makes cells for so many slots. */
export function createClaimCells(slots: number): ClaimCells {
  return new Int32Array(new SharedArrayBuffer(slots * Int32Array.BYTES_PER_ELEMENT));
}

/** Offers a task. The slot is then not the main thread's until it is withdrawn or answered. */
export function offerTask(cells: ClaimCells, slot: number, task: number): void {
  Atomics.store(cells, slot, task);
}

/** Takes an offer back. Says whether nobody has claimed it. */
export function withdrawTask(cells: ClaimCells, slot: number, task: number): boolean {
  return Atomics.compareExchange(cells, slot, task, 0) === task;
}

/** Claims a task for a worker, numbered from 1. Says whether it is theirs: false when another one was first, or it was withdrawn. */
export function claimTask(cells: ClaimCells, slot: number, task: number, worker: number): boolean {
  return Atomics.compareExchange(cells, slot, task, -worker) === task;
}

/** Says which worker has claimed the task of a slot. */
export function claimantOf(cells: ClaimCells, slot: number): number | undefined {
  const cell = Atomics.load(cells, slot);
  return cell < 0 ? -cell : undefined;
}
