// A sign of life of a worker, in memory shared with the main thread: a thread that is busy answers no message.

/** What a worker writes and the main thread reads. */
export interface Pulse {
  /** One element, which counts the records that were begun; 0 until the worker has started. */
  readonly beats: Int32Array<SharedArrayBuffer>;
  /** One element: the record that was begun last; NaN where a whole batch is read at once. */
  readonly record: Float64Array<SharedArrayBuffer>;
}

/** Makes the pulse of one worker. */
export function createPulse(): Pulse {
  const record = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)).fill(NaN);
  return { beats: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), record };
}

/** Gives a sign of life over a record. */
export function beat({ beats, record }: Pulse, begun: number): void {
  record[0] = begun;
  Atomics.add(beats, 0, 1);
}
