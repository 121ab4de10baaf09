// How many batches may be under way or wait for their delivery.

/** What a pool asks before it hands out a job. */
export interface PrefetchDepth {
  readonly batches: number;
  /** The most it can ever be. */
  readonly most: number;
  /** Takes note of a batch that was delivered: how large it was, and whether the consumer had to wait for it. */
  delivered(byteLength: number, waited: boolean): void;
}

/** What `auto` works within. */
export interface AutoDepthSettings {
  readonly workers: number;
  /** What all batches under way may take together, if they are more than the fewest. */
  readonly maxBytes: number;
}

/** Batches for each worker: one is being made while the other waits for its delivery. */
export const BATCHES_PER_WORKER = 2;
// A consumer that waits after so many batches is not helped by more of them.
const MOST = 1024;
// So many rounds of the whole queue without a wait say that it is deeper than it must be.
const CALM_ROUNDS = 8;

/** Always the same depth. */
export function fixedDepth(batches: number): PrefetchDepth {
  return { batches, most: batches, delivered: () => undefined };
}

/**
 * Grows by one batch each time that the consumer waits, as long as memory allows, and shrinks by one after a while without a wait;
 * never below two batches a worker.
 */
export function autoDepth({ workers, maxBytes }: AutoDepthSettings): PrefetchDepth {
  const fewest = workers * BATCHES_PER_WORKER;
  const most = Math.max(fewest, MOST);
  let batches = fewest;
  let largest = 0;
  let calm = 0;
  return {
    get batches() {
      return batches;
    },
    most,
    delivered(byteLength, waited) {
      largest = Math.max(largest, byteLength);
      // One more slot than batches: the consumer still looks at the one before.
      const allowed = Math.min(most, Math.max(fewest, Math.floor(maxBytes / Math.max(1, largest)) - 1));
      calm = waited ? 0 : calm + 1;
      if (waited) batches++;
      else if (calm >= batches * CALM_ROUNDS) {
        batches = Math.max(fewest, batches - 1);
        calm = 0;
      }
      batches = Math.min(batches, allowed);
    },
  };
}
