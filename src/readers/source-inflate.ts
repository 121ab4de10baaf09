// A compressed stream, inflated as it arrives.

import { createGunzip, createInflate, type Gunzip, type Inflate } from "node:zlib";
import { KdataError } from "../core/errors.ts";
import { inflateError, overLimit, type Compression } from "./compression.ts";
import type { Limits } from "./format.ts";
import { defaultLimits, mostInflated } from "./limits.ts";
import type { StreamSource } from "./source.ts";

/** Bytes that zlib hands over at a time. */
const CHUNK_BYTES = 1 << 17;

/**
 * Inflates a stream of gzip, of one or more members, or of zlib, piece by piece. Letting go of it lets go of the stream.
 *
 * Reading it throws {@link KdataError} `truncated` when the compressed bytes end early, `checksum` when what was inflated does not
 * match the stored sum or length, `format` when they are not of this compression or something follows after the end. What was
 * handed over before is not known to be right until the end has been read.
 */
export function inflateStream(
  { name, chunks }: StreamSource,
  compression: Compression,
  limits: Limits = defaultLimits,
): StreamSource {
  return { kind: "stream", name, chunks: inflate(name, chunks, compression, limits) };
}

async function* inflate(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
  limits: Limits,
): AsyncGenerator<Uint8Array> {
  const options = { chunkSize: CHUNK_BYTES };
  const engine = compression === "gzip" ? createGunzip(options) : createInflate(options);
  const feeding = new Feeding(name, chunks[Symbol.asyncIterator](), engine, compression);
  try {
    const fed = feeding.run();
    // The failure is thrown below, after what came before it; until then nobody may be told that nobody handles it.
    fed.catch(() => undefined);
    try {
      let inflated = 0;
      for await (const piece of engine) {
        inflated += (piece as Uint8Array).length;
        // What is one record is kept in memory until it is whole. A stream as a whole may be of any size.
        const most = mostInflated(feeding.bytes, { ...limits, inflatedBytes: Infinity });
        if (inflated > most) throw overLimit(compression, name, most);
        yield piece as Uint8Array;
      }
    } catch (error) {
      throw feeding.failure ?? inflateError(error, compression, { source: name, byte: feeding.bytes });
    }
    await fed;
  } finally {
    engine.destroy();
    await feeding.close();
  }
}

/** Writes chunks into an engine, one after the other has been taken in: the stream may reuse the memory of a chunk. */
class Feeding {
  readonly #name: string;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #engine: Gunzip | Inflate;
  readonly #compression: Compression;
  /** Resolves when the engine takes no more: at the end of the compressed bytes, or when it is destroyed. */
  readonly #ended: Promise<void>;
  #isEnded = false;
  /** Compressed bytes that have arrived. */
  bytes = 0;
  /** What the stream itself threw. */
  failure: unknown;

  constructor(name: string, chunks: AsyncIterator<Uint8Array>, engine: Gunzip | Inflate, compression: Compression) {
    this.#name = name;
    this.#chunks = chunks;
    this.#engine = engine;
    this.#compression = compression;
    this.#ended = new Promise((resolve) => {
      for (const event of ["end", "close", "error"]) {
        engine.on(event, () => {
          this.#isEnded = true;
          resolve();
        });
      }
    });
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        const next = await this.#chunks.next();
        if (next.done === true) break;
        const start = this.bytes;
        this.bytes += next.value.length;
        if (!this.#isEnded) await this.#write(next.value);
        if (this.#engine.destroyed && !this.#engine.readableEnded) return;
        // Of a chunk that it was done with, the engine leaves only what comes after the end.
        if (this.#engine.bytesWritten < this.bytes) this.#isEnded = true;
        if (this.#isEnded) this.#refuseTrailing(next.value, start);
      }
    } catch (error) {
      this.failure = error;
      this.#engine.destroy();
      throw error;
    }
    if (!this.#isEnded) this.#engine.end();
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    const written = new Promise<void>((resolve) => {
      this.#engine.write(chunk, () => {
        resolve();
      });
    });
    await Promise.race([written, this.#ended]);
  }

  /** The engine stops at a zero byte after the end, as padding to whole blocks has them, and looks no further. */
  #refuseTrailing(chunk: Uint8Array, start: number): void {
    const first = Math.max(0, this.#engine.bytesWritten - start);
    const trailing = chunk.subarray(first).findIndex((byte) => byte !== 0);
    if (trailing < 0) return;
    const at = { source: this.#name, byte: start + first + trailing };
    throw new KdataError("format", `Cannot inflate ${this.#compression}: bytes follow after the end`, { at });
  }
}
