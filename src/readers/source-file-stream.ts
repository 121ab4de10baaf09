// A file read from front to back, once.

import { createReadStream } from "node:fs";
import { streamSource } from "./source-stream.ts";
import type { StreamSource } from "./source.ts";

// Between 256 KB and 1 MB reads of a warm file are fastest.
const READ_BYTES = 1 << 19;

/** Makes a stream source of a file, which is opened when it is first read. The signal ends it and closes the file. */
export function fileStream(path: string, signal: AbortSignal): StreamSource {
  return streamSource(path, openLate(path, signal));
}

async function* openLate(path: string, signal: AbortSignal): AsyncGenerator {
  yield* createReadStream(path, { highWaterMark: READ_BYTES, signal });
}
