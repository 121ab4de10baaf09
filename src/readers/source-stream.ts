// A source that is read once, in order: standard input, a pipe, a response.

import { KdataError, messageOf } from "../core/errors.ts";
import type { StreamSource } from "./source.ts";

/**
 * Makes a stream source of a Node readable stream or of any other async iterable of bytes.
 *
 * An error of the stream arrives as a {@link KdataError} `input` that carries it as its cause, a KdataError unchanged.
 *
 * @throws {TypeError} while it is read, when a chunk is text: the stream must not have an encoding.
 */
export function streamSource(name: string, chunks: AsyncIterable<unknown>): StreamSource {
  return { kind: "stream", name, chunks: byteChunks(name, chunks) };
}

async function* byteChunks(name: string, chunks: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await pull(name, iterator);
      if (next.done === true) return;
      if (!(next.value instanceof Uint8Array)) {
        throw new TypeError(`Cannot read ${name}: a chunk of the stream is ${typeof next.value}, not bytes`);
      }
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function pull(name: string, iterator: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
  try {
    return await iterator.next();
  } catch (cause) {
    if (cause instanceof KdataError) throw cause;
    const reason = messageOf(cause);
    throw new KdataError("input", `Cannot read input: ${reason}`, { at: { source: name }, cause });
  }
}
