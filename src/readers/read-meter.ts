// What this thread has read from files, so that whoever decodes can tell reading from decoding.

/** Bytes, and the milliseconds that reading them took. */
export interface FileReads {
  readonly bytes: number;
  readonly ms: number;
}

let bytes = 0;
let ms = 0;

/** Counts one read. */
export function countRead(byteLength: number, tookMs: number): void {
  bytes += byteLength;
  ms += tookMs;
}

/** Says what this thread has read from files since it was started. */
export function fileReads(): FileReads {
  return { bytes, ms };
}
